package kafka_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
	"kith/test/services"
)

const (
	people = 6
	// pace is how often each person writes, so that what is told can be read again
	// in a moment.
	pace = 10 * time.Millisecond
)

// outage is how long Kafka is away: at least as long as the client of the publish
// tail waits for anything.
func outage() time.Duration {
	if full() {
		return time.Minute
	}
	return 20 * time.Second
}

// load is people who write all the time, and remember what was acknowledged.
type load struct {
	t       *testing.T
	people  [people]person
	stop    context.CancelFunc
	done    sync.WaitGroup
	writes  atomic.Int64
	events  [people][]string // acknowledged ids, in order
	edges   [people][]string // acknowledged types of records of the graph, in order
	refused atomic.Int64
	slowest atomic.Int64 // nanoseconds
}

func name(i int) string { return fmt.Sprint("person_", i) }

func begin(t *testing.T, s *kithtest.Server) *load {
	t.Helper()
	l := &load{t: t}
	for i := range people {
		l.people[i] = register(t, s, name(i))
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	l.stop = cancel
	for i := range people {
		l.done.Go(func() { l.write(ctx, i) })
	}
	t.Cleanup(l.end)
	return l
}

// end returns when all requests are answered.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// write records events, and follows and unfollows the next person in turn.
func (l *load) write(ctx context.Context, i int) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	whole := context.WithoutCancel(ctx) // every request is answered
	next := name((i + 1) % people)
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		id := fmt.Sprintf("e-%d-%d", i, n)
		edge := "followed"
		switch n % 4 {
		case 0:
			if a, err := l.people[i].Follow(whole, next); l.good(a, err, http.StatusCreated) {
				l.edges[i] = append(l.edges[i], edge)
			}
		case 2:
			edge = "unfollowed"
			if a, err := l.people[i].Unfollow(whole, next); l.good(a, err, http.StatusOK) {
				l.edges[i] = append(l.edges[i], edge)
			}
		default:
			if a, err := l.people[i].record(whole, id); l.good(a, err, http.StatusCreated) {
				l.events[i] = append(l.events[i], id)
			}
		}
		l.slowest.Store(max(l.slowest.Load(), int64(time.Since(began)))) // of about this
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (l *load) good(a *kithtest.Answer, err error, status int) bool {
	if err != nil || a.Status != status {
		l.refused.Add(1)
		l.t.Errorf("a request was refused: %v %s", err, a)
		return false
	}
	l.writes.Add(1)
	return true
}

// check wants that topics tell what was acknowledged, all of it and in order.
func (l *load) check(brokers string) (repeated int) {
	l.t.Helper()
	all := read(l.t, brokers, topicActivity, topicGraph)
	activity, graph := once(l.t, all[topicActivity]), once(l.t, all[topicGraph])
	for i, p := range l.people {
		var events, edges []string
		for _, r := range activity[p.uid] {
			events = append(events, eventID(l.t, r))
		}
		for _, r := range graph[p.uid] {
			edges = append(edges, header(r, "ce_type"))
		}
		if !slices.Equal(events, l.events[i]) {
			l.t.Errorf("of person %d, %d events are told of %d, or in another order", i, len(events), len(l.events[i]))
		}
		if !slices.Equal(edges, l.edges[i]) {
			l.t.Errorf("of person %d, %d edges are told of %d, or in another order", i, len(edges), len(l.edges[i]))
		}
		repeated -= len(events) + len(edges)
	}
	return repeated + len(all[topicActivity]) + len(all[topicGraph])
}

func eventID(t *testing.T, r *kgo.Record) string {
	t.Helper()
	var value struct {
		Event struct {
			ID string `json:"event_id"`
		} `json:"event"`
	}
	if err := json.Unmarshal(r.Value, &value); err != nil {
		t.Fatal(err)
	}
	return value.Event.ID
}

// Kafka is killed under load, stays away, and is started again, twice: nobody
// notices but who reads its topics, and they miss nothing.
func TestAKilledKafkaIsMissedByItsReadersAlone(t *testing.T) {
	t.Parallel()
	k := services.StartKafka(t, services.KafkaConfig{})
	s := start(t, k.Addr())
	l := begin(t, s)
	made(t, kadm.NewClient(connect(t, k.Addr())))
	watched := register(t, s, "watched")
	for round, away := range []time.Duration{outage(), 0} {
		enough := l.writes.Load() + 100
		await(t, "people write and it is told", func() bool { return l.writes.Load() > enough && s.Metric("kith_publish_records_total") > 100 })
		k.Kill()
		over := time.NewTimer(away)
		before, behind := l.writes.Load(), lag(s)
		follower := register(t, s, fmt.Sprint("follower_", round))
		want(t, http.StatusCreated)(follower.Follow(t.Context(), "watched"))
		await(t, "counters go on", func() bool { return self(t, watched.Client).Followers == round+1 })
		await(t, "the lag grows", func() bool { return lag(s) > behind+50 })
		if away > 0 {
			await(t, "kafka is named", func() bool { return degraded(t, s) })
			if s.Metric("kith_publish_away") != 1 {
				t.Error("the metrics do not say that Kafka is away")
			}
		}
		<-over.C
		t.Logf("away for %s: %d writes were acknowledged, and the lag grew to %v", away, l.writes.Load()-before, lag(s))
		k.Start()
		back := time.Now()
		produce(t, connect(t, k.Addr()), watched.uid, report(fmt.Sprint(round), watched.uid, 1, 2))
		await(t, "what is reported counts", func() bool { return totals(t, watched) == [2]int{round + 1, 2 * (round + 1)} })
		counted := time.Since(back)
		await(t, "the lag is small while people write", func() bool { return lag(s) < 50 && !degraded(t, s) })
		t.Logf("back: a report was counted after %s, and the lag was gone after %s", counted, time.Since(back))
	}
	l.end()
	published(t, s)
	repeated := l.check(k.Addr())
	t.Logf("%d writes, %d refused, the slowest took %s; %d records came again", l.writes.Load(), l.refused.Load(), time.Duration(l.slowest.Load()), repeated)
	s.Settle()
	if log := s.Log(); strings.Contains(log, "level=ERROR") {
		t.Error("the log holds an error")
	}
}

// The server is killed while Kafka is away, too: what neither had told comes.
func TestNothingIsLostWhenBothAreKilled(t *testing.T) {
	t.Parallel()
	k := services.StartKafka(t, services.KafkaConfig{})
	s := start(t, k.Addr())
	l := begin(t, s)
	await(t, "it is told", func() bool { return s.Metric("kith_publish_records_total") > 100 })
	k.Kill()
	enough := l.writes.Load() + 100
	await(t, "people write", func() bool { return l.writes.Load() > enough })
	l.end()
	s.Restart()
	await(t, "what is not told is known", func() bool { return lag(s) >= 100 })
	k.Start()
	published(t, s)
	l.check(k.Addr())
	s.Settle()
}
