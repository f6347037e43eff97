package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kith/persistence"
)

const (
	publishUsers   = 50_000
	publishDegree  = 10 // 550,000 records to publish, and almost as many to pass over
	publishGoal    = 50_000
	publishPace    = 50 * time.Millisecond
	publishTimeout = 3 * time.Minute
)

// measurePublish starts kith on a database of which nothing has been published,
// and measures until everything is in its broker. The start counts.
func (b *bench) measurePublish(ctx context.Context) (err error) {
	people, err := newPopulation(b.scaled(publishUsers, 500), publishDegree, 4)
	if err != nil {
		return err
	}
	people.Active = 1
	w, err := b.startWorld(ctx, phasePublish, nil, people, []persistence.TailName{persistence.TailEffects})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	n := len(people.People)
	records := float64(n * (1 + len(people.Offsets)))
	goal := fmt.Sprintf("%s records published from a backlog into the embedded broker ≥ %s/s", thousands(records), thousands(publishGoal))
	stopProfile := b.profile(ctx, w.server, phasePublish, time.Duration(records/publishGoal*float64(time.Second)))
	took, err := w.published(ctx, records)
	if err != nil {
		return err
	}
	used, err := w.cpu()
	if err != nil {
		return err
	}
	if err := stopProfile(); err != nil {
		return err
	}
	var kept float64
	if err := w.reader.row(ctx, `SELECT coalesce(sum(pos), 0) FROM broker_ends`, &kept); err != nil {
		return fmt.Errorf("read where the broker's partitions end: %w", err)
	}
	if kept < records {
		return fmt.Errorf("kith says that it has published %.0f records, its broker has %.0f", records, kept)
	}
	rate := records / took.Seconds()
	b.say("publish: %.0f records in %s", records, took)
	b.report.add(goal, fmt.Sprintf("%s/s (CPU %.1f µs a record, the start of %.2f s included)", thousands(rate),
		float64(used.Microseconds())/records, w.ready.Seconds()), met(rate >= publishGoal))
	return nil
}

// published waits until nothing is left to publish and returns how long ago kith
// was started then.
func (w *world) published(ctx context.Context, records float64) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	pace := time.NewTicker(publishPace)
	defer pace.Stop()
	for {
		body, err := get(ctx, "http://"+w.ops+"/metrics")
		if err != nil {
			return 0, err
		}
		took := time.Since(w.began)
		lag, ok := metric(body, `kith_tail_lag_records{tail="`+string(persistence.TailBroker)+`"}`)
		if !ok {
			return 0, fmt.Errorf("%s has no tail %q", w.name, persistence.TailBroker)
		}
		// Until it has begun it knows of no lag.
		sent, _ := metric(body, "kith_publish_records_total")
		if lag == 0 && sent >= records {
			return took, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%.0f of %.0f records are published, %.0f lie behind: %w", sent, records, lag, ctx.Err())
		case <-pace.C:
		}
	}
}

// total returns the sum of the series whose text begins so.
func total(text []byte, prefix string) (sum float64) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if line := s.Text(); strings.HasPrefix(line, prefix) {
			value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err == nil {
				sum += value
			}
		}
	}
	return sum
}

// metric returns the value of a series in the text format of Prometheus.
func metric(text []byte, series string) (value float64, ok bool) {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if rest, found := strings.CutPrefix(s.Text(), series+" "); found {
			value, err := strconv.ParseFloat(rest, 64)
			return value, err == nil
		}
	}
	return 0, false
}
