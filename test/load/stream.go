package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// crowdProcess is a running crowd.
type crowdProcess struct {
	*generator

	outcomes *json.Decoder
	last     streamed
	sample   []byte // a frame of activity
}

// startCrowd starts a crowd of so many sockets at most, none of which is open yet.
func (s *server) startCrowd(ctx context.Context, sockets int) (*crowdProcess, error) {
	g, err := startTalking(ctx, filepath.Dir(s.log), roleCrowd, crowdJob{Addr: s.addr, People: s.saved, Sockets: sockets})
	if err != nil {
		return nil, err
	}
	return &crowdProcess{generator: g, outcomes: json.NewDecoder(g.lines)}, nil
}

// do has an order done and returns what came of it.
func (c *crowdProcess) do(o order) (streamed, error) {
	var s streamed
	if err := c.send(o); err != nil {
		return s, errors.Join(err, c.abandon())
	}
	if err := c.outcomes.Decode(&s); err != nil {
		return s, errors.Join(fmt.Errorf("read what came of the order %q: %w", o.Do, err), c.abandon())
	}
	if c.last = s; s.Sample != nil {
		c.sample = s.Sample
	}
	return s, nil
}

// end hangs up and ends a crowd that may not have been started, or has ended.
func (c *crowdProcess) end() error {
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil // whoever ordered was told
	default:
	}
	if err := c.stdin.Close(); err != nil {
		return fmt.Errorf("end the crowd: %w", err)
	}
	if _, err := io.Copy(io.Discard, c.answers); err != nil {
		return fmt.Errorf("end the crowd: %w", err)
	}
	return c.wait()
}

// live is a kith with a crowd that follows what goes on there.
type live struct {
	*world

	crowd *crowdProcess
}

// startLive loads people into a new kith, and starts a crowd.
func (b *bench) startLive(ctx context.Context, name string, people *population, sockets int) (l *live, err error) {
	l = &live{}
	if l.world, err = b.startWorld(ctx, name, nil, people, tails()); err != nil {
		return nil, err
	}
	if l.crowd, err = l.startCrowd(ctx, sockets); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// close ends both.
func (l *live) close() error { return errors.Join(l.crowd.end(), l.world.close()) }

// allFollow has everybody follow one user.
func (l *live) allFollow(ctx context.Context, star int) error {
	f := follower{s: l.server}
	_, err := f.round(ctx, job{Kind: loadStar, Connections: followConns, Star: star})
	return err
}

// listen opens sockets.
func (l *live) listen(b *bench, n int) error {
	b.say("opening %d sockets", n)
	_, err := l.crowd.do(order{Do: orderOpen, Sockets: n})
	return err
}

// measured is an order and what it cost.
type measured struct {
	streamed

	cpu    time.Duration // of the server
	writes int64         // system calls of the server, those to its database too
}

// each returns the CPU for each of n, in µs.
func (m *measured) each(n int) float64 { return float64(m.cpu.Microseconds()) / float64(n) }

// perWrite returns how many frames of activity each system call wrote.
func (m *measured) perWrite() float64 { return float64(m.Frames) / float64(m.writes) }

// rate returns how many of n there were a second.
func (s *streamed) rate(n int) float64 { return float64(n) / s.Elapsed.Seconds() }

// cost has an order done and returns what it cost the server.
func (s *server) cost(ctx context.Context, c *crowdProcess, o order) (m measured, err error) {
	before, err := s.cpu()
	if err != nil {
		return m, err
	}
	writes, err := s.writes()
	if err != nil {
		return m, err
	}
	if m.streamed, err = c.do(o); err != nil {
		return m, err
	}
	if err := s.quiet(ctx); err != nil {
		return m, err
	}
	after, err := s.cpu()
	if err != nil {
		return m, err
	}
	m.writes, err = s.writes()
	m.cpu, m.writes = after-before, m.writes-writes
	return m, err
}

// frameTimeout bounds how long frames may be on their way.
const frameTimeout = 10 * time.Second

// sameFrames checks that kith has counted as many frames as have arrived. Heartbeats
// and cursors go on meanwhile, so it looks until both agree.
func (l *live) sameFrames(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, frameTimeout)
	defer cancel()
	pace := time.NewTicker(4 * settlePace)
	defer pace.Stop()
	for {
		written, err := l.metric(ctx, "kith_live_frames_total")
		if err != nil {
			return err
		}
		s, err := l.crowd.do(order{Do: orderCount})
		if err != nil {
			return err
		}
		if int(written) == s.All || s.closes() > 0 { // frames of closed sockets are nowhere
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kith says that it has written %.0f frames, %d have arrived: %w", written, s.All, ctx.Err())
		case <-pace.C:
		}
	}
}

// metric returns the value of a series of kith.
func (s *server) metric(ctx context.Context, series string) (float64, error) {
	body, err := get(ctx, "http://"+s.ops+"/metrics")
	if err != nil {
		return 0, err
	}
	value, ok := metric(body, series)
	if !ok {
		return 0, fmt.Errorf("%s has no series %s", s.name, series)
	}
	return value, nil
}

// reportCloses adds the row of how many healthy sockets were closed.
func (b *bench) reportCloses(what string, sockets int, s *streamed) {
	measured := fmt.Sprintf("%d of %s", s.closes(), thousands(float64(sockets)))
	if s.closes() > 0 {
		measured += fmt.Sprintf(", by code %v", s.Closes)
	}
	b.report.add(what+": no healthy socket closed", measured, met(s.closes() == 0))
}

// collectPath is where a server collects its garbage when it is asked.
const collectPath = "/debug/pprof/heap"

const (
	calmShare = 0.002 // of the memory
	calmPace  = time.Second
	calmTries = 15
)

// collected returns how much memory a server has when it has given back what it
// can: it collects garbage, and then the system gets it back bit by bit.
func (s *server) collected(ctx context.Context) (bytes int64, err error) {
	tick := time.NewTicker(calmPace)
	defer tick.Stop()
	for range calmTries {
		// What finalizers of the first let go, the second frees.
		for range 2 {
			// The floor has one listener for all.
			if _, err := get(ctx, "http://"+cmp.Or(s.ops, s.addr)+collectPath+"?gc=1"); err != nil {
				return 0, err
			}
		}
		before := bytes
		if bytes, err = s.rss(); err != nil {
			return 0, err
		}
		if change := float64(before - bytes); before > 0 && change < calmShare*float64(before) {
			break
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for memory: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return bytes, nil
}
