package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	idleSockets = 10_000
	idleDegree  = 20
	idleGoal    = 15 << 10 // bytes
	idleAim     = 8 << 10  // for information
)

// idleMemory is what an idle socket takes, in bytes.
type idleMemory struct {
	rss, heap, stack float64
}

// measureIdleSockets measures what idle sockets take, each of a user of its own: what
// is cached of the users counts too. It does the same on the floor.
func (b *bench) measureIdleSockets(ctx context.Context) (err error) {
	n := b.scaled(idleSockets, 500)
	people, err := newPopulation(n, idleDegree, 5)
	if err != nil {
		return err
	}
	l, err := b.startLive(ctx, phaseSocketsIdle, people, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	kith, err := b.idleSockets(ctx, l, n)
	if err != nil {
		return err
	}
	bare, err := b.idleFloor(ctx, &l.setup, n)
	if err != nil {
		return err
	}
	b.say("idle sockets: %.2f KB, heap %.2f, stacks %.2f; bare %.2f KB", kith.rss/1024, kith.heap/1024, kith.stack/1024, bare/1024)
	b.report.add(fmt.Sprintf("an idle socket of %s users who follow %d: RSS ≤ %d KB", thousands(float64(n)), len(people.Offsets), idleGoal>>10),
		fmt.Sprintf("%.2f KB (heap %.2f KB, stacks %.2f KB)", kith.rss/1024, kith.heap/1024, kith.stack/1024), met(kith.rss <= idleGoal))
	b.report.add(fmt.Sprintf("for information: the same ≤ %d KB", idleAim>>10), fmt.Sprintf("%.2f × %d KB", kith.rss/idleAim, idleAim>>10), unjudged)
	b.report.add("for information: the same on a bare handler of coder/websocket", fmt.Sprintf("%.2f KB; kith %.2f × it", bare/1024, kith.rss/bare), unjudged)
	b.reportCloses("idle sockets", n, &l.crowd.last)
	return nil
}

// idleSockets opens sockets to kith and returns what each takes.
func (b *bench) idleSockets(ctx context.Context, l *live, n int) (m idleMemory, err error) {
	type state struct{ rss, heap, stack float64 }
	look := func() (x state, err error) {
		rss, err := l.collected(ctx)
		if err != nil {
			return x, err
		}
		x.rss = float64(rss)
		if x.heap, err = l.metric(ctx, "go_memstats_heap_inuse_bytes"); err != nil {
			return x, err
		}
		x.stack, err = l.metric(ctx, "go_memstats_stack_inuse_bytes")
		return x, err
	}
	before, err := look()
	if err != nil {
		return m, err
	}
	if err := l.listen(b, n); err != nil {
		return m, err
	}
	after, err := look()
	if err != nil {
		return m, err
	}
	// All of them are still there.
	if _, err := l.crowd.do(order{Do: orderCount}); err != nil {
		return m, err
	}
	if open, err := l.metric(ctx, "kith_live_sockets"); err != nil || int(open) != n {
		return m, fmt.Errorf("kith has %.0f sockets of %d open: %w", open, n, err)
	}
	each := func(before, after float64) float64 { return (after - before) / float64(n) }
	m = idleMemory{each(before.rss, after.rss), each(before.heap, after.heap), each(before.stack, after.stack)}
	return m, b.heapOf(ctx, l.server, phaseSocketsIdle)
}

// heapOf writes what is on the heap of kith, when profiles were asked for.
func (b *bench) heapOf(ctx context.Context, s *server, name string) error {
	if b.profileDir == "" {
		return nil
	}
	heap, err := get(ctx, "http://"+s.ops+collectPath)
	if err == nil {
		err = os.WriteFile(filepath.Join(b.profileDir, name+"-heap.pprof"), heap, 0o600)
	}
	if err != nil {
		return fmt.Errorf("profile kith: %w", err)
	}
	return nil
}

// idleFloor returns the RSS of a socket of the floor.
func (b *bench) idleFloor(ctx context.Context, on *setup, n int) (each float64, err error) {
	s, err := startFloor(ctx, on, []byte(floorReady))
	defer func() { err = errors.Join(err, s.end()) }()
	if err != nil {
		return 0, err
	}
	c, err := s.startCrowd(ctx, n)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	before, err := s.collected(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := c.do(order{Do: orderOpen, Sockets: n}); err != nil {
		return 0, err
	}
	after, err := s.collected(ctx)
	return float64(after-before) / float64(n), err
}
