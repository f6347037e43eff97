package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	rigUsers  = 10_000
	rigDegree = 20 // how many each of them follows at first
	// stars are users who are followed only when everybody does.
	stars = 8

	dataDir = "kith"
)

// server is a running server and its database.
type server struct {
	*process
	addr     string
	ops      string // "" for the baseline
	database string // path
	people   string // path of the saved population
	counters *sql.DB
	began    time.Time
	ready    time.Duration // how long that took
}

// rig is the two servers, filled with the same people.
type rig struct {
	kith, baseline *server
	people         *population
	path           string // of the saved population
	dir            string
	stopped        bool
}

// startRig fills two databases and starts the servers on them.
func (b *bench) startRig(ctx context.Context) (r *rig, err error) {
	r = &rig{dir: filepath.Join(b.dir, "servers"), path: filepath.Join(b.dir, "people")}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	data := filepath.Join(r.dir, dataDir)
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data dir: %w", err)
	}
	secret, err := newSecret()
	if err != nil {
		return nil, err
	}
	if r.people, err = newPopulation(b.scaled(rigUsers, 500), rigDegree, 1); err != nil {
		return nil, err
	}
	if err := r.people.logIn(secret); err != nil {
		return nil, err
	}
	b.say("filling both databases with %d users", len(r.people.People))
	kithDB, baselineDB := filepath.Join(data, "kith.db"), filepath.Join(r.dir, "baseline.db")
	bar := b.bar(fillSteps(r.people), "filling")
	if _, err := fill(ctx, kithDB, r.people, func(n int) { _ = bar.Add(n) }); err != nil {
		return nil, err
	}
	if err := fillBaseline(ctx, baselineDB, r.people); err != nil {
		return nil, err
	}
	if err := r.people.save(r.path); err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(ctx, 3)
	if err != nil {
		return nil, err
	}
	if r.kith, err = b.startKith(ctx, r.dir, r.path, secret, addrs[0], addrs[1]); err != nil {
		return r, err
	}
	if r.baseline, err = startBaseline(ctx, r.dir, r.path, baselineConfig{Addr: addrs[2], Database: baselineDB, Secret: secret}); err != nil {
		return r, err
	}
	return r, nil
}

// startKith starts kith on a data dir that was filled with the people saved at a
// path.
func (b *bench) startKith(ctx context.Context, dir, people string, secret []byte, addr, ops string) (*server, error) {
	data := filepath.Join(dir, dataDir)
	env := []string{
		"KITH_DATA_DIR=" + data, "KITH_HTTP_ADDR=" + addr, "KITH_OPS_ADDR=" + ops, "KITH_JWT_SECRET=" + string(secret), "KITH_LOG_LEVEL=warn",
		"KITH_KAFKA_LISTEN=127.0.0.1:0",
		// What limits an abuser would limit the measurement.
		"KITH_LIMIT_AVAILABILITY=off", "KITH_LIMIT_REGISTER=off", "KITH_LIMIT_LOGIN=off", "KITH_LIMIT_USER=off", "KITH_LIMIT_EVENTS=off",
	}
	began := time.Now()
	p, err := start(ctx, command{name: "kith", path: b.kith, args: []string{"serve"}, env: env, dir: dir})
	if err != nil {
		return nil, err
	}
	s := &server{process: p, addr: addr, ops: ops, people: people, database: filepath.Join(data, "kith.db"), began: began}
	return s, s.open(ctx, "http://"+addr+"/readyz")
}

func startBaseline(ctx context.Context, dir, people string, cfg baselineConfig) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	began := time.Now()
	p, err := start(ctx, command{name: "baseline", path: self, args: []string{roleBaseline}, dir: dir})
	if err != nil {
		return nil, err
	}
	s := &server{process: p, addr: cfg.Addr, database: cfg.Database, people: people, began: began}
	if err := p.send(cfg); err != nil {
		return s, err
	}
	return s, s.open(ctx, "http://"+cfg.Addr+"/readyz")
}

// open waits for the server and opens its database for reading.
func (s *server) open(ctx context.Context, url string) error {
	if err := s.answers(ctx, url); err != nil {
		return err
	}
	s.ready = time.Since(s.began)
	return s.watch()
}

func (s *server) watch() (err error) {
	s.counters, err = openSQL("file:"+(&url.URL{Path: s.database}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(5000)", 1)
	return err
}

// stop ends both servers. Again it does nothing.
func (r *rig) stop() error {
	if r.stopped {
		return nil
	}
	r.stopped = true
	return errors.Join(r.kith.end(), r.baseline.end())
}

// end stops a server that may not have been started.
func (s *server) end() error {
	if s == nil {
		return nil
	}
	var err error
	if s.counters != nil {
		err = s.counters.Close()
	}
	return errors.Join(err, s.stop())
}

// sums returns how many follows have committed on the side of those who follow,
// and on the side of those who are followed. Both servers name the columns so.
func (s *server) sums(ctx context.Context) (following, followers int, err error) {
	err = s.counters.QueryRowContext(ctx, `SELECT coalesce(sum(following), 0), coalesce(sum(followers), 0) FROM users`).Scan(&following, &followers)
	if err != nil {
		return 0, 0, fmt.Errorf("read the counters of %s: %w", s.name, err)
	}
	return following, followers, nil
}

const (
	settleTimeout = 60 * time.Second
	settlePace    = 5 * time.Millisecond
	settleShare   = 4 // reading the counters takes one in so many of the time
)

// settled waits until as many follows as given have committed on both sides.
// More, or fewer on the side that was acknowledged, is an error.
func (s *server) settled(ctx context.Context, follows int) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		start := time.Now()
		following, followers, err := s.sums(ctx)
		switch {
		case err != nil:
			return err
		case following != follows || followers > follows:
			return fmt.Errorf("%s acknowledged follows up to %d, %d and %d are stored", s.name, follows, following, followers)
		case followers == follows:
			return nil
		}
		pace := time.NewTimer(max(settlePace, settleShare*time.Since(start)))
		select {
		case <-ctx.Done():
			pace.Stop()
			return fmt.Errorf("%s: %d of %d follows have not reached their targets: %w", s.name, follows-followers, follows, ctx.Err())
		case <-pace.C:
		}
	}
}

// sample is one round on one server.
type sample struct {
	outcome
	cpu  time.Duration // of the server
	took time.Duration // until all effects of it had committed
}

// each returns the CPU per operation, in µs.
func (s *sample) each() float64 { return float64(s.cpu.Microseconds()) / float64(s.Done) }

// rate returns the operations a second, effects included.
func (s *sample) rate() float64 { return float64(s.Done) / s.took.Seconds() }

// load runs a job against the server. after, which may be nil, returns when the
// effects of what was done have committed.
func (s *server) load(ctx context.Context, j job, after func(done int) error) (sample, error) {
	j.Addr, j.People = s.addr, s.people
	g, err := startGenerator(ctx, filepath.Dir(s.log), j)
	if err != nil {
		return sample{}, err
	}
	before, err := s.cpu()
	if err != nil {
		return sample{}, errors.Join(err, g.abandon())
	}
	start := time.Now()
	o, err := g.run()
	if err != nil {
		return sample{}, fmt.Errorf("load %s: %w", s.name, err)
	}
	if o.Done == 0 {
		return sample{}, fmt.Errorf("load %s: nothing was done", s.name)
	}
	took := o.Elapsed
	if after != nil {
		if err := after(o.Done); err != nil {
			return sample{}, err
		}
		took = time.Since(start)
	}
	used, err := s.cpu()
	return sample{outcome: o, cpu: used - before, took: took}, err
}
