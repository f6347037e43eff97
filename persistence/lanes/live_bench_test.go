package lanes_test

import (
	"fmt"
	"testing"

	"kith/actors/user"
	"kith/persistence/lanes"
)

// BenchmarkLivePage reads pages of 20: the cost must not depend on the offset,
// and hardly on the number of users.
func BenchmarkLivePage(b *testing.B) {
	for _, users := range []int{10_000, 1_000_000} {
		var s lanes.LiveSet
		for id := range users {
			s.Add(user.ID(id + 1))
		}
		for _, offset := range []int{0, users / 2, users / 10 * 9} {
			b.Run(fmt.Sprintf("users=%d/offset=%d", users, offset), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if page := s.Page("hifi_users_shuffle_2024", offset+i%64, 20); len(page) != 20 {
						b.Fatalf("%d users", len(page))
					}
				}
			})
		}
	}
}
