package search_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"kith/test/kithtest"
)

// swift does searches while the engine is known to be away, and wants it not to be
// asked, and 99 of 100 of them to take less than one that waits for it. Others may
// search meanwhile.
func (w *world) swift(what, q string, usernames ...string) {
	w.t.Helper()
	const searches = 200
	asked, slow := w.metric(searchSeries), 0
	times := make([]time.Duration, searches)
	for i := range times {
		began := time.Now()
		a := w.page(q, 100, "")
		if times[i] = time.Since(began); times[i] >= engineTimeout {
			slow++
		}
		if slow > searches/100 {
			w.t.Fatalf("%d of %d searches took more than %s while the engine is away", slow, i+1, engineTimeout)
		}
		if found := namesOf([]*kithtest.Answer{a}); !slices.Equal(found, usernames) {
			w.t.Fatalf("%q finds %v", q, found)
		}
	}
	slices.Sort(times)
	p99 := times[searches*99/100-1]
	w.t.Logf("%s: searches take %s, 99 of 100 at most %s, the slowest %s", what, times[searches/2], p99, times[searches-1])
	if n := w.metric(searchSeries) - asked; n > 0 {
		w.t.Errorf("the engine, which is away, was asked %v times", n)
	}
}

// silent is an engine that takes connections and answers nothing.
func silent(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	g := newGate(t, at)
	x := newIndex(t, at)
	_ = g.silence()
	began := time.Now()
	w := begin(t, x, g.URL, o) // needs no answer
	t.Logf("started in %s", time.Since(began))
	ada := w.join("silent_ada", "Silent Ada")
	if found := namesOf(w.pages("silent", 10)); !slices.Equal(found, []string{"silent_ada"}) {
		t.Errorf("found %v", found)
	}
	w.gauge("kith_search_away", 1)
	w.swift("silent from the start", "silent", "silent_ada")
	w.gauge("kith_index_away", 1)
	w.degraded(true)
	if w.lag() == 0 {
		t.Error("there is no lag")
	}
	g.open() // who has asked is never answered, who asks again is
	w.gauge("kith_search_away", 0)
	w.finds("silent", "silent_ada")
	w.degraded(false)
	w.caughtUp()

	end := g.silence()
	asked, slow := w.metric(searchSeries), 0
	for w.metric("kith_search_away") == 0 {
		began := time.Now()
		w.page("silent", 100, "")
		if time.Since(began) >= engineTimeout {
			slow++
		}
	}
	// The first waits, and those that come while the engine is looked at: a timeout.
	if n := w.metric(searchSeries) - asked; n > 10 {
		t.Errorf("%v searches asked a silent engine", n)
	}
	t.Logf("%d searches waited for a silent engine", slow)
	ada.becomes("name", "Loud Ada")
	bob := w.join("silent_bob", "Silent Bob")
	w.swift("silent later", "silent", "silent_ada", "silent_bob")
	bob.leaves()
	w.degraded(true)
	w.Stop() // in the time that it promises
	end()
	w.Launch()
	w.AwaitReady()
	w.hasNot(bob)
	w.has(ada)
	w.caughtUp()
	w.finds("loud", "silent_ada")
	w.degraded(false)
}

// refuses is an engine that finds, and takes no documents.
func refuses(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	g := newGate(t, at)
	x := newIndex(t, at)
	w := begin(t, x, g.URL, o)
	w.caughtUp()
	l := w.run("refused")
	l.goOn(t, 20)
	lost := func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if !calls(r, "_bulk") {
			return false
		}
		// The engine does as it is told, and nobody hears of it.
		if again, err := http.NewRequestWithContext(r.Context(), r.Method, at+r.URL.RequestURI(), bytes.NewReader(body)); err == nil {
			again.Header = r.Header
			if answer, err := http.DefaultTransport.RoundTrip(again); err == nil {
				_ = answer.Body.Close() // as said
			}
		}
		panic(http.ErrAbortHandler)
	}
	for _, fault := range []struct {
		name string
		rule rule
	}{
		{"503", refusing("_bulk", http.StatusServiceUnavailable)},
		{"429", refusing("_bulk", http.StatusTooManyRequests)},
		{"the answer is lost", lost},
	} {
		g.follow(fault.rule)
		failed := w.metric("kith_index_failures_total")
		soon(t, fault.name+" is noticed", func() bool { return w.metric("kith_index_failures_total") > failed })
		l.goOn(t, 20)
	}
	x.block(true) // refuses each document alone
	g.open()
	failed := w.metric("kith_index_failures_total")
	soon(t, "it is noticed", func() bool { return w.metric("kith_index_failures_total") > failed })
	w.degraded(true)
	w.gauge("kith_index_away", 1)
	behind := w.lag()
	l.goOn(t, 30)
	soon(t, "the lag grows", func() bool { return w.lag() > behind })
	w.join("newcomer", "Somebody")
	if found := namesOf(w.pages("newcomer", 10)); len(found) != 1 { // by the database, for the engine does not know
		t.Errorf("found %v", found)
	}
	x.block(false)
	w.degraded(false)
	w.gauge("kith_index_away", 0)
	l.goOn(t, 20)
	l.end()
	w.caughtUp()
	t.Log(fmt.Sprint(l.writes.Load()), "writes,", l.searches.Load(), "searches")
}
