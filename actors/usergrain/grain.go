package usergrain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/lanes"
	kithv1 "kith/proto/kith/v1"
)

// kindName is the name of the generated kind.
const kindName = "User"

// Bounds of one activation.
const (
	maxWaiting     = 4096    // requests; full: busy
	maxTurnRecords = 1024    // what waits above it goes into the next turn
	maxTurnBytes   = 1 << 20 // of payloads, likewise
	maxRedos       = 4       // times in a row that a turn is decided anew
)

// NewKind returns the kind of user grains. Activations find their Host through
// the actor system. The library's idle timeout is off: it races, and the sweeper
// passivates.
func NewKind() *pcluster.Kind { return kind() }

// kind is made once: the generated code keeps the factory in a variable of the
// process.
var kind = sync.OnceValue(func() *pcluster.Kind { //nolint:gochecknoglobals // see above
	return kithv1.NewUserKind(func() kithv1.User { return &Grain{} }, 0)
})

// phase is where an activation stands.
type phase uint8

const (
	loading    phase = iota // requests wait until the state is there
	ready                   // memory is what the journal says
	committing              // memory is ahead by one turn; requests wait
	ended                   // the actor has been told to stop
)

// Grain is one activation of a user. The actor's goroutine alone touches it,
// except for view and used.
type Grain struct {
	host *Host
	id   user.ID
	pid  *actor.PID
	view atomic.Pointer[view]
	used atomic.Int64 // unix seconds

	phase   phase
	lent    bool // view shares state.Following: copy before changing
	redos   uint8
	again   int // of those waiting, decided anew: in a turn of their own
	since   int // records after the newest snapshot
	state   user.State
	waiting []request
	turn    *turn // in flight
	// conflicts are event ids that the database refused, for the next decision.
	conflicts []persistence.EventConflictDetail
}

// request is what a caller asked for and waits for.
type request struct {
	sender   *actor.PID
	commands []user.Command
	effects  bool   // a Deliver: answered once, for all commands
	password string // hash, of a registration
	identity string // of an outside provider, of a registration
}

// Init implements kithv1.User: it asks for the state. Nothing can be answered
// here, so a load that cannot even wait stops the activation, and whoever called
// finds that out as from any activation that ended.
func (g *Grain) Init(ctx pcluster.GrainContext) {
	host, ok := ctx.ActorSystem().Extensions.Get(hostExtension).(*Host)
	id, err := strconv.ParseUint(ctx.Identity(), 10, 63)
	g.host, g.id, g.pid = host, user.ID(id), ctx.Self()
	if !ok || err != nil || id == 0 {
		g.phase = ended
		ctx.Stop(ctx.Self())
		return
	}
	g.touch(host.cfg.Now())
	g.load(ctx)
}

func (g *Grain) load(ctx actor.Context) {
	g.phase = loading
	if !g.host.loader.request(g.id, g.pid) {
		g.end(ctx, "loader full")
	}
}

// Terminate implements kithv1.User: the actor has stopped. A turn may still be in
// flight when somebody else stopped it.
func (g *Grain) Terminate(pcluster.GrainContext) {
	if g.host == nil {
		return
	}
	g.host.active.remove(g)
	if g.turn != nil {
		g.answerAll(g.turn.requests, failure(ErrOutcomeUnknown))
		g.turn = nil
	}
	g.moveOn()
}

// Execute implements kithv1.User.
func (g *Grain) Execute(m *kithv1.Command, _ func(*kithv1.Result), _ func(error), ctx pcluster.GrainContext) error {
	commands, err := commandsFromProto(g.id, m, g.host.now())
	if err != nil {
		return pcluster.NewGrainErrorResponse(pcluster.ErrorReason_INVALID_ARGUMENT, err.Error())
	}
	g.accept(request{sender: ctx.Sender(), commands: commands, password: m.GetRegister().GetPasswordHash(), identity: m.GetRegister().GetIdentity()})
	return nil
}

// Deliver implements kithv1.User.
func (g *Grain) Deliver(m *kithv1.Effects, _ func(*kithv1.Delivered), _ func(error), ctx pcluster.GrainContext) error {
	commands, err := effectsFromProto(m)
	if err != nil {
		return pcluster.NewGrainErrorResponse(pcluster.ErrorReason_INVALID_ARGUMENT, err.Error())
	}
	g.accept(request{sender: ctx.Sender(), commands: commands, effects: true})
	return nil
}

// Activate implements kithv1.User. A request without commands is answered as soon
// as the state is there.
func (g *Grain) Activate(_ *kithv1.ActivateRequest, _ func(*kithv1.Activated), _ func(error), ctx pcluster.GrainContext) error {
	g.accept(request{sender: ctx.Sender()})
	return nil
}

// What the node's own machinery says to a grain.
type (
	committed struct {
		outcome persistence.Outcome
		err     error
	}
	passivate struct{}
)

// ReceiveDefault implements kithv1.User.
func (g *Grain) ReceiveDefault(ctx pcluster.GrainContext) {
	switch m := ctx.Message().(type) {
	case *loaded:
		g.loaded(ctx, m)
	case *committed:
		g.settle(ctx, m)
	case passivate:
		if g.phase == ready && len(g.waiting) == 0 {
			g.snapshot()
			g.end(ctx, "idle")
		}
	}
}

func (g *Grain) accept(r request) {
	g.touch(g.host.cfg.Now())
	switch {
	case g.phase == ended:
		g.answer(r, &actor.DeadLetterResponse{})
	case len(g.waiting) >= maxWaiting: // full: nothing was decided, the caller may come again
		g.answer(r, failure(ErrBusy))
	default:
		g.wait(r)
		g.decide()
	}
}

// wait adds requests behind those that wait.
func (g *Grain) wait(requests ...request) {
	g.waiting = append(g.waiting, requests...)
	g.host.waiting.Add(int64(len(requests)))
}

// take takes the first n of those that wait.
func (g *Grain) take(n int) []request {
	taken := g.waiting[:n:n]
	if g.waiting = g.waiting[n:]; len(g.waiting) == 0 {
		g.waiting = nil // idle users are many
	}
	g.host.waiting.Add(int64(-n))
	return taken
}

func (g *Grain) loaded(ctx actor.Context, m *loaded) {
	if g.phase != loading {
		return
	}
	if m.err != nil {
		if errors.Is(m.err, ErrBroken) {
			g.host.cfg.Logger.Error("a user does not activate: the stored history cannot be read; run kith verify", "user_id", g.id, "error", m.err)
		}
		g.answerAll(g.take(len(g.waiting)), failure(m.err))
		g.end(ctx, "load failed")
		return
	}
	g.state, g.since, g.phase = m.state, m.since, ready
	for _, c := range g.conflicts {
		g.state.Learn(c.EventID, c.Status)
	}
	g.conflicts = nil
	g.publish()
	g.host.active.put(g)
	g.decide()
}

// decide takes what waits, up to a turn, decides one command after another, each
// on what the ones before left, and submits the turn. Nobody is answered before
// it has committed: also a refusal may rest on what the turn is about to write.
func (g *Grain) decide() {
	for g.phase == ready && len(g.waiting) > 0 {
		// First the place, then the decision: memory is never ahead of a journal
		// that the turn cannot be submitted to.
		if err := g.host.cfg.Committer.Reserve(); err != nil {
			g.answerAll(g.take(len(g.waiting)), failure(committerError(err)))
			return
		}
		t := newTurn(&g.state)
		n, most := 0, len(g.waiting)
		if g.again > 0 {
			most, g.again = g.again, 0
		}
		for n < most && !t.full() {
			g.consider(t, &g.waiting[n])
			n++
		}
		g.state.Forget()
		t.requests = g.take(n)
		if len(t.row.Records) == 0 {
			g.host.cfg.Committer.Unreserve()
			g.redos = 0
			g.reply(t)
			continue
		}
		g.turn, g.phase = t, committing
		g.host.metrics.turnSize.Observe(float64(len(t.row.Records)))
		root, pid := g.host.root, g.pid
		g.host.cfg.Committer.Submit(t.seal(&g.state), func(o persistence.Outcome, err error) {
			root.Send(pid, &committed{o, err})
		})
	}
}

// consider decides the commands of one request.
func (g *Grain) consider(t *turn, r *request) {
	var answer reply
	for _, c := range r.commands {
		events, err := user.Decide(&g.state, c)
		for _, e := range events {
			if err == nil {
				g.unshare(e)
				err = t.record(&g.state, e)
			}
		}
		changed := err == nil && len(events) > 0
		answer.changed = answer.changed || changed
		// The state remembers only the newest ids; a turn may hold more.
		if deletion, ok := c.(user.DeleteActivity); ok && changed {
			g.state.Learn(deletion.EventID, user.EventErased)
		}
		if count, ok := c.(user.CountContent); ok && changed {
			g.state.Learn(user.ContentKey(count.ID), user.EventRecorded)
		}
		if record, ok := c.(user.RecordActivity); ok {
			if changed {
				g.state.Learn(record.Activity.EventID, user.EventRecorded)
			}
			answer.activities = append(answer.activities, activityResult(record.Activity.EventID, events, err))
			continue
		}
		if err != nil {
			answer.err = err
		}
	}
	if r.password != "" && answer.changed {
		t.row.PasswordHash = r.password
	}
	if answer.changed {
		t.claim(persistence.ClaimIdentity, r.identity)
	}
	t.replies = append(t.replies, answer)
}

func activityResult(id string, events []user.Event, err error) *kithv1.ActivityResult {
	a := &kithv1.ActivityResult{EventId: id}
	switch {
	case err != nil:
		a.Code = failure(err).GetReason()
	case len(events) > 0:
		a.RecordedAtUs = events[0].RecordedAt().UnixMicro()
	}
	return a
}

// settle is what follows the commit of the turn in flight, or its failure.
func (g *Grain) settle(ctx actor.Context, m *committed) {
	t := g.turn
	if t == nil {
		return
	}
	g.turn = nil
	switch {
	case m.err == nil && m.outcome.Status == persistence.Committed:
		g.phase, g.redos = ready, 0
		g.since += len(t.row.Records)
		if t.views {
			g.publish()
		}
		g.reply(t)
		if g.snapshotDue() {
			g.snapshot()
		}
		g.decide()
	case m.err == nil && m.outcome.Status != persistence.Stale && g.redos < maxRedos:
		g.redo(ctx, t, m.outcome)
	case m.err == nil, errors.Is(m.err, lanes.ErrMoved):
		// Certainly not written, and memory is not the truth: the next activation
		// decides these requests.
		g.moveOn(t.requests...)
		g.end(ctx, "stale")
	default:
		g.answerAll(t.requests, failure(committerError(m.err)))
		g.end(ctx, "not committed")
	}
}

// redo decides a turn anew that alone failed its guard, on the state read again
// and with what the database said of event ids; alone, or what has come meanwhile
// could fail it again and again. A request whose claims are gone goes back to its
// caller, who takes them again.
func (g *Grain) redo(ctx actor.Context, t *turn, o persistence.Outcome) {
	g.redos++
	again := t.requests
	if o.Status == persistence.ClaimMissing {
		again = nil
		for _, r := range t.requests {
			if slices.ContainsFunc(r.commands, needsClaim) {
				g.answer(r, failure(errClaimMissing))
				continue
			}
			again = append(again, r)
		}
	}
	g.conflicts, g.again = o.Conflicts, len(again)
	g.wait(append(slices.Clip(again), g.take(len(g.waiting))...)...)
	g.load(ctx)
}

func needsClaim(c user.Command) bool {
	if _, registers := c.(user.Register); registers {
		return true
	}
	update, updates := c.(user.UpdateProfile)
	return updates && update.Email != nil
}

// outlives reports whether a command has its effect though the user is deleted.
func outlives(c user.Command) bool {
	_, deletes := c.(user.Delete)
	_, severs := c.(user.Sever)
	return deletes || severs
}

// end makes the next request activate the user anew, and stops this activation.
func (g *Grain) end(ctx actor.Context, reason string) {
	g.phase = ended
	g.host.active.remove(g)
	g.host.metrics.ends.WithLabelValues(reason).Inc()
	g.host.placement.Deregister(strconv.FormatUint(uint64(g.id), 10), kindName, g.pid)
	g.moveOn()
	ctx.Stop(g.pid)
}

// moveOn sends requests, and all that wait, to the next activation: a dead letter
// tells the caller's node that this one did not process them.
func (g *Grain) moveOn(requests ...request) {
	g.answerAll(requests, &actor.DeadLetterResponse{})
	g.answerAll(g.take(len(g.waiting)), &actor.DeadLetterResponse{})
}

// reply answers the requests of a turn that committed, or that had nothing to
// commit.
func (g *Grain) reply(t *turn) {
	var account *kithv1.Account
	for i, r := range t.requests {
		a := &t.replies[i]
		switch {
		case a.err != nil:
			g.answer(r, failure(a.err))
		case r.effects:
			g.answer(r, &kithv1.Delivered{})
		case len(r.commands) == 0:
			g.answer(r, &kithv1.Activated{})
		case g.state.Deleted && !slices.ContainsFunc(r.commands, outlives):
			g.answer(r, failure(user.ErrDeleted)) // what it changed went with the same commit
		default:
			if account == nil && g.state.Registered() { // a tombstone has none
				committed := g.state.Account()
				account = accountToProto(&committed)
			}
			g.answer(r, &kithv1.Result{Changed: a.changed, Account: account, Activities: a.activities})
		}
	}
}

func (g *Grain) answer(r request, message any) {
	if r.sender != nil {
		g.host.root.Send(r.sender, message)
	}
}

func (g *Grain) answerAll(requests []request, message any) {
	for _, r := range requests {
		g.answer(r, message)
	}
}

func (g *Grain) touch(now time.Time) {
	if s := now.Unix(); g.used.Load() != s {
		g.used.Store(s)
	}
}

// failure encodes why a request was refused, or failed, as an error response.
func failure(err error) *pcluster.GrainErrorResponse {
	var (
		refusal user.Refusal
		invalid *user.InvalidError
	)
	switch {
	case errors.As(err, &refusal):
		return pcluster.NewGrainErrorResponse(refusal.Error(), "")
	case errors.As(err, &invalid):
		return pcluster.NewGrainErrorResponse(reasonInvalid, invalid.Message).WithMetadata(map[string]string{metadataField: invalid.Field})
	}
	for reason, sentinel := range failures() {
		if errors.Is(err, sentinel) {
			return pcluster.NewGrainErrorResponse(reason, "")
		}
	}
	return pcluster.NewGrainErrorResponse(pcluster.ErrorReason_INTERNAL, err.Error())
}

// committerError is what an error of the committer means to a caller.
func committerError(err error) error {
	switch {
	case errors.Is(err, lanes.ErrFull):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case errors.Is(err, lanes.ErrUnavailable), errors.Is(err, lanes.ErrStopped):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
}
