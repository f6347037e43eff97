package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// usage is what a side has used: its server, and the stores if there are any.
type usage struct {
	Server, Database, Cache, Topics time.Duration // CPU; of topics that of a Kafka
	Log                             int64         // bytes written to PostgreSQL's log
}

func (u usage) cpu() time.Duration { return u.Server + u.Database + u.Cache + u.Topics }

func (u usage) minus(v usage) usage {
	return usage{u.Server - v.Server, u.Database - v.Database, u.Cache - v.Cache, u.Topics - v.Topics, u.Log - v.Log}
}

// usage returns what has been used so far. Of PostgreSQL that is all that all its
// processes have, but the one that works for the reader.
func (s *server) usage(ctx context.Context) (u usage, err error) {
	if u, err = s.stores.usage(s.reader.backend()); err != nil {
		return u, err
	}
	if !s.cached {
		u.Cache = 0
	}
	if s.stores != nil {
		if err := s.reader.row(ctx, `SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)`, &u.Log); err != nil {
			return u, fmt.Errorf("read where the log of the database ends: %w", err)
		}
	}
	u.Server, err = s.cpu()
	return u, err
}

// usage returns the CPU that stores have used so far, if there are any, without some
// processes of PostgreSQL.
func (s *stores) usage(except ...int) (u usage, err error) {
	if s == nil {
		return u, nil
	}
	if u.Database, err = treeCPU(s.postgres.PID(), except...); err != nil {
		return u, err
	}
	if u.Cache, err = treeCPU(s.redis.PID()); err != nil {
		return u, err
	}
	if s.kafka != nil {
		u.Topics, err = treeCPU(s.kafka.PID())
	}
	return u, err
}

// sample is one round on one server.
type sample struct {
	outcome
	usage
	took time.Duration // until all effects of it had committed
}

// each returns the CPU per operation, in µs.
func (s *sample) each() float64 { return s.share(s.cpu()) }

func (s *sample) ofServer() float64   { return s.share(s.Server) }
func (s *sample) ofDatabase() float64 { return s.share(s.Database) }
func (s *sample) ofCache() float64    { return s.share(s.Cache) }
func (s *sample) ofTopics() float64   { return s.share(s.Topics) }

func (s *sample) share(d time.Duration) float64 { return float64(d.Microseconds()) / float64(s.Done) }

// logged returns the bytes of PostgreSQL's log per operation.
func (s *sample) logged() float64 { return float64(s.Log) / float64(s.Done) }

// rate returns the operations a second, effects included.
func (s *sample) rate() float64 { return float64(s.Done) / s.took.Seconds() }

// parts says of what the CPU per operation is made up, in µs, where an operation
// is so many in one.
func parts(rounds []sample, in float64) string {
	var s strings.Builder
	fmt.Fprintf(&s, "server %.1f", median(rounds, (*sample).ofServer)/in)
	if x := median(rounds, (*sample).ofDatabase); x > 0 {
		fmt.Fprintf(&s, " + PostgreSQL %.1f", x/in)
	}
	if x := median(rounds, (*sample).ofCache); x > 0 {
		fmt.Fprintf(&s, " + Redis %.1f", x/in)
	}
	if x := median(rounds, (*sample).ofTopics); x > 0 {
		fmt.Fprintf(&s, " + Kafka %.1f", x/in)
	}
	return s.String()
}

// made is parts, or nothing where there is only one.
func made(rounds []sample, in float64) string {
	if median(rounds, (*sample).ofDatabase) == 0 {
		return ""
	}
	return ": " + parts(rounds, in)
}

// addParts says of what the CPU of both sides is made up, where there is more than
// one part.
func (r *report) addParts(own, other []sample, name string) {
	onStores := func(s sample) bool { return s.Database+s.Cache > 0 }
	if slices.ContainsFunc(own, onStores) || slices.ContainsFunc(other, onStores) {
		r.add("the same: µs of CPU", parts(own, 1)+"; "+name+": "+parts(other, 1), unjudged)
	}
}
