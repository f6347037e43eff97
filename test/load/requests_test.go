package main

import (
	"errors"
	mathrand "math/rand/v2"
	"strings"
	"testing"
)

// Every kind of load has requests, and none is content with an answer that does
// not hold what was asked for.
func TestRequestsTellRightAnswersFromWrongOnes(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 500)
	p.Active = 100
	if err := p.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	row := `{"username":"x"}`
	rows := func(n int) string { return `{"status":"success","users":[` + strings.Repeat(row, n) + `]}` }
	results := func(n int) string {
		return `{"results":[` + strings.Repeat(`{"status":"created"}`, n) + `{"status":"duplicate"}]}`
	}
	for _, x := range []struct {
		job
		path, right, wrong string
	}{
		{job{Kind: loadList, Pages: 3, Offset: 60}, "GET /users/list?limit=20&offset=", rows(20), rows(19)},
		{job{Kind: loadSearch}, "GET /users/search?limit=20&q=", rows(1), rows(0)},
		{job{Kind: loadFollowers}, "GET /users/user_", rows(6), rows(5)},
		{job{Kind: loadFollowers, Anybody: true}, "GET /users/user_", rows(20), rows(21)},
		{job{Kind: loadEvent}, "POST /users/self/events", `{"event":{}}`, `{}`},
		{job{Kind: loadEvents}, "POST /users/self/events", results(eventsBatch), results(eventsBatch - 1)},
	} {
		draw, err := x.source(p)
		if err != nil {
			t.Fatal(err)
		}
		r := request{rng: mathrand.New(mathrand.NewPCG(1, 1))}
		for i := range 50 {
			if !draw(i, &r) {
				t.Fatalf("%s has no requests left after %d", x.Kind, i)
			}
			if !strings.HasPrefix(string(r.raw), x.path) || !strings.Contains(string(r.raw), "Bearer ey") {
				t.Fatalf("%s asks %.100q", x.Kind, r.raw)
			}
			if err := r.check([]byte(x.right)); err != nil {
				t.Errorf("%s: %s: %v", x.Kind, x.right, err)
			}
			if err := r.check([]byte(x.wrong)); !errors.Is(err, errAnswer) {
				t.Errorf("%s: %s: error %v, want %v", x.Kind, x.wrong, err, errAnswer)
			}
		}
	}
	if _, err := (&job{Kind: "nothing"}).source(p); err == nil {
		t.Error("there are requests of a kind that does not exist")
	}
}

func TestMetricIsFound(t *testing.T) {
	t.Parallel()
	text := []byte("# HELP kith_lag x\nkith_lag{tail=\"effects\"} 3\nkith_lag{tail=\"broker\"} 1.5e+06\n")
	if v, ok := metric(text, `kith_lag{tail="broker"}`); !ok || v != 1.5e6 {
		t.Errorf("%g, %t", v, ok)
	}
	if _, ok := metric(text, "kith_lag"); ok {
		t.Error("a series without its labels is found")
	}
}
