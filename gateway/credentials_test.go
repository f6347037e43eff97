package gateway_test

import (
	"context"
	"slices"
	"time"

	"kith/persistence"
)

func (w *world) session(id [16]byte) int {
	return slices.IndexFunc(w.sessions, func(s persistence.Session) bool { return s.ID == id })
}

func (c credentials) Session(_ context.Context, id [16]byte) (persistence.Session, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failStores != nil {
		return persistence.Session{}, c.w.failStores
	}
	if i := c.w.session(id); i >= 0 {
		return c.w.sessions[i], nil
	}
	return persistence.Session{}, persistence.ErrNotFound
}

func (c credentials) RotateSession(_ context.Context, r persistence.Rotation) (persistence.Session, bool, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failStores != nil {
		return persistence.Session{}, false, c.w.failStores
	}
	i := c.w.session(r.ID)
	if i < 0 {
		return persistence.Session{}, false, persistence.ErrNotFound
	}
	s := &c.w.sessions[i]
	if s.Generation != r.From {
		return *s, false, nil
	}
	s.Generation++
	s.Rotations = append(slices.Clone(s.Rotations), r.At)
	if more := len(s.Rotations) - persistence.MaxRotations; more > 0 {
		s.Rotations = s.Rotations[more:]
	}
	s.ExpiresAt, s.AccessUntil = r.ExpiresAt, r.AccessUntil
	return *s, true, nil
}

func (c credentials) EndSessions(_ context.Context, e persistence.SessionEnd) ([]persistence.EndedSession, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failStores != nil {
		return nil, c.w.failStores
	}
	ended := []persistence.EndedSession{{ID: e.ID, Until: e.Until}}
	c.w.sessions = slices.DeleteFunc(c.w.sessions, func(s persistence.Session) bool {
		if s.ID == e.ID {
			return true
		}
		if e.AllOf == 0 || s.User != e.AllOf {
			return false
		}
		ended = append(ended, persistence.EndedSession{ID: s.ID, Until: s.AccessUntil})
		return true
	})
	c.w.ended = append(c.w.ended, ended...)
	return ended, nil
}

func (c credentials) EndedSessions(_ context.Context, after uint64, limit int) ([]persistence.EndedSession, uint64, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.failStores != nil {
		return nil, 0, c.w.failStores
	}
	list := c.w.ended[min(int(after), len(c.w.ended)):]
	list = list[:min(limit, len(list))]
	return slices.Clone(list), after + uint64(len(list)), nil
}

func (c credentials) SweepSessions(context.Context, time.Time, int) (int, error) { return 0, nil }
