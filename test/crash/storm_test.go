package crash_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/test/kithtest"
	"kith/test/services"
)

const (
	kills   = 20
	clients = 32
	// registrations bounds those that are under way at a time.
	registrations = 4
	// The server is killed after so many acknowledged writes.
	leastWrites, mostWrites = 50, 400
	// deletedChecked bounds how many names of deleted accounts are taken again.
	deletedChecked = 10
	// stall bounds how long the clients may need for that many.
	stall = time.Minute
)

// storm is many clients that write to one server, which is killed meanwhile.
type storm struct {
	t      *testing.T
	server *kithtest.Server
	oracle *oracle

	// In production the stores are killed, too.
	postgres *services.Postgres
	redis    *services.RedisServer

	readers     [2]*consumer  // of the topics
	registering chan struct{} // holds one for each registration that is under way

	acks   atomic.Int64
	killAt atomic.Int64
	reach  chan struct{} // gets one when as many writes were acknowledged as killAt says
	over   chan struct{} // closed when clients shall end
	end    func()        // closes over, once

	mu   sync.Mutex
	life int           // how many times the server was killed
	up   chan struct{} // closed while the server runs
}

// acknowledged counts an acknowledged write.
func (s *storm) acknowledged() {
	if s.acks.Add(1) == s.killAt.Load() {
		s.reach <- struct{}{}
	}
}

// awaitUp waits until the server runs and returns which of its lives this is.
func (s *storm) awaitUp() int {
	for {
		s.mu.Lock()
		life, up := s.life, s.up
		s.mu.Unlock()
		select {
		case <-up:
		case <-s.over:
			return life
		}
		s.mu.Lock()
		same := life == s.life
		s.mu.Unlock()
		if same {
			return life
		}
	}
}

// lost is told of a request without an answer, sent in one of the server's lives:
// only a kill excuses that.
func (s *storm) lost(life int, what string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if life == s.life {
		s.t.Errorf("%s: no answer, though nobody killed the server: %v", what, err)
		s.end()
	}
}

// kill kills the server, at once. From the moment before on, answers may be
// missing.
func (s *storm) kill() {
	s.mu.Lock()
	s.life++
	s.up = make(chan struct{})
	s.mu.Unlock()
	s.server.Kill()
}

// start starts the server again.
func (s *storm) start() {
	s.server.Launch()
	s.server.AwaitReady()
	s.mu.Lock()
	close(s.up)
	s.mu.Unlock()
}

// killSomething kills the server, and in production the stores as often, and starts
// them again.
func (s *storm) killSomething(rng *rand.Rand) {
	victims := []func(){s.killServer(rng)}
	if kithtest.Production() {
		stores := []func(){
			func() { s.postgres.Kill(); s.postgres.Start() },
			func() { s.redis.Kill(); s.redis.Start() },
		}
		switch rng.IntN(4) {
		case 0:
			victims = stores[:1]
		case 1:
			victims = append(victims, stores[0])
		case 2:
			victims = stores
		}
	}
	// Those that die together do so in no order.
	var all sync.WaitGroup
	for _, kill := range victims {
		all.Go(kill)
	}
	all.Wait()
}

// killServer returns what kills the server and starts it again, sometimes killing
// it once more before it is ready.
func (s *storm) killServer(rng *rand.Rand) func() {
	again, after := rng.IntN(4) == 0, time.Duration(rng.IntN(500))*time.Millisecond
	return func() {
		s.kill()
		if again {
			s.server.Launch()
			select {
			case <-time.After(after):
			case <-s.server.Ended():
			}
			s.server.Kill()
		}
		s.start()
	}
}

// awaitWrites waits until n more writes are acknowledged.
func (s *storm) awaitWrites(n int64) {
	s.t.Helper()
	s.killAt.Store(s.acks.Load() + n)
	deadline := time.NewTimer(stall)
	defer deadline.Stop()
	select {
	case <-s.reach:
	case <-s.server.Ended():
		s.t.Fatal("the server ended by itself")
	case <-s.over:
		s.t.FailNow() // the reason was told
	case <-deadline.C:
		s.t.Fatalf("fewer than %d writes were acknowledged in %s", n, stall)
	}
}

// The real binary, written to by many clients, killed with SIGKILL twenty times, it
// or the stores that it runs on:
// every acknowledged write is there, counters equal edges, kith verify is
// content; and the topics tell plain Kafka clients, who read all the time, of
// everything that was committed and of nothing else, in order.
func TestNothingAcknowledgedIsLostInTwentyKills(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(seed(t), 0))
	s := &storm{
		t: t, oracle: &oracle{},
		registering: make(chan struct{}, registrations),
		reach:       make(chan struct{}, 1), over: make(chan struct{}), up: make(chan struct{}),
	}
	// Clients of Kafka find it again where it was.
	options := kithtest.Options{Env: []string{"KITH_KAFKA_LISTEN=" + kithtest.FreePort(t)}}
	if kithtest.Production() {
		s.postgres, s.redis = services.StartPostgres(t, services.PostgresConfig{}), services.StartRedis(t)
		options.Place = &services.Place{Database: s.postgres.URL(), Redis: s.redis.URL()}
	}
	s.server = kith.Start(t, options)
	close(s.up)
	s.end = sync.OnceFunc(func() { close(s.over) })

	var running, registered sync.WaitGroup
	registered.Add(clients)
	for id := range clients {
		c := &client{storm: s, id: id, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), http: s.server.Client()}
		running.Go(func() { c.run(&registered) })
	}
	// A failure below ends the clients too, which must not outlive the test.
	defer running.Wait()
	defer s.end()
	defer s.consume()()

	registered.Wait()
	for range kills {
		s.awaitWrites(leastWrites + rng.Int64N(mostWrites-leastWrites+1))
		s.killSomething(rng)
		if rng.IntN(2) == 0 {
			s.readers[rng.IntN(len(s.readers))].reopen()
		}
	}
	s.awaitWrites(leastWrites)
	s.end()
	running.Wait()
	t.Logf("%d accounts, %d acknowledged writes", len(s.oracle.all()), s.acks.Load())

	s.server.Settle()
	s.check()
	s.checkDeleted(rng)
	s.server.Settle()
	s.drainTopics()
	s.server.Stop()
	s.server.Settle()
	s.checkTopics()
}

// check compares everything that the API shows with what is known.
func (s *storm) check() {
	t, o := s.t, s.oracle
	var (
		alive  []*account
		byName = make(map[string]*account)
		any    *kithtest.Client
	)
	for _, a := range o.all() {
		// The answer to a registration or a login was missing, and nobody asked again.
		if !must(o, &a.exists, true) || a.token == "" {
			s.checkExists(a)
		}
		if any == nil && must(o, &a.deleted, false) {
			any = s.server.Client().As(a.token)
		}
	}
	if any == nil {
		t.Fatal("everybody is deleted")
	}
	for _, a := range o.all() {
		answer, err := any.User(t.Context(), a.username)
		if err != nil {
			t.Fatal(err)
		}
		gone := answer.Status == 404
		if answer.Status != 200 && !gone || !can(o, &a.deleted, gone) {
			t.Errorf("%s: deleted must be one of %v: %s", a.username, a.deleted.may, answer)
		}
		begin(o, &a.deleted, gone).done()
		if !gone {
			alive, byName[a.username] = append(alive, a), a
		}
	}

	following, followers := make(map[*account][]string), make(map[*account][]string)
	for _, a := range alive {
		following[a] = s.list(a, "following", byName)
		followers[a] = s.list(a, "followers", byName)
		for b, edge := range a.follows {
			if has := slices.Contains(following[a], b.username); must(o, &b.deleted, false) && !can(o, edge, has) {
				t.Errorf("%s follows %s: %t, must be one of %v", a.username, b.username, has, edge.may)
			}
		}
		for _, name := range following[a] {
			if b := byName[name]; b != nil && a.follows[b] == nil {
				t.Errorf("%s follows %s and never wanted to", a.username, name)
			}
		}
	}
	for _, a := range alive {
		var want []string
		for _, b := range alive {
			if slices.Contains(following[b], a.username) {
				want = append(want, b.username)
			}
		}
		slices.Sort(want)
		if !slices.Equal(followers[a], want) {
			t.Errorf("followers of %s are %v, those who follow are %v", a.username, followers[a], want)
		}
		answer, err := s.server.Client().As(a.token).User(t.Context(), a.username)
		if err != nil {
			t.Fatal(err)
		}
		if u := answer.User; u == nil || u.Followers != len(followers[a]) || u.Following != len(following[a]) || !can(o, &a.name, u.Name) {
			t.Errorf("%s; it has %d followers, follows %d, its name must be one of %q", answer, len(followers[a]), len(following[a]), a.name.may)
		}
		s.checkEvents(a)
	}
}

// checkExists finds out whether an account exists: it does not when nobody can log
// in, and then it must look like a deleted one.
func (s *storm) checkExists(a *account) {
	answer, err := s.server.Client().Login(s.t.Context(), a.username, password)
	if err != nil || answer.Status != 200 && answer.Status != 401 || !can(s.oracle, &a.exists, answer.Status == 200) {
		s.t.Fatalf("log in as %s, who exists: one of %v: %v %s", a.username, a.exists.may, err, answer)
	}
	a.token = answer.Token
	begin(s.oracle, &a.exists, answer.Status == 200).done()
	begin(s.oracle, &a.deleted, answer.Status != 200).done()
}

// list returns a follow list of an account, sorted: no row twice, and nobody who
// is deleted.
func (s *storm) list(a *account, kind string, alive map[string]*account) []string {
	c := s.server.Client().As(a.token)
	read := c.Followers
	if kind == "following" {
		read = c.Following
	}
	users, err := read(s.t.Context(), a.username)
	if err != nil {
		s.t.Fatal(err)
	}
	names := make([]string, 0, len(users))
	for _, u := range users {
		if alive[u.Username] == nil {
			s.t.Errorf("the %s of %s hold %s, who does not exist", kind, a.username, u.Username)
		}
		names = append(names, u.Username)
	}
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		s.t.Errorf("the %s of %s hold somebody twice: %v", kind, a.username, names)
	}
	return names
}

// checkDeleted makes sure that deleted accounts cannot log in and that their
// names are free, for people who begin with nothing. Passwords are expensive, so
// it looks at some of them.
func (s *storm) checkDeleted(rng *rand.Rand) {
	deleted := slices.DeleteFunc(s.oracle.all(), func(a *account) bool {
		return !must(s.oracle, &a.exists, true) || !must(s.oracle, &a.deleted, true)
	})
	rng.Shuffle(len(deleted), func(i, j int) { deleted[i], deleted[j] = deleted[j], deleted[i] })
	for _, a := range deleted[:min(len(deleted), deletedChecked)] {
		c := s.server.Client()
		if answer, err := c.Login(s.t.Context(), a.username, password); err != nil || answer.Status != 401 {
			s.t.Errorf("log in as the deleted %s: %v %s", a.username, err, answer)
		}
		if answer, err := c.As(a.token).User(s.t.Context(), a.username); err != nil || answer.Status != 401 {
			s.t.Errorf("use the token of the deleted %s: %v %s", a.username, err, answer)
		}
		answer, err := c.Register(s.t.Context(), kithtest.Registration{Username: a.username, Name: "New", Password: password})
		if err != nil || answer.Status != 201 || answer.User.Followers != 0 || answer.User.Following != 0 {
			s.t.Errorf("take the name of the deleted %s: %v %s", a.username, err, answer)
		}
	}
}
