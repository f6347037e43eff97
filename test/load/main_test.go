package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-scale", "0"}, {"-only", "lookup,nothing"}, {"more"}, {"-scale", "-1"}, {"-env", "GOGC"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	o, err := parseOptions([]string{"-only", "lookup,activation", "-scale", "0.05"})
	if err != nil {
		t.Fatal(err)
	}
	b := bench{options: o}
	if !b.wants(phaseLookup) || !b.wants(phaseActivation) || b.wants(phaseFollow) {
		t.Errorf("-only lookup,activation runs %v", o.only)
	}
}
