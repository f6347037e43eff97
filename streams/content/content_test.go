package content_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/streams"
	"kith/streams/content"
	"kith/test/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a world with a Kafka and a content service beside it.
type bench struct {
	*world.World

	t        *testing.T
	kafka    *kfake.Cluster
	service  *kgo.Client
	registry *prometheus.Registry
}

func newBench(t *testing.T) *bench {
	t.Helper()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	b := &bench{World: world.Start(t, world.Options{}), t: t, kafka: kafka}
	b.service, err = kgo.NewClient(append(b.client(), kgo.DefaultProduceTopic(streams.TopicContent))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.service.Close)
	return b
}

func (b *bench) client() []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(b.kafka.ListenAddrs()...), kgo.MetadataMinAge(10 * time.Millisecond), kgo.FetchMaxWait(50 * time.Millisecond),
		kgo.UnknownTopicRetries(-1), // the consumer makes the topic
	}
}

// consume runs a consumer until the returned function is called.
func (b *bench) consume(grains content.Grains) (stop func()) {
	b.t.Helper()
	b.registry = prometheus.NewRegistry()
	c, err := content.New(content.Config{
		Grains: grains, Directory: b.DB, Client: b.client()[:3], Topics: streams.Topics(3, time.Hour),
		Logger: slog.New(slog.DiscardHandler), Registerer: b.registry,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(stop)
	return stop
}

// report produces values, keyed by their user.
func (b *bench) report(uid user.UID, values ...string) {
	b.t.Helper()
	for _, v := range values {
		if err := b.service.ProduceSync(b.t.Context(), &kgo.Record{Key: []byte(uid.String()), Value: []byte(v)}).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

func change(uid user.UID, id string, streams, videos int64) string {
	return fmt.Sprintf(`{"id":%q,"uid":%q,"streams":%d,"videos":%d}`, id, uid, streams, videos)
}

// results waits until n records have been dealt with and returns how.
func (b *bench) results(n int) map[string]int {
	b.t.Helper()
	got := make(map[string]int)
	b.Eventually("all records are dealt with", func() bool {
		clear(got)
		families, err := b.registry.Gather()
		if err != nil {
			b.t.Fatal(err)
		}
		sum := 0
		for _, f := range families {
			if f.GetName() == "kith_content_records_total" {
				for _, m := range f.GetMetric() {
					got[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
					sum += int(m.GetCounter().GetValue())
				}
			}
		}
		return sum >= n
	})
	return got
}

func (b *bench) totals(id user.ID) [2]int64 {
	b.t.Helper()
	a := b.Account(id)
	return [2]int64{a.Streams, a.Videos}
}

func TestTotalsFollowWhatIsReported(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada, bob := b.Register("ada"), b.Register("bob")
	b.consume(b.Client)
	b.report(ada.UID, change(ada.UID, "1", 5, 0), change(ada.UID, "2", -9, 3), change(ada.UID, "1", 5, 0), change(ada.UID, "3", 2, 0))
	b.report(bob.UID, change(bob.UID, "1", 1, 1))
	got := b.results(5)
	if b.totals(ada.ID) != [2]int64{2, 3} || b.totals(bob.ID) != [2]int64{1, 1} {
		t.Errorf("totals %v and %v, want 2, 3 and 1, 1", b.totals(ada.ID), b.totals(bob.ID))
	}
	if got["counted"] != 4 || got["repeated"] != 1 {
		t.Errorf("results %v, want 4 counted and 1 repeated", got)
	}
}

func TestWhatSaysNothingIsPassedBy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada, gone := b.Register("ada"), b.Register("gone")
	b.Do(gone.ID, user.Delete{})
	b.consume(b.Client)
	stranger := user.UID{1, 2, 3}
	b.report(ada.UID, "", "nonsense", "[]", "null", `{"id":"1"}`, `{"id":"1","uid":"x","streams":1}`, `{"id":"","uid":"`+ada.UID.String()+`","streams":1}`,
		`{"id":"1","uid":"`+ada.UID.String()+`"}`, `{"id":"1","uid":"`+ada.UID.String()+`","streams":1.5}`, "\xff",
		change(stranger, "1", 1, 1), change(gone.UID, "1", 1, 1), change(ada.UID, "1", 4, 4))
	got := b.results(13)
	if got["bad"] != 10 || got["unknown"] != 2 || got["counted"] != 1 || b.totals(ada.ID) != [2]int64{4, 4} {
		t.Errorf("results %v, totals %v; want 10 bad, 2 unknown, 1 counted and 4, 4", got, b.totals(ada.ID))
	}
}

// shaky fails as often as it is told, before or after the command is done.
type shaky struct {
	content.Grains

	mu       sync.Mutex
	failures []bool // whether it is done all the same
}

func (s *shaky) Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error) {
	s.mu.Lock()
	var fail, do bool
	if fail = len(s.failures) > 0; fail {
		do, s.failures = s.failures[0], s.failures[1:]
	}
	s.mu.Unlock()
	if fail && !do {
		return usergrain.Result{}, usergrain.ErrUnavailable
	}
	r, err := s.Grains.Do(ctx, id, c)
	if fail {
		return usergrain.Result{}, errors.Join(err, usergrain.ErrOutcomeUnknown)
	}
	return r, err
}

func TestAFailureCountsNothingTwiceNorNever(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.Register("ada")
	b.consume(&shaky{Grains: b.Client, failures: []bool{false, true, false}})
	b.report(ada.UID, change(ada.UID, "1", 5, 0), change(ada.UID, "2", 7, 1))
	b.results(2)
	if b.totals(ada.ID) != [2]int64{12, 1} {
		t.Errorf("totals %v, want 12, 1", b.totals(ada.ID))
	}
}

// broken stands for grains of which one cannot be loaded.
type broken struct {
	content.Grains

	id user.ID
}

func (g broken) Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error) {
	if id == g.id {
		return usergrain.Result{}, usergrain.ErrBroken
	}
	return g.Grains.Do(ctx, id, c)
}

func TestAUserWhoCannotBeLoadedHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada, bob := b.Register("ada"), b.Register("bob")
	b.consume(broken{b.Client, ada.ID})
	b.report(ada.UID, change(ada.UID, "1", 5, 0))
	b.report(bob.UID, change(bob.UID, "1", 5, 0))
	if got := b.results(2); got["failed"] != 1 || got["counted"] != 1 || b.totals(bob.ID) != [2]int64{5, 0} {
		t.Errorf("results %v, totals %v; want 1 failed, 1 counted and 5, 0", got, b.totals(bob.ID))
	}
}

func TestOffsetsFollowTheTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.Register("ada")
	stuck := &shaky{Grains: b.Client, failures: make([]bool, 1000)}
	stop := b.consume(stuck)
	b.report(ada.UID, change(ada.UID, "1", 5, 0))
	b.Eventually("it is tried", func() bool {
		stuck.mu.Lock()
		defer stuck.mu.Unlock()
		return len(stuck.failures) < 1000
	})
	if n := b.committed(); n != 0 {
		t.Errorf("offset %d is committed of what is not counted", n)
	}
	stop()
	if n := b.committed(); n != 0 {
		t.Errorf("offset %d is committed of what is not counted", n)
	}
	stop = b.consume(b.Client) // reads it again
	b.results(1)
	b.Eventually("the offset is committed", func() bool { return b.committed() == 1 })
	stop()
	b.consume(b.Client) // does not
	b.report(ada.UID, change(ada.UID, "2", 1, 0))
	if got := b.results(1); got["counted"] != 1 || got["repeated"] != 0 || b.totals(ada.ID) != [2]int64{6, 0} {
		t.Errorf("results %v, totals %v; want 1 counted and 6, 0", got, b.totals(ada.ID))
	}
}

func TestATopicThatIsMadeAnewIsReadFromItsStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.Register("ada")
	b.consume(b.Client)
	b.report(ada.UID, change(ada.UID, "1", 5, 0), change(ada.UID, "2", 5, 0))
	b.results(2)
	adm := kadm.NewClient(b.service)
	if _, err := adm.DeleteTopics(t.Context(), streams.TopicContent); err != nil {
		t.Fatal(err)
	}
	b.Eventually("the topic is made again", func() bool {
		topics, err := adm.ListTopics(t.Context(), streams.TopicContent)
		return err == nil && topics.Has(streams.TopicContent)
	})
	service, err := kgo.NewClient(append(b.client(), kgo.DefaultProduceTopic(streams.TopicContent))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	b.service = service // the other one knows the topic that was
	b.report(ada.UID, change(ada.UID, "2", 5, 0), change(ada.UID, "3", 1, 0))
	if got := b.results(4); got["counted"] != 3 || got["repeated"] != 1 || b.totals(ada.ID) != [2]int64{11, 0} {
		t.Errorf("results %v, totals %v; want 3 counted, 1 repeated and 11, 0", got, b.totals(ada.ID))
	}
	if n := b.failures(); n > 100 {
		t.Errorf("it was tried %d times", n)
	}
}

// failures returns how often something failed.
func (b *bench) failures() (n int) {
	b.t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "kith_content_failures_total" {
			n += int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return n
}

// committed returns the sum of the offsets that the group has committed.
func (b *bench) committed() (sum int64) {
	b.t.Helper()
	offsets, err := kadm.NewClient(b.service).FetchOffsets(b.t.Context(), content.Group)
	if err != nil {
		b.t.Fatal(err)
	}
	offsets.Each(func(o kadm.OffsetResponse) { sum += max(0, o.At) })
	return sum
}
