package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"kith/persistence"
	programs "kith/test/services/server"
)

const (
	indexUsers   = 1_000_000
	indexRate    = indexUsers / 300 // a second: all of them within five minutes
	indexPace    = 100 * time.Millisecond
	indexTimeout = 20 * time.Minute
	indexRounds  = 3
	searchConns  = 64
	searchTime   = 10 * time.Second // Java becomes fast by and by
)

// engine is a search engine of our own, with nobody else on it.
type engine struct {
	*programs.Search

	yard *programs.Yard
}

func startEngine(ctx context.Context) (*engine, error) {
	yard, err := programs.Open()
	if err != nil {
		return nil, fmt.Errorf("start a search engine: %w", err)
	}
	s, err := yard.Search(ctx, programs.SearchConfig{Engine: programs.KindSearch, Java: programs.LargeJava()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a search engine: %w", err), yard.Close())
	}
	return &engine{s, yard}, nil
}

func (e *engine) close() error { return errors.Join(e.Remove(), e.yard.Close()) }

// contents returns how many users the index has, and how large it is.
func (e *engine) contents(ctx context.Context) (users int, bytes int64, err error) {
	answer, err := programs.AskSearch(ctx, http.MethodGet, e.URL(), "/kith-users/_stats/docs,store")
	if err != nil {
		return 0, 0, fmt.Errorf("look into the index: %w", err)
	}
	var stats struct {
		All struct {
			Primaries struct {
				Docs struct {
					Count int `json:"count"`
				} `json:"docs"`
				Store struct {
					Size int64 `json:"size_in_bytes"`
				} `json:"store"`
			} `json:"primaries"`
		} `json:"_all"`
	}
	if err := json.Unmarshal(answer, &stats); err != nil {
		return 0, 0, fmt.Errorf("look into the index: %w", err)
	}
	return stats.All.Primaries.Docs.Count, stats.All.Primaries.Store.Size, nil
}

// measureIndex starts kith on a database with many users and an engine without an
// index, and measures until it is built; then kith reindex; then what a search costs in
// the engine, and in the database.
func (b *bench) measureIndex(ctx context.Context, name string, on *stores) (err error) {
	people, err := newPopulation(b.scaled(indexUsers, 5_000), 0, 13)
	if err != nil {
		return err
	}
	people.Active = min(smallUsers, len(people.People))
	w, err := b.makeWorld(ctx, name, on, people, tails())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	e, err := startEngine(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	w.host.env = []string{"KITH_SEARCH_URL=" + e.URL()}
	if err := b.measureBuild(ctx, w, e, name); err != nil {
		return err
	}
	if err := b.measureReindex(ctx, w, e); err != nil {
		return err
	}
	return b.compareSearches(ctx, w, e)
}

// measureBuild measures the first start with an engine.
func (b *bench) measureBuild(ctx context.Context, w *world, e *engine, name string) error {
	n := len(w.people.People)
	limit := indexLimit(n)
	before, err := treeCPU(e.PID())
	if err != nil {
		return err
	}
	if err := w.start(ctx, b, w.people.onlyActive()); err != nil {
		return err
	}
	stopProfile := b.profile(ctx, w.server, name, limit)
	if err := w.indexed(ctx, n); err != nil {
		return err
	}
	took := time.Since(w.began)
	own, err := w.cpu()
	if err != nil {
		return err
	}
	after, err := treeCPU(e.PID())
	if err := errors.Join(err, stopProfile()); err != nil {
		return err
	}
	users, bytes, err := e.contents(ctx)
	if err != nil {
		return err
	}
	if users != n {
		return fmt.Errorf("kith says that it has indexed %d users, the index has %d", n, users)
	}
	b.say("%d users indexed%s in %s", n, w.on(), took)
	b.report.add(fmt.Sprintf("an index of %s users%s in OpenSearch, built at the first start ≤ %.0f s", thousands(float64(n)), w.on(), limit.Seconds()),
		fmt.Sprintf("%.1f s (%s/s; CPU of kith %.1f µs a user, of OpenSearch %.1f µs; %d bytes of index a user)", took.Seconds(), thousands(float64(n)/took.Seconds()),
			perUser(own, n), perUser(after-before, n), bytes/int64(n)), met(took <= limit))
	return nil
}

// measureReindex measures kith reindex beside a server that runs.
func (b *bench) measureReindex(ctx context.Context, w *world, e *engine) error {
	n := len(w.people.People)
	limit := indexLimit(n)
	began := time.Now()
	p, err := start(ctx, command{name: "reindex", path: b.kith, args: []string{"reindex"}, env: append(w.host.at.env(), w.host.env...), dir: w.host.dir})
	if err != nil {
		return err
	}
	if err := p.wait(); err != nil {
		return err
	}
	took := time.Since(began)
	users, _, err := e.contents(ctx)
	if err != nil {
		return err
	}
	if users != n {
		return fmt.Errorf("kith reindex has indexed %d of %d users", users, n)
	}
	b.say("%d users indexed again%s in %s", n, w.on(), took)
	b.report.add(fmt.Sprintf("the same: `kith reindex` beside the server ≤ %.0f s", limit.Seconds()),
		fmt.Sprintf("%.1f s (%s/s)", took.Seconds(), thousands(float64(n)/took.Seconds())), met(took <= limit))
	return nil
}

// compareSearches measures what searches cost in the engine, and then in the database.
func (b *bench) compareSearches(ctx context.Context, w *world, e *engine) error {
	inEngine, of, err := b.searches(ctx, w, e)
	if err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	w.host.env = nil
	if err := w.start(ctx, b, w.people.onlyActive()); err != nil {
		return err
	}
	inDatabase, _, err := b.searches(ctx, w, e)
	if err != nil {
		return err
	}
	b.report.add(fmt.Sprintf("for information: `GET /users/search` among them in OpenSearch, %d connections", searchConns),
		fmt.Sprintf("CPU %.1f µs (kith and its stores %.1f, OpenSearch %.1f; %s/s); in the database alone %.1f µs (%s/s)", median(inEngine, (*sample).each)+of,
			median(inEngine, (*sample).each), of, thousands(median(inEngine, (*sample).rate)), median(inDatabase, (*sample).each), thousands(median(inDatabase, (*sample).rate))), unjudged)
	return nil
}

// searches has kith search, and returns what that took and the CPU of the engine for
// each, in microseconds.
func (b *bench) searches(ctx context.Context, w *world, e *engine) (rounds []sample, engine float64, err error) {
	done := 0
	var used time.Duration
	for round := range indexRounds + 1 {
		before, err := treeCPU(e.PID())
		if err != nil {
			return nil, 0, err
		}
		s, err := w.load(ctx, job{Kind: loadSearch, Connections: searchConns, Duration: b.lasting(searchTime), Seed: uint64(round)}, nil)
		if err != nil {
			return nil, 0, err
		}
		after, err := treeCPU(e.PID())
		if err != nil {
			return nil, 0, err
		}
		if round > 0 {
			rounds, done, used = append(rounds, s), done+s.Done, used+after-before
		}
	}
	fallbacks, err := w.fallbacks(ctx)
	if err != nil {
		return nil, 0, err
	}
	if fallbacks > 0 {
		return nil, 0, fmt.Errorf("the database answered %.0f searches of the engine", fallbacks)
	}
	return rounds, perUser(used, done), nil
}

// fallbacks returns how many searches the database answered in place of an engine, if
// there is one.
func (w *world) fallbacks(ctx context.Context) (float64, error) {
	if len(w.host.env) == 0 {
		return 0, nil
	}
	return w.metric(ctx, "kith_search_fallbacks_total")
}

// indexed waits until so many users are indexed, and the tail has nothing left to do.
func (w *world) indexed(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	pace := time.NewTicker(indexPace)
	defer pace.Stop()
	for {
		built, err := w.metric(ctx, "kith_index_rebuilt_users_total")
		if err != nil {
			return err
		}
		lag, err := w.metric(ctx, `kith_tail_lag_records{tail="`+string(persistence.TailIndex)+`"}`)
		if err != nil {
			return err
		}
		if int(built) == n && lag == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%.0f of %d users are indexed: %w", built, n, ctx.Err())
		case <-pace.C:
		}
	}
}

// indexLimit is how long so many users may take.
func indexLimit(n int) time.Duration {
	return time.Duration(float64(n) / indexRate * float64(time.Second))
}

func perUser(d time.Duration, n int) float64 { return float64(d.Microseconds()) / float64(n) }
