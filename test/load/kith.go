package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const dataDir = "kith"

// setup is what a server runs on.
type setup struct {
	dir    string // where logs go
	saved  string // path of the saved population
	at     place
	stores *stores // whose CPU counts too; nil: there are none
	cached bool    // cards are in Redis
	secret []byte
	env    []string // of kith alone, NAME=value
}

// server is a running server and a look into its database.
type server struct {
	*process
	setup

	addr   string
	ops    string // "" for the baseline
	topics string // address of the Kafka that kith publishes to
	reader reader
	began  time.Time
	ready  time.Duration // how long that took
}

// startKith starts kith on a data dir that was filled with the people saved at a
// path.
func (b *bench) startKith(ctx context.Context, on *setup) (*server, error) {
	addrs, err := freeAddrs(ctx, 3)
	if err != nil {
		return nil, err
	}
	env := append(on.at.env(),
		"KITH_HTTP_ADDR="+addrs[0], "KITH_OPS_ADDR="+addrs[1], "KITH_JWT_SECRET="+string(on.secret), "KITH_LOG_LEVEL=warn",
		"KITH_KAFKA_LISTEN="+addrs[2],
		// What limits an abuser would limit the measurement.
		"KITH_LIMIT_AVAILABILITY=off", "KITH_LIMIT_REGISTER=off", "KITH_LIMIT_LOGIN=off", "KITH_LIMIT_USER=off", "KITH_LIMIT_EVENTS=off",
	)
	if on.cached {
		env = append(env, "KITH_REDIS_URL="+on.stores.redis.URL())
	}
	topics := addrs[2]
	if on.stores != nil && on.stores.kafka != nil {
		topics = on.stores.kafka.Addr()
		env = append(env, "KITH_KAFKA_BROKERS="+topics)
	}
	env = append(append(env, on.env...), b.env...)
	began := time.Now()
	p, err := start(ctx, command{name: "kith", path: b.kith, args: []string{"serve"}, env: env, dir: on.dir})
	if err != nil {
		return nil, err
	}
	s := &server{process: p, setup: *on, addr: addrs[0], ops: addrs[1], topics: topics, began: began}
	if err := s.await(ctx); err != nil {
		return s, err
	}
	s.reader, err = on.at.read(ctx)
	return s, err
}

// startBaseline starts the baseline on what cfg says, at an address that it is
// given here.
func startBaseline(ctx context.Context, on *setup, cfg baselineConfig) (*server, error) {
	addrs, err := freeAddrs(ctx, 1)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find ourselves: %w", err)
	}
	began := time.Now()
	p, err := start(ctx, command{name: "baseline", path: self, args: []string{roleBaseline}, dir: on.dir})
	if err != nil {
		return nil, err
	}
	s := &server{process: p, setup: *on, addr: addrs[0], began: began}
	s.cached = false
	cfg.Addr, cfg.Secret = s.addr, on.secret
	if err := p.send(cfg); err != nil {
		return s, err
	}
	if err := s.await(ctx); err != nil {
		return s, err
	}
	if cfg.Database != "" {
		s.reader, err = readSQLite(cfg.Database)
	} else {
		s.reader, err = readPostgres(ctx, cfg.URL, cfg.Schema)
	}
	return s, err
}

// await waits for the server.
func (s *server) await(ctx context.Context) error {
	if err := s.answers(ctx, "http://"+s.addr+"/readyz"); err != nil {
		return err
	}
	s.ready = time.Since(s.began)
	return nil
}

// end stops a server that may not have been started.
func (s *server) end() error {
	if s == nil {
		return nil
	}
	var err error
	if s.reader != nil {
		err = s.reader.close()
	}
	return errors.Join(err, s.stop())
}

// sums returns how many follows have committed on the side of those who follow,
// and on the side of those who are followed. Both servers name the columns so.
func (s *server) sums(ctx context.Context) (following, followers int, err error) {
	err = s.reader.row(ctx, `SELECT CAST(coalesce(sum(following), 0) AS bigint), CAST(coalesce(sum(followers), 0) AS bigint) FROM users`, &following, &followers)
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

// quiet waits until nothing that has committed lies before a tail of kith, so that
// what it costs is in the round that caused it.
func (s *server) quiet(ctx context.Context) error {
	if s.ops == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	pace := time.NewTicker(4 * settlePace)
	defer pace.Stop()
	for {
		body, err := get(ctx, "http://"+s.ops+"/metrics")
		if err != nil {
			return err
		}
		lag := total(body, "kith_tail_lag_records{")
		if lag == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %.0f records lie before its tails: %w", s.name, lag, ctx.Err())
		case <-pace.C:
		}
	}
}

// load runs a job against the server. after, which may be nil, returns when the
// effects of what was done have committed.
func (s *server) load(ctx context.Context, j job, after func(done int) error) (sample, error) {
	j.Addr, j.People = s.addr, s.saved
	g, err := startGenerator(ctx, filepath.Dir(s.log), j)
	if err != nil {
		return sample{}, err
	}
	before, err := s.usage(ctx)
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
	if j.writes() {
		if err := s.quiet(ctx); err != nil {
			return sample{}, err
		}
	}
	used, err := s.usage(ctx)
	return sample{outcome: o, usage: used.minus(before), took: took}, err
}
