package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kith/test/services"
	"kith/test/services/server"
)

// report is what tests say that were left out.
type report struct{ path string }

func newReport(dir string) report { return report{filepath.Join(dir, "left-out")} }

// env is what tells tests where to say it.
func (r report) env() string { return services.LeftOutVariable + "=" + r.path }

// byKind returns, for each kind of server that was missed, the packages that did
// so, with how many tests.
func (r report) byKind() map[server.Kind]map[string]int {
	content, err := os.ReadFile(r.path)
	if err != nil {
		return nil // nobody wrote it
	}
	counts := make(map[server.Kind]map[string]int)
	for line := range strings.Lines(string(content)) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), "\t")
		pkg, _, _ := strings.Cut(rest, "\t")
		k := server.Kind(kind)
		if counts[k] == nil {
			counts[k] = make(map[string]int)
		}
		counts[k][pkg]++
	}
	return counts
}

// leftOut says, as the last thing, what was not tested.
func (r *runner) leftOut(left report, missing []server.Kind) {
	counts := left.byKind()
	for _, k := range missing {
		if len(counts[k]) == 0 {
			r.say("%s is not installed; no test that was run wanted it", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		r.say("LEFT OUT, because %s is not there (`make services` gets it):", k)
		for _, pkg := range slices.Sorted(maps.Keys(counts[k])) {
			r.say("  %4d tests of %s", counts[k][pkg], pkg)
		}
	}
}
