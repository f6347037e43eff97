package search_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/test/kithtest"
)

const (
	// busy is how many people do things all the time, and pace how often each does
	// one.
	busy = 3
	pace = 60 * time.Millisecond
)

// load is people who register, are renamed, delete themselves and search, all the
// time. All of it must succeed, and who has left is never found.
type load struct {
	w        *world
	stop     context.CancelFunc
	done     sync.WaitGroup
	writes   atomic.Int64
	searches atomic.Int64
}

// run begins a load; names tells its people from those of others of the world.
func (w *world) run(names string) *load {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	l := &load{w: w, stop: cancel}
	for i := range busy {
		l.done.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				l.live(context.WithoutCancel(ctx), fmt.Sprintf("%s_%d_%d", names, i, n), n%3 == 0, ticker.C)
			}
		})
	}
	w.t.Cleanup(l.end)
	return l
}

// end returns when everything is answered.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// live is one life, a step at a time. Every step is answered.
func (l *load) live(ctx context.Context, username string, leaves bool, next <-chan time.Time) {
	c := l.w.outsider(username)
	ok := l.step(ctx, http.StatusCreated, &l.writes, c, joining(username, "Busy "+username)) != nil
	<-next
	for _, name := range []string{"Bee", "Bumble Bee"} {
		ok = ok && l.step(ctx, http.StatusOK, &l.writes, c, kithtest.Request{Method: http.MethodPut, Path: "/users/self", Body: map[string]string{"name": name}}) != nil
		<-next
	}
	if !ok {
		return
	}
	if leaves {
		l.step(ctx, http.StatusOK, &l.writes, c, kithtest.Request{Method: http.MethodDelete, Path: "/users/self"})
		c = l.w.seeker.client()
	}
	a := l.step(ctx, http.StatusOK, &l.searches, c, kithtest.Request{Method: http.MethodGet, Path: searching(username, 100, "")})
	if leaves && a != nil {
		for _, u := range a.Users {
			if u.Username == username {
				l.w.t.Errorf("%s has left and is found", username)
			}
		}
	}
	<-next
}

// step does one thing, and returns nil when it fails.
func (l *load) step(ctx context.Context, status int, count *atomic.Int64, c *kithtest.Client, r kithtest.Request) *kithtest.Answer {
	a, err := c.Do(ctx, r)
	if err != nil || a.Status != status {
		l.w.t.Errorf("%s %s: %v %s", r.Method, r.Path, err, a)
		return nil
	}
	count.Add(1)
	return a
}

// goOn waits until there are more writes and searches than now.
func (l *load) goOn(t *testing.T, writes int64) {
	t.Helper()
	written, searched := l.writes.Load()+writes, l.searches.Load()+writes/10
	soon(t, "people go on", func() bool { return l.writes.Load() >= written && l.searches.Load() >= searched })
}
