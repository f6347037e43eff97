package search_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// builds is the first start with an engine of a server that has users already.
func builds(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	x := newIndex(t, at)
	w := prepare(t, x, o)
	w.start() // without
	w.seeker = w.join("seeker_of_all", "Nobody")
	for i := range 40 {
		p := w.join(fmt.Sprintf("early_%d", i), "Early Bird")
		if i%4 == 0 {
			p.leaves()
		}
	}
	if r := w.Command("reindex"); r.Code != 1 || r.Stdout != "" || !oneLine(r.Stderr) || !strings.Contains(r.Stderr, "KITH_SEARCH_URL") {
		t.Errorf("reindex without an engine: %+v", r)
	}
	without := w.pages("bird", 7)
	w.Stop()
	if all := x.indexes(x.alias + "*"); len(all) > 0 {
		t.Fatalf("there are %v", all)
	}

	w.start(x.setting(at))
	w.gauge("kith_index_rebuilt_users_total", 31)
	w.caughtUp()
	used := x.only()
	w.byEngine(func() {
		if with := w.pages("bird", 7); strings.Join(namesOf(with), " ") != strings.Join(namesOf(without), " ") {
			t.Errorf("with an engine %v, without %v", namesOf(with), namesOf(without))
		}
	})
	w.finds("late")
	late := w.join("later", "Late Bird")
	w.has(late)

	// The next start finds it, and what nobody told it.
	w.Restart()
	w.finds("late", "later")
	w.caughtUp()
	if again := x.only(); again != used || w.metric("kith_index_rebuilt_users_total") != 0 {
		t.Errorf("a restart made another index: %s, %s", used, again)
	}
}

// rebuilds is an engine that loses its index while the server runs. The next change
// brings it back, whole, and so does some time without one; until then the database
// answers.
func rebuilds(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	x := newIndex(t, at)
	w := begin(t, x, at, o)
	var people []person
	for i := range 30 {
		people = append(people, w.join(fmt.Sprintf("loser_%02d", i), "Loser"))
	}
	w.caughtUp()
	for _, change := range []struct {
		what string
		do   func()
	}{
		{"somebody registers", func() { people = append(people, w.join("loser_new", "Loser")) }},
		{"somebody is called otherwise", func() { people[3].becomes("name", "Winner") }},
		{"somebody leaves", func() {
			people[0].leaves()
			people = people[1:]
		}},
		{"nobody does anything", func() {}},
	} {
		lost := x.only()
		x.ask(http.MethodDelete, "/"+lost, nil, nil)
		finds := func() {
			if found := namesOf(w.pages("loser_", 10)); len(found) != len(people) {
				t.Errorf("%s: found %v", change.what, found)
			}
		}
		before := w.metric(fallbackSeries)
		finds()
		if w.metric(fallbackSeries) == before {
			t.Error("nobody knows who answered")
		}
		change.do()
		soon(t, change.what+": there is an index", func() bool {
			used := x.indexes(x.alias)
			return len(used) == 1 && used[0] != lost
		})
		w.caughtUp()
		w.byEngine(finds)
		if x.only() == x.alias {
			t.Errorf("%s: the index is one that nobody made", change.what)
		}
	}
	w.degraded(false)
}
