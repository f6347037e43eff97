package lanes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	defaultLease    = 10 * time.Second
)

// What becomes of a turn that was not committed for a reason outside it.
var (
	// ErrFull: too many turns wait. Nothing was written.
	ErrFull = errors.New("lanes: too many turns wait")
	// ErrUnavailable: the database refused the batch, or is away, or the node has
	// outlived its lease. Nothing was written.
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
	// Lease is how long the node's ownership outlives its last renewal. Default
	// 10 seconds.
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
	moments sync.RWMutex // held while the records of a batch go into the rings

	queue   chan *submission
	queued  atomic.Int64         // reserved places, bounded by maxQueuedTurns
	carried *submission          // did not fit into a batch: goes into the next
	users   map[user.ID]struct{} // of the batch that is gathered
	settle  chan []*submission
	// cardsAway is of settleLoop: the cache did not take the last cards.
	cardsAway bool
	// unsettled counts the committed batches that settleLoop has not finished.
	unsettled sync.WaitGroup

	node    atomic.Pointer[persistence.Node]
	raising atomic.Bool           // the stored epoch may be ahead of node
	failure atomic.Pointer[error] // why the database is away; nil: it is not
	leased  atomic.Pointer[time.Time]

	mu       sync.Mutex
	marks    map[markKey]uint64 // to save with the next batch
	missed   map[user.ID]MissedCard
	watchers []*Watcher
	before   []func(lane uint8, records []persistence.Record)
	refusal  error // what turns are answered that come now; nil: they are taken
}

// MissedCard is a card that the cache did not take.
type MissedCard struct {
	User    user.ID
	Version uint64
	// Deleted says that it was the tombstone of a deletion that is committed, or
	// whose outcome is unknown: look whether the user's row is gone.
	Deleted bool
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
	if cfg.Journal == nil || cfg.Lanes == nil || cfg.Cards == nil || cfg.Logger == nil {
		return nil, errors.New("lanes: a committer needs a journal, lanes, cards and a logger")
	}
	if cfg.Lease <= 0 {
		cfg.Lease = defaultLease
	}
	heads, err := cfg.Journal.Heads(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the heads of the lanes: %w", err)
	}
	c := &Committer{
		cfg:    cfg,
		queue:  make(chan *submission, maxQueuedTurns),
		users:  make(map[user.ID]struct{}, maxBatchTurns),
		settle: make(chan []*submission, settleBatches),
		marks:  make(map[markKey]uint64),
		missed: make(map[user.ID]MissedCard),
	}
	c.metrics = newMetrics(cfg.Registerer, c)
	for lane := range c.rings {
		c.rings[lane] = newRing(ringRecords, heads[lane])
	}
	c.node.Store(&node)
	return c, nil
}

// Reserve takes a place in the queue for a turn that Submit brings later, or
// returns ErrFull or ErrUnavailable. Whoever decides first and cannot submit has
// a state that is ahead of the journal: reserve, then decide.
func (c *Committer) Reserve() error {
	if c.Health() != nil {
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
// goroutine of the committer or, when no turns are taken at the moment, from
// within Submit. It must not block.
func (c *Committer) Submit(turn *persistence.Turn, done func(persistence.Outcome, error)) {
	s := &submission{turn: turn, done: done}
	c.mu.Lock()
	if s.err = c.refusal; s.err == nil {
		c.queue <- s // never blocks: every place was reserved
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.finish(s)
}

// refuse answers all that waits and, until accept, all that comes.
func (c *Committer) refuse(err error) {
	c.mu.Lock()
	c.refusal = err
	c.mu.Unlock()
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

func (c *Committer) accept() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = nil
}

// SaveMarks saves marks with the next batch, or soon after when there is none.
// A mark below one that waits is ignored. A tail that crashes before sees its
// last records again.
func (c *Committer) SaveMarks(marks ...persistence.Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range marks {
		if k := (markKey{m.Tail, m.Lane}); c.marks[k] < m.Pos {
			c.marks[k] = m.Pos
		}
	}
}

// Ring returns the newest records of a lane.
func (c *Committer) Ring(lane uint8) *Ring { return c.rings[lane] }

// Node returns the node at its current epoch.
func (c *Committer) Node() persistence.Node { return *c.node.Load() }

// Settling reports whether there is a batch of which nobody knows yet whether it
// was committed: what the database shows of its users now may change.
func (c *Committer) Settling() bool { return c.raising.Load() }

// Health returns nil while commits go through and the lease holds, else why not.
// Whoever is unhealthy answers nobody: another node may own the lanes by now.
func (c *Committer) Health() error {
	if err := c.failure.Load(); err != nil {
		return *err
	}
	if until := c.leased.Load(); until != nil && time.Now().After(*until) {
		return errLeaseOver
	}
	return nil
}

// MissedCards returns the cards that the cache did not take since the last call,
// one a user.
func (c *Committer) MissedCards() []MissedCard {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missed) == 0 {
		return nil
	}
	missed := make([]MissedCard, 0, len(c.missed))
	for _, m := range c.missed {
		missed = append(missed, m)
	}
	clear(c.missed)
	return missed
}

// Run commits until ctx ends and all that was submitted is answered. It returns
// an error matching persistence.ErrFenced when another node owns the lanes.
func (c *Committer) Run(ctx context.Context) error {
	var settled sync.WaitGroup
	settled.Go(c.settleLoop)
	err := c.commitLoop(ctx)
	c.refuse(ErrStopped)
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

// gather adds what waits to batch, within its bounds, one turn a user. The first
// that does not fit is carried into the next batch; only a turn that is larger
// than the bounds by itself exceeds them.
func (c *Committer) gather(batch []*submission) []*submission {
	clear(c.users)
	records, bytes := 0, 0
	fits := func(s *submission) bool {
		size := 0
		for i := range s.turn.Records {
			size += len(s.turn.Records[i].Payload)
		}
		_, twice := c.users[s.turn.User]
		over := records+len(s.turn.Records) > maxBatchRecords || bytes+size > maxBatchBytes
		if len(c.users) > 0 && (twice || over) {
			return false
		}
		c.users[s.turn.User] = struct{}{}
		records += len(s.turn.Records)
		bytes += size
		return true
	}
	if s := c.carried; s != nil {
		c.carried = nil
		batch = append(batch, s)
	}
	for _, s := range batch { // at most one
		fits(s)
	}
	for len(batch) < maxBatchTurns {
		select {
		case s := <-c.queue:
			if !fits(s) {
				c.carried = s
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
	// A commit that began is not given up because the node stops: its outcome
	// would be unknown. It may take as long as the lease, after which the answer
	// could not be believed anyway.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.Lease)
	outcomes, err := c.cfg.Journal.Commit(bounded, persistence.Batch{Node: c.Node(), Turns: turns, Marks: marks})
	cancel()
	c.metrics.seconds.Observe(time.Since(start).Seconds())
	c.metrics.batchSize.Observe(float64(len(batch)))
	if err == nil {
		c.recovered(c.failure.Load())
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

	c.SaveMarks(marks...) // with the next batch, unless newer ones wait
	switch {
	case errors.Is(err, persistence.ErrFenced):
		c.fail(err)
		c.finishAll(batch, ErrUnavailable)
		c.refuse(ErrUnavailable)
		return fmt.Errorf("commit a batch: %w", err)
	case errors.Is(err, persistence.ErrNotCommitted), len(batch) == 0:
		// Marks alone may be saved twice, so that their outcome does not matter.
		c.metrics.batches.WithLabelValues("refused").Inc()
		if c.fail(fmt.Errorf("%w: %w", errRefused, err)) {
			c.cfg.Logger.Error("the database refused a batch; nothing of it was written", "turns", len(batch), "error", err)
		}
		c.finishAll(batch, ErrUnavailable)
		return nil
	default:
		c.metrics.batches.WithLabelValues("unknown").Inc()
		return c.recover(ctx, batch, err)
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
