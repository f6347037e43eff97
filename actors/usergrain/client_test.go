package usergrain_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver, to spoil stored data

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/persistence/sqlite"
	"kith/test/world"
)

// spoil changes stored data behind the back of everybody.
func spoil(tb testing.TB, path, statement string) {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := db.ExecContext(tb.Context(), statement)
	if err != nil {
		tb.Fatal(err)
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		tb.Fatalf("spoiled %d rows, error %v", n, err)
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// syncBuffer is a log that is written to by many.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) Contains(part string) bool { return strings.Contains(s.String(), part) }

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			r, err := w.Client.Register(context.Background(), usergrain.Registration{Username: "ada", Name: "Ada", Email: fmt.Sprintf("ada%d@example.com", i%4)})
			var taken *persistence.TakenError
			switch {
			case err == nil:
				won.Add(1)
				if r.Account.Username != "ada" || !r.Changed {
					t.Errorf("result %+v", r)
				}
			case !errors.As(err, &taken):
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d of 32 registered one name", won.Load())
	}
	// Whoever lost has given its address up.
	for i := range 4 {
		if _, err := w.Client.Register(t.Context(), usergrain.Registration{Username: fmt.Sprintf("other%d", i), Name: "x", Email: fmt.Sprintf("ADA%d@example.com", i)}); err != nil {
			var taken *persistence.TakenError
			if !errors.As(err, &taken) || taken.Claim.Kind != persistence.ClaimEmail {
				t.Errorf("address %d: %v", i, err)
				continue
			}
			won.Add(1)
		}
	}
	if won.Load() != 2 { // the winner's own address, and nothing else
		t.Errorf("%d addresses are taken, want 1", won.Load()-1)
	}
}

func TestEmailMovesWithTheProfile(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada, bob := w.Register("ada"), w.Register("bob")
	set := func(id user.ID, email string) error {
		_, err := w.Client.Do(t.Context(), id, user.UpdateProfile{Email: &email})
		return err
	}
	for _, step := range []struct {
		id    user.ID
		email string
		want  error
	}{
		{ada.ID, "Ada@example.com", nil},
		{bob.ID, "ada@EXAMPLE.com", persistence.ErrTaken},
		{ada.ID, "ada@example.com", nil}, // her own, written otherwise
		{ada.ID, "new@example.com", nil},
		{bob.ID, "ada@example.com", nil}, // she gave it up
		{ada.ID, "", nil},
		{bob.ID, "new@example.com", nil},
	} {
		if err := set(step.id, step.email); !errors.Is(err, step.want) {
			t.Fatalf("%d sets %s: %v, want %v", step.id, step.email, err, step.want)
		}
	}
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
}

func TestChangesOfOneEmailAtOnce(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	ada := w.Register("ada")
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 15 {
				email := fmt.Sprintf("ada%d_%d@example.com", worker, i)
				if _, err := w.Client.Do(context.Background(), ada.ID, user.UpdateProfile{Email: &email}); err != nil {
					t.Errorf("change the address: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if r := w.Verify(); r.Differences > 0 {
		t.Errorf("%+v", r)
	}
}

// A claim can be swept between the moment it was taken and the turn that uses it.
func TestClaimThatWasSweptIsTakenAgain(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap})
	var once sync.Once
	j.OnCommit(func(ctx context.Context, b persistence.Batch, next func() ([]persistence.Outcome, error)) (_ []persistence.Outcome, err error) {
		once.Do(func() { _, err = w.DB.SweepClaims(ctx, time.Now().Add(time.Hour), 100) })
		if err != nil {
			return nil, err
		}
		return next()
	})
	ada := w.Register("ada")
	if ada.Username != "ada" || w.Account(ada.ID) == nil {
		t.Errorf("account %+v", ada)
	}
}

func TestNameIsFreeAtOnceAfterDeletion(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{})
	for range 20 {
		w.Do(w.Register("ada").ID, user.Delete{})
	}
}

func TestNameStaysTakenWhileItsQuarantineLasts(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{Effects: true, DB: func(c *sqlite.Config) { c.Quarantine = time.Hour }})
	register := func(username, email string) error {
		_, err := w.Client.Register(t.Context(), usergrain.Registration{Username: username, Name: "Ada", Email: email})
		return err
	}
	if err := register("ada", "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	w.Do(1, user.Delete{})
	w.Settle() // the tail has released her claims again
	if err := register("ada", ""); !errors.Is(err, persistence.ErrTaken) {
		t.Errorf("the name at once: %v, want taken", err)
	}
	if err := register("eve", "ada@example.com"); err != nil {
		t.Errorf("the address, which has no quarantine: %v", err)
	}
	for _, sweep := range []struct {
		after time.Duration
		want  error
	}{{55 * time.Minute, persistence.ErrTaken}, {65 * time.Minute, nil}} {
		if _, err := w.DB.SweepClaims(t.Context(), time.Now().Add(sweep.after), 100); err != nil {
			t.Fatal(err)
		}
		if err := register("ada", ""); !errors.Is(err, sweep.want) {
			t.Errorf("the name after %v: %v, want %v", sweep.after, err, sweep.want)
		}
	}
}

func TestNameCannotBeSweptBeforeItsQuarantineBegins(t *testing.T) {
	t.Parallel()
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap, DB: func(c *sqlite.Config) { c.Quarantine = time.Hour }})
	w.Register("ada")
	j.OnCommit(func(ctx context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		o, err := next()
		_, sweep := w.DB.SweepClaims(ctx, time.Now().Add(time.Minute), 100) // before anybody releases
		return o, errors.Join(err, sweep)
	})
	w.Do(1, user.Delete{})
	j.OnCommit(nil)
	if _, err := w.Client.Register(t.Context(), usergrain.Registration{Username: "ada", Name: "Eve"}); !errors.Is(err, persistence.ErrTaken) {
		t.Errorf("the name: %v, want taken", err)
	}
}

func TestNamesFreedAndTakenAtOnce(t *testing.T) {
	t.Parallel()
	w := world.Start(t, world.Options{Effects: true})
	var holders, held atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 25 {
				r, err := w.Client.Register(context.Background(), usergrain.Registration{Username: "ada", Name: "Ada", Email: "ada@example.com"})
				if errors.Is(err, persistence.ErrTaken) {
					continue
				}
				if err != nil {
					t.Errorf("register: %v", err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d accounts bear one name", n)
				}
				held.Add(1)
				holders.Add(-1)
				if _, err := w.Client.Do(context.Background(), r.Account.ID, user.Delete{}); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if held.Load() == 0 {
		t.Error("nobody ever got the name")
	}
	w.Settle()
	w.Register("ada") // it is free in the end
}

// Many clients, activations that end at random, commits that fail at random:
// what is stored is consistent, and every acknowledged follow is there.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	const users, workers, each = 12, 24, 150
	var j world.Journal
	w := world.Start(t, world.Options{Journal: j.Wrap, Effects: true, Host: func(c *usergrain.Config) {
		c.IdleAfter, c.SweepEvery = -time.Second, 3*time.Millisecond // everybody is idle
	}})
	var ids []user.ID
	for i := range users {
		ids = append(ids, w.Register(fmt.Sprintf("user%d", i)).ID)
	}
	var n atomic.Int64
	j.OnCommit(func(_ context.Context, _ persistence.Batch, next func() ([]persistence.Outcome, error)) ([]persistence.Outcome, error) {
		switch n.Add(1) % 23 {
		case 5:
			return nil, fmt.Errorf("refused: %w", persistence.ErrNotCommitted)
		case 11:
			_, err := next()
			return nil, errors.Join(err, errors.New("the answer is lost"))
		case 17:
			return nil, errors.New("the request is lost")
		}
		return next()
	})
	// Each pair belongs to one worker, who so knows what the last acknowledged word
	// on it was.
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			last := make(map[int]string)
			for range each {
				pair := worker + workers*random.IntN(users*users/workers)
				source, target := ids[pair/users], ids[pair%users]
				c, word := follow(target), "follow"
				if random.IntN(3) == 0 {
					c, word = user.Unfollow{Target: target}, "unfollow"
				}
				_, err := w.Client.Do(context.Background(), source, c)
				switch {
				case err == nil:
					last[pair] = word
				case !errors.Is(err, user.ErrSelfFollow):
					last[pair] = "uncertain"
				}
			}
			for pair, word := range last {
				source, target := ids[pair/users], ids[pair%users]
				relations, err := w.DB.Relations(context.Background(), source, []user.ID{target})
				if err != nil || (word != "uncertain" && relations[0].Following != (word == "follow")) {
					t.Errorf("%d and %d: last acknowledged %s, stored %+v, error %v", source, target, word, relations, err)
				}
			}
		})
	}
	wg.Wait()
	j.OnCommit(nil)
	w.Settle()
}

func TestVerifyFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ spoil, want string }{
		"counter":       {`UPDATE users SET followers = 7 WHERE id = 2`, "followers"},
		"name":          {`UPDATE users SET name = 'Eve' WHERE id = 1`, "name"},
		"edge is gone":  {`DELETE FROM following WHERE user_id = 1`, "following"},
		"edge too many": {`INSERT INTO followers (user_id, id, at, seq) VALUES (1, 2, 5, 6)`, "followers"},
		"other side":    {`DELETE FROM followers WHERE user_id = 2`, "its own list only"},
		"record gone":   {`DELETE FROM journal WHERE user_id = 1 AND seq = 1`, "lacks record 1"},
		"row is gone":   {`DELETE FROM users WHERE id = 1`, "no row"},
		"bad snapshot":  {`UPDATE snapshots SET seq = 1 WHERE user_id = 1`, "snapshot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "kith.db")
			w := world.Start(t, world.Options{Path: path, Effects: true, Host: func(c *usergrain.Config) {
				c.IdleAfter, c.SweepEvery = -time.Second, time.Millisecond
			}})
			ada, bob := w.Register("ada"), w.Register("bob")
			w.Do(ada.ID, follow(bob.ID))
			w.Settle()
			w.Eventually("the snapshot", func() bool {
				h, err := w.DB.Load(t.Context(), []user.ID{ada.ID})
				return err == nil && h[0].Snapshot != nil && h[0].Snapshot.Seq == 2
			})
			w.Stop()
			spoil(t, path, test.spoil)
			w = world.Start(t, world.Options{Path: path})
			report := w.Verify()
			if report.Differences == 0 || !strings.Contains(fmt.Sprint(report.Findings), test.want) {
				t.Errorf("findings %v, want one of %q", report.Findings, test.want)
			}
		})
	}
}
