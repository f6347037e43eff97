package broker_test

import (
	"fmt"
	"testing"
	"time"

	"kith/actors/user"
	"kith/streams/streamstest"
)

// BenchmarkBacklog publishes a hundred thousand records that wait in the database.
func BenchmarkBacklog(b *testing.B) {
	const users, each = 1000, 100
	for b.Loop() {
		b.StopTimer()
		h := newHouse(b)
		h.Register(1, users)
		commands := make(map[user.ID][]user.Command)
		for id := range user.ID(users) {
			for i := range each {
				commands[id+1] = append(commands[id+1], user.RecordActivity{Activity: user.Activity{
					EventID: fmt.Sprintf("0190a1b2-0000-7000-8000-%012d", i), Type: user.ActivityReview, MovieID: 12345, Rating: 75, HasRating: true,
					Review: "A film that one wants to see again, though perhaps not at once.", SessionID: "session-1", SourcePage: "home", SourceSection: "trending",
					Details: []byte(`{"device":"tv","position":3}`), OccurredAt: streamstest.Time(),
				}, At: time.Now()})
			}
		}
		h.DoAll(commands)
		h.Restart() // what is published comes from the database
		b.StartTimer()
		h.open()
		h.published()
		b.StopTimer()
		h.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(users*each+users)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
