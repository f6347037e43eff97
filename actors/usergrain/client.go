package usergrain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/google/uuid"

	"kith/actors/cluster"
	"kith/actors/user"
	"kith/persistence"
	kithv1 "kith/proto/kith/v1"
)

const (
	idBlock     = 64 // ids taken from the database at a time
	maxClaims   = 3  // times that names are claimed for one command
	warmWorkers = 4
	maxWarm     = 4096 // activations asked for; full: dropped, it is only a wish
	sweepClaims = 10 * time.Second
	// claimAge is how old a claim must be before the sweep looks at it: older than
	// any command that may still be on its way.
	claimAge     = time.Minute
	sweepBatch   = 1000
	claimTimeout = 5 * time.Second
)

// ClientConfig is what a Client needs.
type ClientConfig struct {
	Cluster   *pcluster.Cluster
	Host      *Host // of this node
	Directory persistence.Directory
	Logger    *slog.Logger
}

// Client is how everybody else speaks to user grains. Run must run beside it.
type Client struct {
	cfg  ClientConfig
	warm chan user.ID

	mu      sync.Mutex
	warming map[user.ID]struct{}

	// emails are held, by user, from the claim of an address to the release of the
	// one before: the release gives up all that the account does not bear, and so
	// what another change of it has just claimed.
	emails [64]sync.Mutex

	ids    sync.Mutex // held while a block is fetched
	nextID user.ID    // [nextID, endID) are free
	endID  user.ID
}

// NewClient makes a client.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Cluster == nil || cfg.Host == nil || cfg.Directory == nil || cfg.Logger == nil {
		return nil, errors.New("usergrain: a client needs a cluster, a host, a directory and a logger")
	}
	return &Client{cfg: cfg, warm: make(chan user.ID, maxWarm), warming: make(map[user.ID]struct{})}, nil
}

// Register makes an account. It returns a *persistence.TakenError when a name, or
// the identity, is taken. After ErrOutcomeUnknown the account may exist; what it
// claimed is free again within minutes if it does not.
func (c *Client) Register(ctx context.Context, r Registration) (Result, error) {
	id, err := c.newID(ctx)
	if err != nil {
		return Result{}, err
	}
	uid, err := uuid.NewV7()
	if err != nil {
		return Result{}, fmt.Errorf("make a uid: %w", err)
	}
	claims := []persistence.Claim{{Kind: persistence.ClaimUsername, Value: r.Username}}
	if r.Email != "" {
		claims = append(claims, persistence.Claim{Kind: persistence.ClaimEmail, Value: user.EmailKey(r.Email)})
	}
	if r.Identity != "" {
		claims = append(claims, persistence.Claim{Kind: persistence.ClaimIdentity, Value: r.Identity})
	}
	m := &kithv1.Command{Command: &kithv1.Command_Register{Register: &kithv1.Register{
		Uid: uid[:], Username: r.Username, Name: r.Name, Email: r.Email, PasswordHash: r.PasswordHash, Identity: r.Identity,
	}}}
	return c.withClaims(ctx, id, claims, m)
}

// Do sends one command and returns what it did, or why it was refused. Sending
// it again is safe. Register, AddFollower and RemoveFollower have methods of
// their own.
func (c *Client) Do(ctx context.Context, id user.ID, command user.Command) (Result, error) {
	m, err := commandToProto(command)
	if err != nil {
		return Result{}, err
	}
	var claims []persistence.Claim
	update, updates := command.(user.UpdateProfile)
	movesEmail := updates && update.Email != nil
	if movesEmail {
		mu := &c.emails[uint64(id)%uint64(len(c.emails))]
		mu.Lock()
		defer mu.Unlock()
	}
	if movesEmail && *update.Email != "" {
		claims = []persistence.Claim{{Kind: persistence.ClaimEmail, Value: user.EmailKey(*update.Email)}}
	}
	result, err := c.withClaims(ctx, id, claims, m)
	if _, deletes := command.(user.Delete); err == nil && (movesEmail || deletes) {
		c.release(ctx, id, nil) // the address before; or all that the account bore
	}
	return result, err
}

// Deliver applies what records of other users mean for target, in order. It may
// be repeated: positions already passed are ignored. It returns user.ErrDeleted
// when target is gone, and then effects that take something away are satisfied.
func (c *Client) Deliver(ctx context.Context, target user.ID, effects []Effect) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("deliver to user %d: %w", target, err)
	}
	m := &kithv1.Effects{Effects: make([]*kithv1.Effect, len(effects))}
	for i, e := range effects {
		m.Effects[i] = &kithv1.Effect{Source: uint64(e.Source), Lane: uint32(e.Lane), Pos: e.Pos, AtUs: toMicro(e.At), Removed: e.Removed}
	}
	_, err := c.grain(target).Deliver(m)
	return c.judge(err)
}

// Activate loads a user.
func (c *Client) Activate(ctx context.Context, id user.ID) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("activate user %d: %w", id, err)
	}
	_, err := c.grain(id).Activate(&kithv1.ActivateRequest{})
	return c.judge(err)
}

// Follows reports whether caller follows target as far as is committed, and
// whether that is known on this node without asking anybody.
func (c *Client) Follows(caller, target user.ID) (follows, known bool) {
	return c.cfg.Host.Follows(caller, target)
}

// Following returns whom id follows as far as is committed, and whether that is known
// on this node without asking anybody.
func (c *Client) Following(id user.ID) (following []user.ID, known bool) {
	return c.cfg.Host.Following(id)
}

// Warm asks for an activation in the background. It never blocks.
func (c *Client) Warm(id user.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, asked := c.warming[id]; asked {
		return
	}
	select {
	case c.warm <- id:
		c.warming[id] = struct{}{}
	default:
	}
}

// Run activates what Warm asked for and sweeps claims that no account bears,
// until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range warmWorkers {
		wg.Go(func() { c.warmLoop(ctx) })
	}
	wg.Go(func() { c.sweepLoop(ctx) })
	wg.Wait()
	return nil
}

func (c *Client) warmLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case id := <-c.warm:
			// A wish that fails is wished again by the next request.
			_ = c.Activate(ctx, id)
			c.mu.Lock()
			delete(c.warming, id)
			c.mu.Unlock()
		}
	}
}

func (c *Client) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepClaims)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sweep, cancel := context.WithTimeout(ctx, claimTimeout)
		n, err := c.cfg.Directory.SweepClaims(sweep, c.cfg.Host.now().Add(-claimAge), sweepBatch)
		cancel()
		if err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("claims could not be swept", "error", err)
		}
		if n > 0 {
			c.cfg.Logger.Info("gave up claims that no account bears", "claims", n)
		}
	}
}

// withClaims claims names for id, in a transaction of its own, and then sends the
// command that uses them. What is certainly not used is given up at once; the
// sweep finds the rest.
func (c *Client) withClaims(ctx context.Context, id user.ID, claims []persistence.Claim, m *kithv1.Command) (Result, error) {
	// In one order for all, so that two callers do not wait for each other.
	slices.SortFunc(claims, func(a, b persistence.Claim) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Value, b.Value)
	})
	for attempt := 1; ; attempt++ {
		if len(claims) > 0 {
			if err := c.cfg.Directory.Claim(ctx, id, claims); err != nil {
				if errors.Is(err, persistence.ErrTaken) {
					return Result{}, err
				}
				if ctx.Err() != nil { // the caller has gone, and the sweep gives up what was claimed
					return Result{}, fmt.Errorf("claim names: %w", err)
				}
				return Result{}, fmt.Errorf("%w: claim names: %w", ErrUnavailable, err)
			}
		}
		result, err := c.execute(ctx, id, m)
		switch {
		case err == nil:
			return result, nil
		case errors.Is(err, errClaimMissing) && attempt < maxClaims:
			continue
		case errors.Is(err, errClaimMissing):
			err = ErrBusy
		}
		if !errors.Is(err, ErrOutcomeUnknown) && len(claims) > 0 {
			c.release(ctx, id, claims)
		}
		return Result{}, err
	}
}

// release gives claims up, all of id's when none are given, except those that its
// row bears. A failure costs nothing but time: the sweep does it again.
func (c *Client) release(ctx context.Context, id user.ID, claims []persistence.Claim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	if err := c.cfg.Directory.Release(ctx, id, claims); err != nil {
		c.cfg.Logger.Warn("claims could not be released; the sweep will", "user_id", id, "error", err)
	}
}

func (c *Client) execute(ctx context.Context, id user.ID, m *kithv1.Command) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, fmt.Errorf("send a command to user %d: %w", id, err)
	}
	r, err := c.grain(id).Execute(m)
	if err != nil {
		return Result{}, c.judge(err)
	}
	if a := r.GetActivities(); len(a) == 1 && a[0].GetCode() != "" {
		return Result{}, user.Refusal(a[0].GetCode())
	}
	account, err := accountFromProto(r.GetAccount())
	if err != nil {
		return Result{}, fmt.Errorf("decode the answer of user %d: %w", id, err)
	}
	return Result{Changed: r.GetChanged(), Account: account}, nil
}

func (c *Client) grain(id user.ID) *kithv1.UserGrainClient {
	return kithv1.GetUserGrainClient(c.cfg.Cluster, strconv.FormatUint(uint64(id), 10))
}

// judge turns the error of a call into a refusal or a failure, and counts it.
func (c *Client) judge(err error) error {
	result := "ok"
	defer func() { c.cfg.Host.metrics.requests.WithLabelValues(result).Inc() }()
	if err == nil {
		return nil
	}
	result = "failed"
	switch {
	case errors.Is(err, cluster.ErrTimeout), errors.Is(err, cluster.ErrFailed):
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	case errors.Is(err, cluster.ErrStopping):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, cluster.ErrBusy), errors.Is(err, cluster.ErrFull),
		errors.Is(err, cluster.ErrUnreachable), errors.Is(err, cluster.ErrNotOwned):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	var answer *pcluster.GrainErrorResponse
	if !errors.As(err, &answer) {
		return fmt.Errorf("call a user grain: %w", err)
	}
	if sentinel := failures()[answer.GetReason()]; sentinel != nil {
		return sentinel
	}
	switch answer.GetReason() {
	case reasonInvalid:
		result = "refused"
		return &user.InvalidError{Field: answer.GetMetadata()[metadataField], Message: answer.GetMessage()}
	case pcluster.ErrorReason_INTERNAL, pcluster.ErrorReason_INVALID_ARGUMENT, pcluster.ErrorReason_UNKNOWN:
		return fmt.Errorf("call a user grain: %w", answer)
	}
	result = "refused"
	return user.Refusal(answer.GetReason())
}

// newID hands out an id, from a block taken from the database.
func (c *Client) newID(ctx context.Context) (user.ID, error) {
	c.ids.Lock()
	defer c.ids.Unlock()
	if c.nextID == c.endID {
		first, err := c.cfg.Directory.NextIDs(ctx, idBlock)
		if err != nil && ctx.Err() != nil {
			return 0, fmt.Errorf("take ids: %w", err)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: take ids: %w", ErrUnavailable, err)
		}
		c.nextID, c.endID = first, first+idBlock
	}
	id := c.nextID
	c.nextID++
	return id, nil
}
