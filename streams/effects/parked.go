package effects

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
)

const (
	parkedPage    = 512 // parked effects read at a time
	retryWorkers  = 16
	retryInterval = 500 * time.Millisecond
	minRetry      = time.Second
	maxRetry      = 5 * time.Minute
	gaugeInterval = 15 * time.Second
	maxReason     = 200 // bytes
)

// parkedSet knows which targets have parked effects. What is for them goes
// behind these, so that effects stay in order, until a retry has delivered them
// all.
type parkedSet struct {
	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, with every change
	targets map[user.ID]*parkedTarget
}

type parkedTarget struct {
	id      user.ID
	writing int  // parkings on their way into the database
	gated   bool // the last ones are being delivered: who comes now waits for that
	trying  bool // a retry runs
	backoff streams.Backoff
	retryAt time.Time
}

func newParkedSet() parkedSet {
	return parkedSet{changed: make(chan struct{}), targets: make(map[user.ID]*parkedTarget)}
}

// enter reports whether target has parked effects. If so, or with force, the
// caller must park what it has and then leave. The error is that of ctx.
func (s *parkedSet) enter(ctx context.Context, id user.ID, force bool) (behind bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(ctx, func() bool { p := s.targets[id]; return p == nil || !p.gated }); err != nil {
		return false, err
	}
	p := s.targets[id]
	if p == nil {
		if !force {
			return false, nil
		}
		p = s.add(id)
	}
	p.writing++
	return true, nil
}

func (s *parkedSet) add(id user.ID) *parkedTarget {
	p := &parkedTarget{id: id, backoff: streams.Backoff{Min: minRetry, Max: maxRetry}}
	p.retryAt = time.Now().Add(p.backoff.Next())
	s.targets[id] = p
	return p
}

func (s *parkedSet) leave(id user.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.targets[id].writing--
	s.broadcast()
}

// gate makes whoever comes for the target wait, and returns when all that came
// before is in the database. Then ungate must follow.
func (s *parkedSet) gate(ctx context.Context, p *parkedTarget) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.gated = true
	return s.await(ctx, func() bool { return p.writing == 0 })
}

// ungate lets who waited go on: to the target itself when nothing is parked for
// it any more.
func (s *parkedSet) ungate(p *parkedTarget, empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.gated = false
	if empty {
		delete(s.targets, p.id)
	}
	s.broadcast()
}

// await waits, with s.mu held, until cond holds.
func (s *parkedSet) await(ctx context.Context, cond func() bool) error {
	for !cond() {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (s *parkedSet) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// due returns up to limit targets to try now; tried must follow for each.
func (s *parkedSet) due(limit int) []*parkedTarget {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*parkedTarget
	now := time.Now()
	for _, p := range s.targets {
		if len(due) < limit && !p.trying && !p.retryAt.After(now) {
			p.trying = true
			due = append(due, p)
		}
	}
	return due
}

func (s *parkedSet) tried(p *parkedTarget) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.trying = false
	p.retryAt = time.Now().Add(p.backoff.Next())
}

// parkFirst parks an errand though nothing is parked for its target yet.
func (t *Tail) parkFirst(ctx context.Context, e errand, cause error) error {
	if _, err := t.parked.enter(ctx, e.target, true); err != nil {
		return err
	}
	t.cfg.Logger.Warn("a user does not take effects; they are parked", "user_id", e.target, "error", cause)
	reason := cause.Error()
	return t.park(ctx, e, strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}

// park stores an errand, after enter.
func (t *Tail) park(ctx context.Context, e errand, reason string) error {
	defer t.parked.leave(e.target)
	parked := e.parked()
	for i := range parked {
		parked[i].Target, parked[i].Reason = e.target, reason
	}
	return t.store(ctx, parked)
}

func (t *Tail) store(ctx context.Context, parked []persistence.Parked) error {
	at := t.cfg.Now().UTC().Truncate(time.Microsecond)
	for i := range parked {
		parked[i].At = at
	}
	t.metrics.parkings.Add(float64(len(parked)))
	return t.persist(ctx, "park effects", func(ctx context.Context) error {
		return t.cfg.Lanes.Park(ctx, t.cfg.Committer.Node(), parked)
	})
}

// loadParked finds out who has parked effects.
func (t *Tail) loadParked(ctx context.Context) error {
	return t.persist(ctx, "read who has parked effects", func(ctx context.Context) error {
		counts, err := t.countParked(ctx)
		if err != nil {
			return err
		}
		t.parked.mu.Lock()
		defer t.parked.mu.Unlock()
		for id := range maps.Keys(counts) {
			if id != 0 { // unreadable records are nobody's
				t.parked.add(id)
			}
		}
		return nil
	})
}

func (t *Tail) countParked(ctx context.Context) (map[user.ID]int, error) {
	counts, err := t.cfg.Lanes.ParkedTargets(ctx)
	if err != nil {
		return nil, fmt.Errorf("count parked effects: %w", err)
	}
	total := 0
	for n := range maps.Values(counts) {
		total += n
	}
	t.metrics.parked.Set(float64(total))
	return counts, nil
}

// retryLoop tries parked effects again, target by target.
func (t *Tail) retryLoop(ctx context.Context) {
	var tries sync.WaitGroup
	defer tries.Wait()
	slots := make(chan struct{}, retryWorkers)
	tick := time.NewTicker(retryInterval)
	defer tick.Stop()
	var counted time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, p := range t.parked.due(cap(slots) - len(slots)) {
			slots <- struct{}{} // never blocks: only this goroutine fills slots
			tries.Go(func() {
				defer func() { <-slots }()
				if err := t.deliverParked(ctx, p); err != nil && ctx.Err() == nil {
					t.metrics.retries.Inc()
					t.cfg.Logger.Debug("parked effects stay parked", "user_id", p.id, "error", err)
				}
				t.parked.tried(p)
			})
		}
		if time.Since(counted) >= gaugeInterval {
			counted = time.Now()
			if _, err := t.countParked(ctx); err != nil && ctx.Err() == nil {
				t.cfg.Logger.Warn("parked effects could not be counted", "error", err)
			}
		}
	}
}

// deliverParked delivers all that is parked for a target. While much is left,
// new effects go behind it; for the rest they wait, or it might never end.
func (t *Tail) deliverParked(ctx context.Context, p *parkedTarget) error {
	for {
		n, err := t.deliverPage(ctx, p.id)
		if err != nil {
			return err
		}
		if n < parkedPage {
			break
		}
	}
	err := t.parked.gate(ctx, p)
	for n := 1; n > 0 && err == nil; {
		n, err = t.deliverPage(ctx, p.id)
	}
	t.parked.ungate(p, err == nil)
	return err
}

// deliverPage delivers the oldest parked effects of a target and returns how
// many there were.
func (t *Tail) deliverPage(ctx context.Context, id user.ID) (int, error) {
	list, err := t.cfg.Lanes.ParkedEffects(ctx, id, parkedPage)
	if err != nil {
		return 0, fmt.Errorf("read parked effects: %w", err)
	}
	var d decoder
	var effects []usergrain.Effect
	begin := 0 // list[begin:i] is what effects stand for
	for i, p := range list {
		other, e, err := t.reread(ctx, &d, p)
		if err != nil {
			return 0, err
		}
		if other == 0 {
			effects = append(effects, e)
			continue
		}
		if err := t.deliverAgain(ctx, id, effects, list[begin:i]); err != nil {
			return 0, err
		}
		if err := t.severAgain(ctx, id, other, p); err != nil {
			return 0, err
		}
		effects, begin = effects[:0], i+1
	}
	return len(list), t.deliverAgain(ctx, id, effects, list[begin:])
}

// reread finds out what a parked position means for its target: the edges to and
// from other, who is gone, are to be dropped; or, with other 0, an effect.
func (t *Tail) reread(ctx context.Context, d *decoder, p persistence.Parked) (other user.ID, e usergrain.Effect, err error) {
	records, err := t.cfg.Journal.ReadLane(ctx, p.Lane, p.Pos-1, 1)
	if err != nil {
		return 0, e, fmt.Errorf("read a parked record: %w", err)
	}
	if len(records) != 1 || records[0].Pos != p.Pos {
		return 0, e, fmt.Errorf("position %d of lane %d is parked and was not found", p.Pos, p.Lane)
	}
	r := &records[0]
	if r.Kind == persistence.KindDeleted {
		return r.User, e, nil
	}
	if r.Kind != persistence.KindFollowed && r.Kind != persistence.KindUnfollowed {
		return 0, e, fmt.Errorf("position %d of lane %d is parked and has kind %d", p.Pos, p.Lane, r.Kind)
	}
	followed, err := d.target(r)
	if err != nil {
		return 0, e, err
	}
	if r.User == p.Target { // it followed somebody who was gone
		return followed, e, nil
	}
	return 0, effectOf(r), nil
}

// deliverAgain delivers parked effects once and removes them.
func (t *Tail) deliverAgain(ctx context.Context, id user.ID, effects []usergrain.Effect, parked []persistence.Parked) error {
	if len(effects) == 0 {
		return nil
	}
	err := t.call(ctx, func(ctx context.Context) error { return t.cfg.Grains.Deliver(ctx, id, effects) })
	if gone(err) {
		err = each(effects, severWorkers, func(e usergrain.Effect) error {
			if e.Removed {
				return nil
			}
			return t.severOnce(ctx, e.Source, id)
		})
	}
	if err != nil {
		return fmt.Errorf("deliver parked effects: %w", err)
	}
	t.metrics.effects.Add(float64(len(effects)))
	return t.unpark(ctx, parked)
}

// severAgain tells a target once that other is gone.
func (t *Tail) severAgain(ctx context.Context, id, other user.ID, p persistence.Parked) error {
	if err := t.severOnce(ctx, id, other); err != nil {
		return fmt.Errorf("sever parked neighbours: %w", err)
	}
	return t.unpark(ctx, []persistence.Parked{p})
}

func (t *Tail) severOnce(ctx context.Context, id, other user.ID) error {
	err := t.call(ctx, severErrand(t.cfg.Grains, id, other, 0, 0).call)
	if gone(err) {
		return nil
	}
	return err
}

func (t *Tail) unpark(ctx context.Context, parked []persistence.Parked) error {
	if err := t.cfg.Lanes.Unpark(ctx, t.cfg.Committer.Node(), parked); err != nil {
		if errors.Is(err, persistence.ErrFenced) {
			return fmt.Errorf("remove parked effects, which will be delivered again: %w", err)
		}
		return fmt.Errorf("remove parked effects: %w", err)
	}
	return nil
}
