package crash_test

import (
	"os"
	"testing"
	"time"

	"kith/test/kithtest"
)

// watchTime is how often the data dir is looked at.
const watchTime = time.Millisecond

// Killed at any moment of its very first start, the server starts the next time
// as if nothing had been.
func TestKilledDuringTheFirstStartItStartsTheNextTime(t *testing.T) {
	t.Parallel()
	files := []string{"lock", "jwt-secret", "kith.db", "kith.db-wal", "admin.sock"}
	if kithtest.Production() {
		files = []string{"lock", "jwt-secret", "photos", "node-id", "broker", "admin.sock"}
	}
	for _, file := range files {
		t.Run("when "+file+" appears", func(t *testing.T) {
			s := kith.Launch(t, kithtest.Options{})
			if !kithtest.Poll(t.Context(), watchTime, func() bool {
				select {
				case <-s.Ended():
					t.Fatal("the server ended by itself")
				default:
				}
				_, err := os.Stat(s.File(file))
				return err == nil
			}) {
				t.Fatal(t.Context().Err())
			}
			s.Kill()
			s.Launch()
			s.AwaitReady()
			answer, err := s.Client().Register(t.Context(), kithtest.Registration{Username: "ada", Name: "Ada", Password: password})
			if err != nil || answer.Status != 201 {
				t.Fatalf("register: %v %s", err, answer)
			}
			s.Settle()
		})
	}
}
