// Package apifuzz_test holds the real binary to its own description: it reads
// /openapi.json, makes requests for every operation from the schemas there, valid
// ones, ones on the boundary and broken ones, and judges every answer by what is
// documented for it.
//
//   - document_test.go: the description as far as it is read, and which operation a
//     path belongs to.
//   - schema_test.go: whether a value is what a schema says. A keyword that is not
//     understood fails, so that nothing is documented in vain.
//   - values_test.go: JSON values and parameters made from schemas.
//   - requests_test.go: requests made for one operation; bodies_test.go: their bodies.
//   - scenarios_test.go: what takes more than one request, for the statuses that no
//     single one reaches.
//   - wire_test.go: sends requests as they are, also those that no client sends.
//   - judge_test.go: what must hold of every answer.
//   - world_test.go: the people and the tokens of the requests.
//   - fuzz_test.go: the tests, and which statuses must have been seen.
//
// The requests are a function of a seed, which is logged; KITH_FUZZ_SEED repeats
// one, though not the order in which their answers come. A run sends a part of
// them; KITH_FUZZ_ALL=1 sends all. With -v the answers are counted by operation
// and status.
//
// schemathesis.sh is a second opinion, from another program: make api-fuzz.
package apifuzz_test

import (
	"testing"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }
