package kafka_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"kith/test/kithtest"
	"kith/test/services"
)

// volume is how much is written in a storm, and how much is killed.
type volume struct {
	records int // of published kinds, in the journal
	people  int // who are there from the beginning to the end
	// apart is how often Kafka is killed alone, and the server alone; together is
	// how often both are at once.
	apart, together int
	away            time.Duration // at most, before what was killed is started again
}

// roomy is how much time the test binary must be given, by -timeout, for the full
// size: on two busy cores it takes four to eight minutes on each kind of stores.
const roomy = 25 * time.Minute

func size(t *testing.T) volume {
	t.Helper()
	deadline, limited := t.Deadline()
	if !full() || limited && time.Until(deadline) < roomy {
		return volume{records: 30_000, people: 3 * writers, apart: 2, together: 1, away: 2 * time.Second}
	}
	return volume{records: 1_000_000, people: 20 * writers, apart: 8, together: 4, away: 8 * time.Second}
}

const (
	// writers write at the same time.
	writers = 16
	// stall bounds how long the writers may need for what comes between two kills.
	stall = 3 * time.Minute
)

// storm is many who write to one server, while it and its Kafka are killed.
type storm struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // of the writers, who end together
	stop   context.CancelFunc
	size   volume
	server *kithtest.Server
	kafka  *services.KafkaServer

	serverKills, kafkaKills int

	mu      sync.Mutex
	changed *sync.Cond // of what follows
	allowed int        // records that may be written so far
	taken   int        // records that writers have begun to write
	written int        // records that are acknowledged
	up      bool       // the server runs
	life    int        // how many times the server was killed
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	s := &storm{t: t, size: size(t), up: true, kafka: services.StartKafka(t, services.KafkaConfig{})}
	s.changed = sync.NewCond(&s.mu)
	s.ctx, s.stop = context.WithCancel(t.Context())
	context.AfterFunc(s.ctx, func() { s.change(func() {}) }) // whoever waits sees that it ended
	s.server = start(t, s.kafka.Addr())
	return s
}

// fail fails the test and ends the storm.
func (s *storm) fail(format string, args ...any) {
	if s.ctx.Err() == nil {
		s.t.Errorf(format, args...)
	}
	s.stop()
}

// wait waits until something is so, which is about what mu guards, and reports
// whether the storm goes on.
func (s *storm) wait(done func() bool) bool {
	for !done() && s.ctx.Err() == nil {
		s.changed.Wait()
	}
	return s.ctx.Err() == nil
}

// change changes what mu guards.
func (s *storm) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.changed.Broadcast()
}

// take takes some of the records that are to be written, once so many may be. It
// returns false when all are taken. The last to take may take more than there are.
func (s *storm) take(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.size.records || !s.wait(func() bool { return s.taken < s.allowed }) {
		return false
	}
	s.taken += n
	return true
}

// acknowledge counts records that are acknowledged.
func (s *storm) acknowledge(n int) { s.change(func() { s.written += n }) }

// awaitUp waits until the server runs and returns which of its lives this is.
func (s *storm) awaitUp() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(func() bool { return s.up })
	return s.life
}

// killedSince reports whether the server was killed in one of its lives.
func (s *storm) killedSince(life int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life != life
}

// awaitWritten waits until so many records are acknowledged.
func (s *storm) awaitWritten(n int) {
	s.t.Helper()
	late := time.AfterFunc(stall, func() { s.fail("%d records are not written after %s", n, stall) })
	defer late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(func() bool { return s.written >= n })
}

// strike is what one kill is like.
type strike struct {
	kafka, server         bool
	kafkaAway, serverAway time.Duration
	// again is after how long the server is killed again while it starts; 0: it is
	// not.
	again time.Duration
}

// strikes chooses all kills, and their order.
func (s *storm) strikes(rng *rand.Rand) []strike {
	var all []strike
	for i := range 2*s.size.apart + s.size.together {
		one := strike{
			kafka: i >= s.size.apart, server: i < s.size.apart || i >= 2*s.size.apart,
			kafkaAway: rand64(rng, s.size.away), serverAway: rand64(rng, s.size.away/4),
		}
		if rng.IntN(4) == 0 {
			one.again = 1 + rand64(rng, time.Second/2)
		}
		all = append(all, one)
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func rand64(rng *rand.Rand, below time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(below)))
}

// blow kills again and again, each time at a random moment of an equal part of
// what is to be written. The next part may be written when all is up again: so all
// kills come while there is something to write, and what is written meanwhile is
// bounded.
func (s *storm) blow(rng *rand.Rand) {
	strikes := s.strikes(rng)
	part := s.size.records / (len(strikes) + 1)
	for i, one := range strikes {
		s.change(func() { s.allowed = (i + 1) * part })
		s.awaitWritten(i*part + rng.IntN(part))
		if s.ctx.Err() != nil {
			return
		}
		s.kill(one)
	}
	s.change(func() { s.allowed = s.size.records })
}

// kill kills what is to be killed, and returns when it is up again.
func (s *storm) kill(one strike) {
	var both sync.WaitGroup
	defer both.Wait()
	if one.kafka {
		s.kafkaKills++
		both.Go(func() {
			err := s.kafka.Kafka.Kill()
			s.pause(one.kafkaAway)
			if err == nil {
				err = s.kafka.Kafka.Start(s.t.Context())
			}
			if err != nil {
				s.fail("%v", err)
			}
		})
	}
	if one.server {
		s.killServer(one)
	}
}

// killServer kills the server and starts it again. From the moment before on,
// answers may be missing.
func (s *storm) killServer(one strike) {
	s.change(func() { s.up, s.life = false, s.life+1 })
	s.server.Kill()
	s.serverKills++
	s.pause(one.serverAway)
	s.server.Launch()
	if one.again > 0 {
		s.pause(one.again)
		s.server.Kill()
		s.serverKills++
		s.server.Launch()
	}
	s.server.AwaitReady()
	s.change(func() { s.up = true })
}

// pause lets time go by: how long something is away is chosen.
func (s *storm) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// seed returns the seed of a test's choices.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if given := os.Getenv("KITH_KAFKA_SEED"); given != "" {
		var err error
		if s, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KITH_KAFKA_SEED: %v", err)
		}
	}
	t.Logf("KITH_KAFKA_SEED=%d", s)
	return s
}

// Many write a million records, while Kafka, the server and both at once are killed
// with SIGKILL at random moments and stay away for random times. Then the topics
// are compared with the journal: they tell of each of its records of a published
// kind, in its order for each user, of nothing else, and when again then the same.
func TestTheTopicsTellTheJournalWhateverIsKilled(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(seed(t), 0))
	s := newStorm(t)
	began := time.Now()
	var writing sync.WaitGroup
	defer writing.Wait()
	defer s.stop()
	all := s.writers(rng)
	for _, w := range all {
		writing.Go(w.begin)
	}
	writing.Wait()
	if t.Failed() {
		return
	}
	for _, w := range all {
		writing.Go(w.run)
	}
	arrived := time.Now()
	s.blow(rng)
	writing.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d people arrived in %s; %d records were written in %s, while the server was killed %d times and Kafka %d times",
		s.size.people, arrived.Sub(began).Round(time.Second), s.written, time.Since(arrived).Round(time.Second), s.serverKills, s.kafkaKills)

	behind, ended := lag(s.server), time.Now()
	s.settle()
	t.Logf("all was published %s after the last write, when %v records were not", time.Since(ended).Round(time.Second), behind)
	s.server.Stop()

	ended = time.Now()
	l := s.ledger()
	each(t, s.kafka.Addr(), l.take, topicUsers, topicGraph, topicActivity, topicLatest)
	l.end()
	t.Logf("%s; compared in %s", l, time.Since(ended).Round(time.Second))
	l.judge(t, s.size.records)
}

// settle waits until nothing is on its way between users, nor to the topics, and wants
// what is stored to be consistent. That takes as long as there is less and less.
func (s *storm) settle() {
	s.t.Helper()
	for _, tail := range []string{"effects", "publish"} { // effects are records, too
		left := func() float64 { return s.server.Metric(`kith_tail_lag_records{tail="` + tail + `"}`) }
		for last := left(); last > 0; {
			before := last
			await(s.t, fmt.Sprintf("the tail %s has fewer than %v records before it", tail, before), func() bool {
				last = left()
				return last < before
			})
		}
	}
	s.server.Settle()
}
