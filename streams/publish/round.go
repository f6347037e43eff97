package publish

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/persistence"
	"kith/streams"
)

// fresh is how old a behaviour event may be that is published as the ring of its
// lane has it: a ring does not know what was erased since.
const fresh = time.Second

// item is one journal record of a round.
type item struct {
	record  persistence.Record
	fact    streams.Fact
	records []*kgo.Record // none: not published
	done    bool
}

// retry is the pause between two tries of a round.
func retry() streams.Backoff {
	return streams.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
}

// round publishes records and acknowledges them, however long it takes.
func (t *Tail) round(ctx context.Context, records []persistence.Record) {
	items := make([]item, len(records))
	for i := range records {
		items[i].record = records[i]
	}
	began := t.cfg.Now()
	backoff := retry()
	t.trial.Begin(began)
	defer t.trial.End()
	for again := false; ctx.Err() == nil; again = true {
		err := t.attempt(ctx, items, again)
		items = t.settle(items)
		if err == nil {
			t.metrics.seconds.Observe(t.cfg.Now().Sub(began).Seconds())
			return
		}
		if ctx.Err() != nil {
			return
		}
		t.metrics.failures.Inc()
		t.cfg.Logger.Warn("records could not be published; they will be tried again", "tail", t.cfg.Name, "records", len(items), "error", err)
		backoff.Wait(ctx)
	}
}

// attempt publishes items and marks as done those that are.
func (t *Tail) attempt(ctx context.Context, items []item, again bool) error {
	if err := t.lookAgain(ctx, items, again); err != nil {
		return err
	}
	if err := t.encode(ctx, items); err != nil {
		return err
	}
	var records []*kgo.Record
	for i := range items {
		records = append(records, items[i].records...)
	}
	acked, err := t.send(ctx, records)
	for i := range items {
		n := len(items[i].records)
		items[i].done = !slices.Contains(acked[:n], false)
		acked = acked[n:]
	}
	return err
}

// settle acknowledges the items that are done and returns the others.
func (t *Tail) settle(items []item) []item {
	left := items[:0]
	for i := range items {
		if !items[i].done {
			left = append(left, items[i])
			continue
		}
		t.metrics.records.Add(float64(len(items[i].records)))
		t.tail.Ack(items[i].record.Lane, items[i].record.Pos)
	}
	return left
}

// lookAgain reads from the database those items whose content may have been
// erased since they were read: all when the round was tried before, else the
// behaviour events that waited in a ring, and those of whom the round itself
// says that they deleted some. An item is looked up with its run of the lane,
// which is dense.
func (t *Tail) lookAgain(ctx context.Context, items []item, again bool) error {
	deleters := make(map[user.ID]bool)
	for i := range items {
		if r := &items[i].record; r.Kind == persistence.KindActivityDeleted {
			deleters[r.User] = true
		}
	}
	now := t.cfg.Now()
	stale := func(r *persistence.Record) bool {
		return r.Kind == persistence.KindActivityRecorded && (again || deleters[r.User] || now.Sub(r.At) > fresh && t.fromRing(r))
	}
	for i := 0; i < len(items); {
		// One run: items of one lane that follow each other.
		first := items[i].record
		n, reread := 0, false
		for ; i+n < len(items); n++ {
			r := &items[i+n].record
			if r.Lane != first.Lane || r.Pos != first.Pos+uint64(n) {
				break
			}
			reread = reread || stale(r)
		}
		if reread {
			if err := t.reread(ctx, items[i:i+n]); err != nil {
				return err
			}
		}
		i += n
	}
	return nil
}

// fromRing reports whether the ring still has the record: if so, that is where
// it came from, and if not, it was just read from the database.
func (t *Tail) fromRing(r *persistence.Record) bool {
	_, ok := t.cfg.Committer.Ring(r.Lane).After(r.Pos-1, nil, 1)
	return ok
}

func (t *Tail) reread(ctx context.Context, run []item) error {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	first := run[0].record
	records, err := t.cfg.Journal.ReadLane(bounded, first.Lane, first.Pos-1, len(run))
	if err != nil {
		return fmt.Errorf("read lane %d again: %w", first.Lane, err)
	}
	for i, r := range records {
		if r.Pos != run[i].record.Pos {
			return fmt.Errorf("read lane %d again: position %d was not found", first.Lane, run[i].record.Pos)
		}
		run[i].record = r
	}
	if len(records) < len(run) {
		return fmt.Errorf("read lane %d again: position %d was not found", first.Lane, run[len(records)].record.Pos)
	}
	return nil
}

// encode makes the public records of items. What cannot be read is passed by,
// loudly: it would hold up its lane for ever.
func (t *Tail) encode(ctx context.Context, items []item) error {
	t.people.forgetAccounts()
	published := make([]bool, len(items))
	for i := range items {
		items[i].records = nil
		if !streams.Published(items[i].record.Kind) {
			continue
		}
		var err error
		if items[i].fact, err = streams.NewFact(&items[i].record); err != nil {
			t.unreadable(&items[i].record, err)
			continue
		}
		published[i] = true
		t.people.ask(items[i].fact)
	}
	if err := t.people.learn(ctx); err != nil {
		return err
	}
	for i := range items {
		if !published[i] {
			continue
		}
		var err error
		if items[i].records, err = items[i].fact.Encode(&t.people); err != nil {
			t.unreadable(&items[i].record, err)
		}
	}
	return nil
}

func (t *Tail) unreadable(r *persistence.Record, cause error) {
	t.metrics.unreadable.Inc()
	t.cfg.Logger.Error("a record cannot be read and is not published; run kith verify",
		"tail", t.cfg.Name, "lane", r.Lane, "pos", r.Pos, "kind", r.Kind, "user_id", r.User, "error", cause)
}
