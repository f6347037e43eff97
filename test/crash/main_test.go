// Package crash_test kills the real binary with SIGKILL and looks at what is
// left.
//
//   - storm_test.go: many clients write, the server is killed twenty times.
//   - client_test.go: what one of those clients does.
//   - oracle_test.go: what must be true afterwards, known from the answers alone.
//   - kafka_writes_test.go: what those clients do of which only the topics tell.
//   - kafka_consumer_test.go: plain Kafka clients beside the storm.
//   - kafka_topics_test.go: what the topics must tell, and in which order.
//   - kafka_journal_test.go: that, known from the journal.
//   - kafka_values_test.go: what a record must look like.
//   - start_test.go: killed while it makes its data dir.
//   - sever_test.go: killed while it repairs the neighbours of a deleted account.
//
// A failure prints its seed; KITH_CRASH_SEED runs the same choices again (what
// the scheduler does is not repeated).
package crash_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

// seed returns the seed of a test's choices.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if given := os.Getenv("KITH_CRASH_SEED"); given != "" {
		var err error
		if s, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KITH_CRASH_SEED: %v", err)
		}
	}
	t.Logf("KITH_CRASH_SEED=%d", s)
	return s
}
