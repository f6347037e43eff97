package search_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/test/kithtest"
	"kith/test/services"
)

// pager pages through people who stay, from whoever answers to whoever does next.
type pager struct {
	w      *world
	cursor string
	found  []string
}

const (
	pagedPeople = 12
	pagedAtOnce = 3
)

func (p *pager) next() {
	p.w.t.Helper()
	a := p.w.page("paged", pagedAtOnce, p.cursor)
	p.found = append(p.found, namesOf([]*kithtest.Answer{a})...)
	p.cursor = ""
	if a.NextCursor != nil {
		p.cursor = *a.NextCursor
	}
}

// nextByEngine takes the next page as the engine gives it.
func (p *pager) nextByEngine() {
	p.w.t.Helper()
	before := *p
	p.w.byEngine(func() {
		*p = before
		p.next()
	})
}

// victim is a server whose engine is killed.
type victim struct {
	*world

	load  *load
	pager *pager
	used  string // the index
}

// killed kills the engine of two servers, on both kinds of databases, under load, and
// the servers while it is away.
func killed(t *testing.T, _ string, _ kithtest.Options) { //nolint:thelper // a test
	own := services.StartSearch(t, services.SearchConfig{})
	var victims []*victim
	for _, kind := range both {
		w := begin(t, newIndex(t, own.URL()), own.URL(), kind.make(t))
		victims = append(victims, &victim{world: w, pager: &pager{w: w}})
	}
	for _, v := range victims {
		v.live()
	}
	own.Kill()
	for _, v := range victims {
		v.goOnWithout()
	}
	for _, v := range victims {
		v.dieWithout()
	}
	own.Start()
	for _, v := range victims {
		v.comeBack()
	}
}

// live pages by the engine, under load.
func (v *victim) live() {
	v.t.Helper()
	for i := range pagedPeople {
		if i%2 == 0 {
			v.join(fmt.Sprintf("paged_%02d", i), "Somebody")
		} else {
			v.join(fmt.Sprintf("other_%02d", i), "Paged Somebody")
		}
	}
	v.caughtUp()
	v.used = v.index.only()
	v.pager.nextByEngine()
	v.load = v.run("busy")
	v.load.goOn(v.t, 30)
	v.degraded(false)
}

// goOnWithout is the time when the engine is away.
func (v *victim) goOnWithout() {
	v.t.Helper()
	v.pager.next()
	v.gauge("kith_search_away", 1)
	behind := v.lag()
	v.load.goOn(v.t, 50)
	soon(v.t, "the lag grows", func() bool { return v.lag() > behind+20 })
	v.swift("killed", "paged_0", "paged_00", "paged_02", "paged_04", "paged_06", "paged_08")
	v.gauge("kith_index_away", 1)
	v.degraded(true)
	v.launch(nil, "reindex").fails()
}

// dieWithout kills the server, too. What the engine was not told is known again.
func (v *victim) dieWithout() {
	v.t.Helper()
	v.load.end()
	behind := v.lag()
	began := time.Now()
	v.Restart()
	v.t.Logf("started in %s without the engine", time.Since(began))
	soon(v.t, "the lag is known", func() bool { return v.lag() >= behind })
	v.pager.next()
	v.degraded(true)
	v.load = v.run("brave")
	v.load.goOn(v.t, 30)
}

// comeBack wants everything to be as if nothing had been.
func (v *victim) comeBack() {
	v.t.Helper()
	began := time.Now()
	v.gauge("kith_search_away", 0)
	v.degraded(false)
	soon(v.t, "the lag is small while people go on", func() bool { return v.lag() < 20 })
	v.t.Logf("the lag is gone after %s", time.Since(began))
	v.pager.nextByEngine()
	v.load.goOn(v.t, 10)
	v.load.end()
	v.caughtUp()
	if used := v.index.only(); used != v.used {
		v.t.Errorf("the index is %s, and was %s", used, v.used)
	}
	var all []string
	for i := 0; i < pagedPeople; i += 2 {
		all = append(all, fmt.Sprintf("paged_%02d", i))
	}
	for i := 1; i < pagedPeople; i += 2 {
		all = append(all, fmt.Sprintf("other_%02d", i))
	}
	if !slices.Equal(v.pager.found, all) || v.pager.cursor != "" {
		v.t.Errorf("paging through it all found %v, cursor %q", v.pager.found, v.pager.cursor)
	}
	if strings.Contains(v.Log(), "level=ERROR") {
		v.t.Error("the log holds an error")
	}
}
