package kithtest

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// Verification is what `kith verify` said.
type Verification struct {
	Result

	Counts map[string]int // by the words that stand before each number
}

// Verify runs `kith verify`.
func (s *Server) Verify() Verification {
	s.tb.Helper()
	v := Verification{Result: s.Command("verify"), Counts: make(map[string]int)}
	for line := range strings.Lines(v.Stdout) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		if n, err := strconv.Atoi(words[len(words)-1]); err == nil {
			// The words stand in front or behind in no other place than here.
			v.Counts[strings.Join(words[:len(words)-1], " ")] = n
		}
	}
	return v
}

// Pending is how much is still on its way between users; -1 when the report does
// not say.
func (v Verification) Pending() int {
	pending, lines := 0, 0
	for what, n := range v.Counts {
		if strings.HasPrefix(what, "pending: ") {
			pending, lines = pending+n, lines+1
		}
	}
	if lines == 0 {
		return -1
	}
	return pending
}

const (
	// settleTime bounds how long effects are on their way on a busy machine.
	settleTime = time.Minute
	settlePoll = 100 * time.Millisecond
)

// Settle waits until nothing is on its way between users any more, and wants the
// stored data to be consistent, then and all the time before.
func (s *Server) Settle() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), settleTime)
	defer cancel()
	var last Verification
	if !Poll(ctx, settlePoll, func() bool {
		last = s.Verify()
		if last.Code != 0 {
			s.tb.Fatalf("kith verify: exit code %d\n%s%s", last.Code, last.Stdout, last.Stderr)
		}
		return last.Pending() == 0
	}) {
		s.tb.Fatalf("effects are still on their way after %s:\n%s", settleTime, last.Stdout)
	}
}
