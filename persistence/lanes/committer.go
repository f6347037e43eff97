package lanes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
)

// Bounds of one batch, and of what waits for one.
const (
	maxBatchTurns   = 512
	maxBatchRecords = 4096
	maxBatchBytes   = 8 << 20
	maxQueuedTurns  = 16 << 10
	ringRecords     = 1024 // of each lane
	settleBatches   = 2    // committed batches whose answers are still being given
	maxMissedCards  = 64 << 10
)

// What becomes of a turn that was not committed for a reason outside it.
var (
	// ErrFull: too many turns wait. Nothing was written.
	ErrFull = errors.New("lanes: too many turns wait")
	// ErrUnavailable: the database refused the batch, or is away. Nothing was
	// written.
	ErrUnavailable = errors.New("lanes: the database is not available")
	// ErrUnknown: the database did not say whether it committed.
	ErrUnknown = errors.New("lanes: outcome unknown")
	// ErrMoved: the turn was still waiting when the outcome of an earlier batch
	// became unknown. Nothing was written; the activation starts anew.
	ErrMoved = errors.New("lanes: the epoch was raised")
	// ErrStopped: the committer is shutting down. Nothing was written.
	ErrStopped = errors.New("lanes: stopped")
)

// Config is what a Committer needs.
type Config struct {
	Journal persistence.Journal
	Lanes   persistence.Lanes
	Cards   persistence.Cards
	// Lease is how long the node's ownership outlives its last renewal.
	Lease      time.Duration
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
}

// Committer takes turns and commits them in batches: all that wait, as soon as
// the batch before is through, never waiting on a timer. It is the only one
// that commits for its node.
type Committer struct {
	cfg     Config
	metrics *metrics
	rings   [persistence.LaneCount]*Ring

	queue   chan *submission
	queued  atomic.Int64 // reserved places, bounded by maxQueuedTurns
	carried *submission  // second turn of a user in one batch: goes into the next
	settle  chan []*submission
	// unsettled counts the committed batches that settleLoop has not finished.
	unsettled sync.WaitGroup

	node    atomic.Pointer[persistence.Node]
	failure atomic.Pointer[error] // why the database is away; nil: it is not

	mu       sync.Mutex
	marks    map[markKey]uint64 // to save with the next batch
	missed   map[user.ID]struct{}
	watchers []*Watcher
	stopped  bool
}

type markKey struct {
	tail persistence.TailName
	lane uint8
}

type submission struct {
	turn    *persistence.Turn
	done    func(persistence.Outcome, error)
	outcome persistence.Outcome
	err     error
}

// New makes a committer of a node that has acquired the lanes. It reads the
// heads; Run does the work.
func New(ctx context.Context, cfg Config, node persistence.Node) (*Committer, error) {
	heads, err := cfg.Journal.Heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the heads of the lanes: %w", err)
	}
	c := &Committer{
		cfg:     cfg,
		metrics: newMetrics(cfg.Registerer),
		queue:   make(chan *submission, maxQueuedTurns),
		settle:  make(chan []*submission, settleBatches),
		marks:   make(map[markKey]uint64),
		missed:  make(map[user.ID]struct{}),
	}
	for lane := range c.rings {
		c.rings[lane] = newRing(ringRecords, heads[lane])
	}
	c.node.Store(&node)
	return c, nil
}

// Reserve takes a place in the queue for a turn that Submit brings later, or
// returns ErrFull, ErrUnavailable or ErrStopped. Whoever decides first and
// cannot submit has a state that is ahead of the journal: reserve, then decide.
func (c *Committer) Reserve() error {
	if c.failure.Load() != nil {
		return ErrUnavailable
	}
	if c.queued.Add(1) > maxQueuedTurns {
		c.queued.Add(-1)
		return ErrFull
	}
	return nil
}

// Unreserve gives a place back that is not needed after all.
func (c *Committer) Unreserve() { c.queued.Add(-1) }

// Submit brings a turn for a reserved place. done is called once, from a
// goroutine of the committer, and must not block.
func (c *Committer) Submit(turn *persistence.Turn, done func(persistence.Outcome, error)) {
	s := &submission{turn: turn, done: done}
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		s.err = ErrStopped
		c.finish(s)
		return
	}
	c.queue <- s // never blocks: every place was reserved
	c.mu.Unlock()
}

// SaveMarks saves marks with the next batch, or soon after when there is none.
// A tail that crashes before sees its last records again.
func (c *Committer) SaveMarks(marks []persistence.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range marks {
		c.marks[markKey{m.Tail, m.Lane}] = m.Pos
	}
}

// Ring returns the newest records of a lane.
func (c *Committer) Ring(lane uint8) *Ring { return c.rings[lane] }

// Node returns the node at its current epoch.
func (c *Committer) Node() persistence.Node { return *c.node.Load() }

// Health returns nil while commits go through, else why they do not.
func (c *Committer) Health() error {
	if err := c.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// MissedCards returns the users whose card the cache did not take since the
// last call.
func (c *Committer) MissedCards() []user.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missed) == 0 {
		return nil
	}
	ids := make([]user.ID, 0, len(c.missed))
	for id := range c.missed {
		ids = append(ids, id)
	}
	clear(c.missed)
	return ids
}

// Run commits until ctx ends and all that was submitted is answered. It returns
// an error matching persistence.ErrFenced when another node owns the lanes.
func (c *Committer) Run(ctx context.Context) error {
	var settled sync.WaitGroup
	settled.Go(c.settleLoop)
	err := c.commitLoop(ctx)

	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.refuseQueued(ErrStopped)
	close(c.settle)
	settled.Wait()
	return err
}

func (c *Committer) commitLoop(ctx context.Context) error {
	// Marks without turns are saved at a gentle pace.
	idle := time.NewTicker(markInterval)
	defer idle.Stop()
	var batch []*submission
	for {
		batch = batch[:0]
		if c.carried == nil {
			select {
			case s := <-c.queue:
				batch = append(batch, s)
			case <-idle.C:
				if !c.marksWait() {
					continue
				}
			case <-ctx.Done():
				select { // what was submitted before is committed
				case s := <-c.queue:
					batch = append(batch, s)
				default:
					if !c.marksWait() {
						return nil
					}
				}
			}
		}
		batch = c.gather(batch)
		if err := c.commit(ctx, batch); err != nil {
			return err
		}
		if ctx.Err() != nil && c.Health() != nil {
			return nil
		}
	}
}

const markInterval = 250 * time.Millisecond

// gather adds what waits to batch, within its bounds, one turn a user.
func (c *Committer) gather(batch []*submission) []*submission {
	users := make(map[user.ID]struct{}, len(c.queue)+1)
	records, bytes := 0, 0
	add := func(s *submission) bool {
		if _, twice := users[s.turn.User]; twice {
			c.carried = s
			return false
		}
		users[s.turn.User] = struct{}{}
		records += len(s.turn.Records)
		for i := range s.turn.Records {
			bytes += len(s.turn.Records[i].Payload)
		}
		return true
	}
	if s := c.carried; s != nil {
		c.carried = nil
		batch = append(batch, s)
	}
	for _, s := range batch {
		add(s)
	}
	for len(batch) < maxBatchTurns && records < maxBatchRecords && bytes < maxBatchBytes {
		select {
		case s := <-c.queue:
			if !add(s) {
				return batch
			}
			batch = append(batch, s)
		default:
			return batch
		}
	}
	return batch
}

func (c *Committer) commit(ctx context.Context, batch []*submission) error {
	marks := c.takeMarks()
	turns := make([]*persistence.Turn, len(batch))
	for i, s := range batch {
		turns[i] = s.turn
	}
	start := time.Now()
	// A commit that began is not given up halfway: its outcome would be unknown.
	outcomes, err := c.cfg.Journal.Commit(context.WithoutCancel(ctx), persistence.Batch{Node: c.Node(), Turns: turns, Marks: marks})
	c.metrics.seconds.Observe(time.Since(start).Seconds())
	c.metrics.batchSize.Observe(float64(len(batch)))
	if err == nil {
		c.recovered()
		c.metrics.batches.WithLabelValues("committed").Inc()
		for i, s := range batch {
			s.outcome = outcomes[i]
		}
		if len(batch) > 0 {
			c.unsettled.Add(1)
			c.settle <- slices.Clone(batch)
		}
		return nil
	}

	c.putBack(marks)
	switch {
	case errors.Is(err, persistence.ErrFenced):
		c.fail(err)
		c.finishAll(batch, ErrUnavailable)
		c.refuseQueued(ErrUnavailable)
		return fmt.Errorf("commit a batch: %w", err)
	case errors.Is(err, persistence.ErrNotCommitted):
		c.metrics.batches.WithLabelValues("refused").Inc()
		c.cfg.Logger.Error("the database refused a batch; nothing of it was written", "turns", len(batch), "error", err)
		c.fail(err)
		c.finishAll(batch, ErrUnavailable)
		return nil
	default:
		c.metrics.batches.WithLabelValues("unknown").Inc()
		return c.recover(ctx, batch, err)
	}
}

// settleLoop does what follows a commit, in commit order.
func (c *Committer) settleLoop() {
	var perLane [persistence.LaneCount][]persistence.Record
	for batch := range c.settle {
		dirty := c.publish(batch, &perLane)
		c.putCards(batch)
		for _, s := range batch {
			c.finish(s)
		}
		c.wake(dirty)
		c.unsettled.Done()
	}
}

// publish appends the committed records to the rings, in position order, and
// returns the lanes that have new ones.
func (c *Committer) publish(batch []*submission, perLane *[persistence.LaneCount][]persistence.Record) (dirty uint64) {
	for _, s := range batch {
		if s.outcome.Status != persistence.Committed {
			continue
		}
		lane := s.turn.Records[0].Lane
		perLane[lane] = append(perLane[lane], s.turn.Records...)
		dirty |= 1 << lane
		c.metrics.records.Add(float64(len(s.turn.Records)))
	}
	for rest := dirty; rest != 0; rest &= rest - 1 {
		lane := bits.TrailingZeros64(rest)
		c.rings[lane].append(sortByPos(perLane[lane]))
		clear(perLane[lane])
		perLane[lane] = perLane[lane][:0]
	}
	return dirty
}

// putCards writes the cards of a batch to the cache. What the cache does not
// take, the effects tail writes again.
func (c *Committer) putCards(batch []*submission) {
	cards := make([]*persistence.CachedCard, 0, len(batch))
	for _, s := range batch {
		if s.outcome.Status == persistence.Committed {
			cards = append(cards, cardOf(s.turn))
		}
	}
	if len(cards) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cardTimeout)
	defer cancel()
	if err := c.cfg.Cards.Put(ctx, cards); err != nil {
		c.metrics.cards.WithLabelValues("failed").Add(float64(len(cards)))
		c.cfg.Logger.Warn("the card cache did not take the cards of a batch", "cards", len(cards), "error", err)
		c.missCards(cards)
		return
	}
	c.metrics.cards.WithLabelValues("written").Add(float64(len(cards)))
}

// cardTimeout bounds how long answers wait for the card cache.
const cardTimeout = 100 * time.Millisecond

func cardOf(t *persistence.Turn) *persistence.CachedCard {
	if t.Deleted {
		return persistence.NewTombstone(t.User, t.Account.Version)
	}
	return persistence.NewCard(t.Account.Card)
}

func (c *Committer) missCards(cards []*persistence.CachedCard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, card := range cards {
		if len(c.missed) < maxMissedCards { // full: the cache is away for long; its entries expire
			c.missed[card.Card.ID] = struct{}{}
		}
	}
}

func (c *Committer) finish(s *submission) {
	c.metrics.queued.Set(float64(c.queued.Add(-1)))
	switch {
	case s.err != nil:
		c.metrics.turns.WithLabelValues("failed").Inc()
	case s.outcome.Status == persistence.Committed:
		c.metrics.turns.WithLabelValues("committed").Inc()
	default:
		c.metrics.turns.WithLabelValues("conflict").Inc()
	}
	s.done(s.outcome, s.err)
}

func (c *Committer) finishAll(batch []*submission, err error) {
	for _, s := range batch {
		s.err = err
		c.finish(s)
	}
}

// refuseQueued answers all that waits.
func (c *Committer) refuseQueued(err error) {
	if s := c.carried; s != nil {
		c.carried = nil
		c.finishAll([]*submission{s}, err)
	}
	for {
		select {
		case s := <-c.queue:
			c.finishAll([]*submission{s}, err)
		default:
			return
		}
	}
}

func (c *Committer) marksWait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.marks) > 0
}

func (c *Committer) takeMarks() []persistence.Mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	marks := make([]persistence.Mark, 0, len(c.marks))
	for k, pos := range c.marks {
		marks = append(marks, persistence.Mark{Tail: k.tail, Lane: k.lane, Pos: pos})
	}
	clear(c.marks)
	return marks
}

// putBack keeps marks of a batch that failed, unless newer ones wait.
func (c *Committer) putBack(marks []persistence.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range marks {
		if k := (markKey{m.Tail, m.Lane}); c.marks[k] < m.Pos {
			c.marks[k] = m.Pos
		}
	}
}
