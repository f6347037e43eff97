package index

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"kith/actors/user"
	"kith/persistence"
	"kith/streams"
)

const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	// maxAsked bounds the users of one question to the database.
	maxAsked = 1024
)

// retry is the pause between two tries.
func retry() streams.Backoff {
	return streams.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
}

// failed counts and logs what will be tried again.
func (t *Tail) failed(ctx context.Context, step string, err error) {
	if ctx.Err() != nil {
		return
	}
	t.metrics.failures.Inc()
	t.cfg.Logger.Warn("a step with the search engine failed; it will be tried again", "tail", persistence.TailIndex, "step", step, "error", err)
}

// round indexes the users whom records name and acknowledges the records, however
// long it takes.
func (t *Tail) round(ctx context.Context, records []persistence.Record) {
	began := t.cfg.Now()
	backoff := retry()
	t.trial.Begin(began)
	defer t.trial.End()
	for ctx.Err() == nil {
		stored, err := Apply(ctx, t.cfg.Store, t.cfg.Engine, t.cfg.Logger, records)
		if err == nil {
			for i := range records {
				t.tail.Ack(records[i].Lane, records[i].Pos)
			}
			t.metrics.documents.Add(float64(stored))
			t.metrics.seconds.Observe(t.cfg.Now().Sub(began).Seconds())
			return
		}
		t.failed(ctx, "index users", err)
		if errors.Is(err, persistence.ErrNoIndex) { // it is lost, or just being switched
			if has, err := t.hasIndex(ctx); err == nil && !has {
				t.rebuild(ctx)
			}
		}
		backoff.Wait(ctx)
	}
}

// indexer stores documents.
type indexer func(ctx context.Context, docs []persistence.SearchDocument) ([]persistence.RefusedDocument, error)

// Apply makes the documents of the users whom records name and has an engine store
// them. It returns how many were.
func Apply(ctx context.Context, store Store, engine persistence.SearchIndex, logger *slog.Logger, records []persistence.Record) (stored int, err error) {
	newest := make(map[user.ID]uint64, len(records)) // seq of the newest record of each
	for i := range records {
		newest[records[i].User] = max(newest[records[i].User], records[i].Seq)
	}
	ids := make([]user.ID, 0, len(newest))
	for id := range newest {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for part := range slices.Chunk(ids, maxAsked) {
		accounts, err := accountsOf(ctx, store, part)
		if err != nil {
			return stored, err
		}
		docs := make([]persistence.SearchDocument, len(part))
		for i, id := range part {
			if accounts[i] == nil {
				docs[i] = persistence.SearchDocument{ID: id, Version: newest[id], Gone: true}
				continue
			}
			docs[i] = document(accounts[i])
		}
		refused, err := put(ctx, engine.Index, logger, docs)
		if err != nil {
			return stored, err
		}
		stored += len(docs) - refused
	}
	return stored, nil
}

func accountsOf(ctx context.Context, store Store, ids []user.ID) ([]*user.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	accounts, err := store.Accounts(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("ask for the rows of users: %w", err)
	}
	return accounts, nil
}

// put has documents stored. What the engine refuses for what it is, is counted and
// passed by, loudly: it would hold up its lane for ever.
func put(ctx context.Context, index indexer, logger *slog.Logger, docs []persistence.SearchDocument) (refused int, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	not, err := index(ctx, docs)
	for _, r := range not {
		logger.Error("the search engine refuses a user, who is found by nobody", "user_id", r.ID, "reason", r.Reason)
	}
	if err != nil {
		return len(not), fmt.Errorf("index users: %w", err)
	}
	return len(not), nil
}

// document returns what an engine is to know of a user.
func document(a *user.Account) persistence.SearchDocument {
	return persistence.SearchDocument{ID: a.ID, Version: a.Version, UID: a.UID, Username: a.Username, Name: a.Name, ProfilePicture: a.Picture}
}
