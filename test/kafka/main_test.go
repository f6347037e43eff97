// Package kafka_test looks at the real binary with a real Kafka.
//
//   - topics_test.go: which topics are made, and that others stay as they are.
//   - records_test.go: what is published.
//   - content_test.go: what content services report, and what of it is no use.
//   - secure_test.go: TLS and passwords.
//   - outage_test.go: a Kafka that is killed under load and away for a while.
//   - storm_test.go: a million records, while Kafka and the server are killed;
//     storm_writer_test.go: who writes them; storm_journal_test.go: what the topics
//     must tell of them, known from the journal; storm_topics_test.go: what they
//     tell; storm_planted_test.go: that the comparison finds what is wrong.
//
// A failure of the storm prints its seed; KITH_KAFKA_SEED runs the same choices again
// (what the scheduler does is not repeated). With the race detector, with -short, or
// in less time than `go test -timeout 40m ./test/kafka` gives, it is a smaller one.
package kafka_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

const (
	topicActivity = "kith.activity.v1"
	topicGraph    = "kith.graph.v1"
	topicUsers    = "kith.users.v1"
	topicLatest   = "kith.users.latest.v1"
	topicContent  = "kith.content.v1"
	topicDead     = "kith.deadletter.v1"

	password = "correct horse battery"
	// patience bounds any wait, and often is how often something is asked.
	patience = 90 * time.Second
	often    = 20 * time.Millisecond
)

// full reports whether tests may take their time.
func full() bool { return !raced && !testing.Short() }

// start starts a server that publishes to brokers.
func start(t *testing.T, brokers string, env ...string) *kithtest.Server {
	t.Helper()
	return kith.Start(t, kithtest.Options{Env: append([]string{"KITH_KAFKA_BROKERS=" + brokers}, env...)})
}

// person is who has an account.
type person struct {
	*kithtest.Client

	uid string
}

func register(t *testing.T, s *kithtest.Server, username string) person {
	t.Helper()
	token := want(t, http.StatusCreated)(s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: "Name", Password: password})).Token
	c := s.Client().As(token)
	return person{c, self(t, c).UID}
}

func self(t *testing.T, c *kithtest.Client) *kithtest.User {
	t.Helper()
	return want(t, http.StatusOK)(c.Get(t.Context(), "/users/self")).User
}

// record records a behaviour event.
func (p person) record(ctx context.Context, id string) (*kithtest.Answer, error) {
	return p.Do(ctx, kithtest.Request{Method: http.MethodPost, Path: "/users/self/events", Body: map[string]any{"event_id": id, "type": "view", "movie_id": 7}})
}

// erase deletes one.
func (p person) erase(ctx context.Context, id string) (*kithtest.Answer, error) {
	return p.Do(ctx, kithtest.Request{Method: http.MethodDelete, Path: "/users/self/events/" + id})
}

// want takes an answer with a status.
var want = kithtest.Want

// await waits until something is so.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !kithtest.Poll(ctx, often, done) {
		t.Fatalf("in vain waited until %s", what)
	}
}

// published waits until nothing is left to publish.
func published(t *testing.T, s *kithtest.Server) {
	t.Helper()
	await(t, "all is published", func() bool { return lag(s) == 0 })
}

func lag(s *kithtest.Server) float64 { return s.Metric(`kith_tail_lag_records{tail="publish"}`) }

// connect returns a Kafka client that knows nothing but brokers.
func connect(t *testing.T, brokers string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.FetchMaxWait(100 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// read returns all that topics hold now, in the order of their partitions.
func read(t *testing.T, brokers string, topics ...string) map[string][]*kgo.Record {
	t.Helper()
	all := make(map[string][]*kgo.Record)
	each(t, brokers, func(r *kgo.Record) { all[r.Topic] = append(all[r.Topic], r) }, topics...)
	return all
}

// each takes each record that topics hold now, in the order of their partitions.
func each(t *testing.T, brokers string, take func(*kgo.Record), topics ...string) {
	t.Helper()
	c := connect(t, brokers, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ends, err := kadm.NewClient(c).ListEndOffsets(ctx, topics...)
	if err != nil || ends.Error() != nil {
		t.Fatalf("ends of %v: %v, %v", topics, err, ends.Error())
	}
	left := make(map[string]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Topic+"/"+strconv.Itoa(int(o.Partition))] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := c.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("not read: %v", left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			take(r)
			if at := r.Topic + "/" + strconv.Itoa(int(r.Partition)); r.Offset+1 >= left[at] {
				delete(left, at)
			}
		})
	}
}

// header returns a header of a record, "" when it has none.
func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// once returns what records of one topic tell, each thing the first time, by uid,
// and wants it in order: with rising numbers in one partition.
func once(t *testing.T, records []*kgo.Record) map[string][]*kgo.Record {
	t.Helper()
	type place struct {
		partition int32
		seq       uint64
	}
	told, last, seen := make(map[string][]*kgo.Record), make(map[string]place), make(map[string]bool)
	for _, r := range records {
		uid, id := string(r.Key), header(r, "ce_id")
		if seen[id] {
			continue
		}
		seen[id] = true
		of, number, _ := strings.Cut(id, "/")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || of != uid {
			t.Fatalf("%s: id %q of key %q", r.Topic, id, uid)
		}
		if before, ok := last[uid]; ok && (before.seq >= seq || before.partition != r.Partition) {
			t.Errorf("%s: of %s, %d in partition %d came after %d in partition %d", r.Topic, uid, seq, r.Partition, before.seq, before.partition)
		}
		last[uid] = place{r.Partition, seq}
		told[uid] = append(told[uid], r)
	}
	return told
}
