package apifuzz_test

import (
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// seed returns what all requests are made from.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := rand.Uint64()
	if given := os.Getenv("KITH_FUZZ_SEED"); given != "" {
		var err error
		if n, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KITH_FUZZ_SEED: %v", err)
		}
	}
	t.Logf("KITH_FUZZ_SEED=%d", n)
	return n
}

// numbers returns random numbers for one purpose, whatever else there is.
func numbers(seed uint64, purpose string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// fuzz sends requests, judges the answers and counts them. It may be used
// concurrently.
type fuzz struct {
	t     *testing.T
	world *world

	mu       sync.Mutex
	sent     int
	failures int
	seen     map[string]map[string]int // by operation and status
}

func newFuzz(t *testing.T, w *world) *fuzz {
	t.Helper()
	f := &fuzz{t: t, world: w, seen: make(map[string]map[string]int)}
	for _, o := range w.operations {
		f.seen[o.ID] = make(map[string]int)
	}
	return f
}

// maxFailures is how many failures are told: one cause has many.
const maxFailures = 40

// send sends one request and judges the answer, which is never nil.
func (f *fuzz) send(link *wire, r *request) *answer {
	a, err := link.do(r)
	wrong := ""
	if err != nil {
		a, wrong = &answer{header: http.Header{}}, err.Error()
	} else {
		wrong = f.world.judge(r, a)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	if r.operation != nil && err == nil {
		f.seen[r.operation.ID][strconv.Itoa(a.status)]++
	}
	if a.status == http.StatusServiceUnavailable {
		f.t.Logf("503\n  %s\n  %s", r, a)
	}
	if wrong != "" {
		if f.failures++; f.failures <= maxFailures {
			f.t.Errorf("%s\n  %s\n  %s", wrong, r, a)
		}
	}
	return a
}

// workers is how many requests are under way at a time.
const workers = 4

// sendAll sends requests on several connections.
func (f *fuzz) sendAll(all []*request) {
	queue := make(chan *request)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			link := &wire{address: f.world.address}
			defer link.close()
			for r := range queue {
				f.send(link, r)
			}
		})
	}
	for _, r := range all {
		queue <- r
	}
	close(queue)
	wg.Wait()
}

// unprovoked are the documented statuses that this test cannot bring about, with
// what it would take. "*" stands for every operation.
var unprovoked = map[string]string{
	"* 500":                   "a fault in the server",
	"* 503":                   "a database that is away, or a full queue",
	"* 408":                   "a body that takes half a minute to arrive",
	"* 429":                   "limits, which the other test sets",
	"follow-crew-members 422": "10,000 follows",
	"follow-studios 422":      "10,000 follows",
}

// uncovered returns the documented statuses that were not seen and should have
// been.
func (f *fuzz) uncovered() []string {
	var missing []string
	for _, o := range f.world.operations {
		for _, status := range o.statuses() {
			_, always := unprovoked["* "+status]
			_, here := unprovoked[o.ID+" "+status]
			if !always && !here && f.seen[o.ID][status] == 0 {
				missing = append(missing, o.ID+" "+status)
			}
		}
	}
	return missing
}

// report logs what was seen, an operation a line.
func (f *fuzz) report() {
	var table strings.Builder
	for _, o := range f.world.operations {
		table.WriteString("\n" + o.ID + strings.Repeat(" ", max(1, 28-len(o.ID))))
		for _, status := range slices.Sorted(maps.Keys(f.seen[o.ID])) {
			table.WriteString("  " + status + "×" + strconv.Itoa(f.seen[o.ID][status]))
		}
	}
	f.t.Logf("%d requests%s", f.sent, table.String())
}

func TestTheServerIsAsItDescribesItself(t *testing.T) {
	t.Parallel()
	n := seed(t)
	w := begin(t, numbers(n, "people"))
	w.populate(t)
	f := newFuzz(t, w)
	var all []*request
	for _, o := range w.operations {
		all = append(all, w.requestsFor(o, numbers(n, o.ID), os.Getenv("KITH_FUZZ_ALL") != "")...)
	}
	for _, path := range slices.Sorted(maps.Keys(w.Paths)) {
		all = append(all, w.methodsOf(path, numbers(n, path))...)
	}
	f.sendAll(all)
	w.play(t, f, numbers(n, "scenarios"))
	f.report()
	if missing := f.uncovered(); len(missing) > 0 {
		t.Errorf("these documented statuses were not seen: %s", strings.Join(missing, ", "))
	}
	w.Settle()
}

// few are limits that a handful of requests reaches, once the people are there.
func few() []string {
	return []string{
		"KITH_LIMIT_AVAILABILITY=3/min", "KITH_LIMIT_REGISTER=6/min", "KITH_LIMIT_LOGIN=3/min", "KITH_LIMIT_USER=3/min", "KITH_LIMIT_EVENTS=3/min",
	}
}

func TestEveryLimitedRouteSaysSo(t *testing.T) {
	t.Parallel()
	n := seed(t)
	w := begin(t, numbers(n, "people"), few()...)
	f := newFuzz(t, w)
	link := &wire{address: w.address}
	defer link.close()
	outside := w.outside()
	limited := 0
	for _, o := range w.operations {
		if !o.documents("429") {
			continue
		}
		limited++
		m := &maker{world: w, document: w.document, values: values{w.document, numbers(n, o.ID)}, o: o}
		for range 8 {
			r := m.base()
			r.what = "once more"
			if o.ID == "create-user" { // others are limited by whom they are for
				r.header = [][2]string{{"Authorization", "Bearer " + outside}}
			}
			if f.send(link, r).status == http.StatusTooManyRequests {
				break
			}
		}
		if f.seen[o.ID]["429"] == 0 {
			t.Errorf("%s has no limit, or it is not told: %v", o.ID, f.seen[o.ID])
		}
	}
	if limited == 0 {
		t.Error("no operation documents a limit")
	}
	f.report()
}
