package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"kith/demo"
)

const (
	demoFile     = "demo.json" // in the data dir
	demoPassword = "popcorn for everyone"
	demoSeed     = 1
	demoUsers    = 300
	// demoViewers bounds how many people are tried until one can be logged in: any
	// of them may have been deleted by whoever plays with the world.
	demoViewers = 5
)

// The bounds of a demo's pace.
const (
	minPace = 10 * time.Millisecond
	maxPace = time.Hour
)

// demoCommand runs a server with a small world in it that goes on.
type demoCommand struct {
	settings
	Seed  *uint64       `name:"seed" placeholder:"N" help:"Chooses the world: the same seed and number of users make the same people, follows and events. Default 1."`
	Users *int          `name:"users" placeholder:"N" help:"How many people there are. Default 300."`
	Pace  time.Duration `name:"pace" default:"1s" placeholder:"TIME" help:"How long it takes on average until somebody does something, such as 200ms."`
	Once  bool          `name:"once" help:"Only fill the world: nobody does anything more in it."`
}

// demoState is what the data dir says of the demo in it.
type demoState struct {
	Seed  uint64 `json:"seed"`
	Users int    `json:"users"`
	// Filled says that all of the world is there. Else filling goes on.
	Filled bool `json:"filled"`
}

// Run implements kong's command.
func (c *demoCommand) Run(ctx context.Context, con *console) (err error) {
	raiseLimits(&c.settings)
	if err := c.check(); err != nil {
		return err
	}
	if c.DatabaseURL != "" {
		return badSetting("KITH_DATABASE_URL", masked(string(c.DatabaseURL)), "to leave it unset: the world of a demo lives in its data dir")
	}
	if c.Users != nil && (*c.Users < demo.MinUsers || *c.Users > demo.MaxUsers) {
		return fmt.Errorf("%w --users %d: allowed is %d to %d", errInvalid, *c.Users, demo.MinUsers, demo.MaxUsers)
	}
	if c.Pace < minPace || c.Pace > maxPace {
		return fmt.Errorf("%w --pace %s: allowed is %s to 1h", errInvalid, c.Pace, minPace)
	}
	d, err := openDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	state, err := c.open(d)
	if err != nil {
		return err
	}
	world, err := demo.New(state.Seed, state.Users)
	if err != nil {
		return err
	}
	logger := c.logger(con.err)
	p, err := assemble(ctx, &c.settings, d, logger)
	if err != nil {
		return err
	}
	show := &showing{dataDir: d, state: state, world: world, base: localURL(p.addr), con: con, logger: logger}
	if !c.Once {
		show.pace = c.Pace
	}
	p.add("demo", show.run)
	return p.run(ctx)
}

// open returns what the demo of a data dir is, and begins one where nothing is.
func (c *demoCommand) open(d *dataDir) (demoState, error) {
	_, err := os.Stat(d.file(databaseFile))
	empty := errors.Is(err, fs.ErrNotExist)
	state, err := d.readDemo()
	if c.DatabaseURL != "" {
		empty = errors.Is(err, fs.ErrNotExist) // the database is elsewhere
	}
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return demoState{}, err
	case err != nil && !empty:
		return demoState{}, fmt.Errorf("%s holds data that no demo made, which stays as it is; give kith demo a data dir of its own: --data-dir ./kith-demo", d.path)
	case empty: // also when a demo did not get as far as making a database
		state = demoState{Seed: demoSeed, Users: demoUsers}
		if c.Seed != nil {
			state.Seed = *c.Seed
		}
		if c.Users != nil {
			state.Users = *c.Users
		}
		return state, d.saveDemo(state)
	case c.Seed != nil && *c.Seed != state.Seed, c.Users != nil && *c.Users != state.Users:
		return demoState{}, fmt.Errorf("%s holds the demo of --seed %d --users %d; choose another data dir for another", d.path, state.Seed, state.Users)
	}
	return state, nil
}

func (d *dataDir) readDemo() (s demoState, err error) {
	b, err := os.ReadFile(d.file(demoFile))
	if err != nil {
		return s, fmt.Errorf("read %s: %w", demoFile, err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s is damaged (%w); choose another data dir for a new demo", d.file(demoFile), err)
	}
	return s, nil
}

func (d *dataDir) saveDemo(s demoState) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", demoFile, err)
	}
	if err := writeWhole(d.file(demoFile), string(b)+"\n"); err != nil {
		return fmt.Errorf("write %s: %w", demoFile, err)
	}
	return nil
}

// localURL is where the server is reached from this machine.
func localURL(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "http://" + addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// showing is the part of a demo that is not the server: it fills the world, says
// how to look at it, and makes it go on.
type showing struct {
	dataDir *dataDir
	state   demoState
	world   *demo.World
	base    string
	pace    time.Duration // 0: it does not go on
	con     *console
	logger  *slog.Logger
}

// run is stopped by its context in any state, and goes on there the next time.
func (s *showing) run(ctx context.Context) error {
	if err := s.show(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	if s.pace > 0 {
		return s.world.Live(ctx, demo.Living{
			Base: s.base, Password: demoPassword, Pace: s.pace,
			Rand:    rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())), //nolint:gosec // it is a play
			Trouble: func(err error) { s.logger.Warn("somebody in the demo could not do something", "error", err) },
		})
	}
	<-ctx.Done()
	return nil
}

func (s *showing) show(ctx context.Context) error {
	if !s.state.Filled {
		if err := s.fill(ctx); err != nil {
			return err
		}
		s.state.Filled = true
		if err := s.dataDir.saveDemo(s.state); err != nil {
			return err
		}
	}
	viewer, token, ttl, err := s.enter(ctx)
	if err != nil {
		return err
	}
	star := s.world.People[0].Username
	if viewer == star {
		star = s.world.People[1].Username
	}
	s.invite(viewer, star, token, ttl)
	return nil
}

// invite says how to look at the world.
func (s *showing) invite(viewer, star, token string, ttl time.Duration) {
	at := ""
	if s.base != tailURL {
		at = " --url " + s.base
	}
	goesOn := "Nobody does anything in it but you."
	if s.pace > 0 {
		goesOn = fmt.Sprintf("Every %s or so somebody watches, rates or follows.", s.pace)
	}
	fmt.Fprintf(s.con.out, `
%s people, %s follows and %s events are here. %s

See it live in a browser, as %s with the password %q, which is everybody's:

%s/demo#sign-in=%s

See it live in another terminal:

%s tail%s --token %s

This is a token of %s, good for %s:

%s

Look around:

curl -s -H 'Authorization: Bearer %s' '%s/users/%s'
curl -s -H 'Authorization: Bearer %s' '%s/users/%s/events?type=review&limit=3'
curl -s -H 'Authorization: Bearer %s' '%s/users/search?q=ma&limit=5'

All routes: %s/docs. The server runs until you stop it (Ctrl-C); kith demo on this data dir starts it again.
`,
		thousands(len(s.world.People)), thousands(s.world.Follows()), thousands(s.world.Events()), goesOn,
		viewer, demoPassword, s.base, viewer,
		invocation(), at, token,
		viewer, strings.TrimSuffix(strings.TrimSuffix(ttl.String(), "0s"), "0m"), token,
		token, s.base, star, token, s.base, star, token, s.base, s.base)
}

// invocation is how whoever runs this kith runs it again.
func invocation() string {
	if strings.Contains(os.Args[0], "go-build") { // of go run, which removes it in the end
		return "go run ./cmd/kith"
	}
	return os.Args[0]
}

// fill shows how far it is, on a terminal as a bar.
func (s *showing) fill(ctx context.Context) error {
	steps := s.world.Steps()
	s.logger.Info("the demo's world is being filled", "users", s.state.Users, "seed", s.state.Seed)
	start := time.Now()
	progress := func(int) {}
	if isatty.IsTerminal(s.con.err.Fd()) {
		bar := progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(s.con.err), progressbar.OptionSetDescription("filling a small world"), progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		defer func() { _ = bar.Finish() }() // a bar that cannot be drawn is no reason to stop
		progress = func(n int) { _ = bar.Add(n) }
	}
	if err := s.world.Fill(ctx, demo.Filling{Base: s.base, Password: demoPassword, Progress: progress, Now: start}); err != nil {
		return fmt.Errorf("fill the world: %w; kith demo on the same data dir goes on here", err)
	}
	s.logger.Info("the demo's world is filled", "took", time.Since(start).Round(time.Millisecond))
	return nil
}

// enter logs in the viewer of the world, or somebody else when the viewer is gone.
func (s *showing) enter(ctx context.Context) (username, token string, ttl time.Duration, err error) {
	for n := range min(demoViewers, len(s.world.People)) {
		i := (s.world.Viewer + n) % len(s.world.People)
		if token, ttl, err = s.world.Enter(ctx, s.base, demoPassword, i); err == nil || ctx.Err() != nil {
			return s.world.People[i].Username, token, ttl, err
		}
	}
	return "", "", 0, err
}

// thousands writes a number with a comma for every three digits.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// raiseLimits lets the people of a demo, who all have one address, do in seconds
// what others do in a month. They stay raised: a demo is a place to play.
func raiseLimits(s *settings) {
	const raised = "1000000/s"
	s.Availability, s.Register, s.Login, s.User, s.Events = raised, raised, raised, raised, raised
}
