package publish_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/persistence"
	"kith/streams"
	"kith/streams/publish"
	"kith/streams/streamstest"
	"kith/test/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kafka starts a Kafka in this process.
func kafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// onBoth runs a test with the Kafka of this process, and with a real one where there
// is one.
func onBoth(t *testing.T, test func(t *testing.T, w *streamstest.World, addr string)) {
	t.Helper()
	for name, start := range map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { t.Helper(); return kafka(t).ListenAddrs()[0] },
		"real":     func(t *testing.T) string { t.Helper(); return services.Kafka(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := start(t)
			test(t, streamstest.NewWorld(t), addr)
		})
	}
}

func config(w *streamstest.World, addr string) publish.Config {
	return publish.Config{
		Name: persistence.TailPublish, Journal: w.DB, Lanes: w.DB, Directory: w.DB, Committer: w.Committer,
		Client: []kgo.Opt{kgo.SeedBrokers(addr), kgo.MetadataMinAge(10 * time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond })},
		Topics: streams.Topics(3, 7*24*time.Hour), Timeout: time.Second, Logger: slog.New(slog.NewTextHandler(w.T.Output(), nil)),
	}
}

// start starts a tail.
func start(w *streamstest.World, cfg publish.Config) (tail *publish.Tail, stop func()) {
	w.T.Helper()
	tail, err := publish.New(cfg)
	if err != nil {
		w.T.Fatal(err)
	}
	return tail, w.Background(tail.Run)
}

func view(id string, movie int64) user.RecordActivity {
	return user.RecordActivity{Activity: user.Activity{EventID: id, Type: user.ActivityView, MovieID: movie, OccurredAt: streamstest.Time()}, At: time.Now()}
}

// checkOrder checks that what each user did came with rising numbers in each
// topic, as far as it came for the first time, and returns how many came.
func checkOrder(t *testing.T, records []*kgo.Record) (distinct int) {
	t.Helper()
	highest, seen := make(map[string]uint64), make(map[string]bool)
	for _, r := range records {
		id := streamstest.Header(r, "ce_id")
		uid, number, _ := strings.Cut(id, "/")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || uid != string(r.Key) {
			t.Fatalf("id %q of key %q", id, r.Key)
		}
		key := r.Topic + " " + uid
		if seen[r.Topic+" "+id] {
			continue
		}
		seen[r.Topic+" "+id] = true
		distinct++
		if seq <= highest[key] {
			t.Fatalf("%s: %d came first after %d", key, seq, highest[key])
		}
		highest[key] = seq
	}
	return distinct
}

func TestWhatIsCommittedIsPublishedInOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		w.Register(1, 20)
		start(w, config(w, addr))
		for i := range 30 {
			commands := make(map[user.ID][]user.Command)
			for id := range user.ID(20) {
				commands[id+1] = []user.Command{view(fmt.Sprint("a", i), 1), view(fmt.Sprint("b", i), 2)}
			}
			w.DoAll(commands)
		}
		records := streamstest.Consume(t, addr, streams.TopicActivity).Await(20 * 30 * 2)
		if n := checkOrder(t, records); n != 20*30*2 || len(records) != n {
			t.Errorf("%d records, %d of them different, want %d", len(records), n, 20*30*2)
		}
	})
}

func TestEveryPublicTypeIsPublished(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		at, name, closed := streamstest.Time(), "New", false
		w.Register(1, 3)
		w.Do(1, user.Follow{Target: 2, At: at}, user.Follow{Target: 3, At: at}, user.Unfollow{Target: 2, At: at},
			user.FollowCrew{Crew: 7, At: at}, user.UnfollowCrew{Crew: 7, At: at}, user.FollowStudio{Studio: 8, At: at}, user.UnfollowStudio{Studio: 8, At: at},
			user.AddFollower{Source: 2, Lane: 2, Pos: 9, At: at}, // not published
			view("e", 5), user.UpdateProfile{Name: &name, At: at}, user.SetPrivacy{Profile: &closed, At: at})
		w.Do(3, user.Delete{At: at})
		w.Do(1, user.DeleteActivity{EventID: "e", At: at})
		start(w, config(w, addr))

		u := func(id user.ID) string { return streamstest.UID(id).String() }
		consumer := streamstest.Consume(t, addr, streams.TopicActivity, streams.TopicGraph, streams.TopicUsers, streams.TopicLatestUsers)
		got := make(map[string][]string)
		for _, r := range consumer.Await(3 + 3 + 2 + 2 + 1 + 1 + 7 + 2) {
			got[r.Topic+" "+string(r.Key)] = append(got[r.Topic+" "+string(r.Key)], streamstest.Header(r, "ce_type")+" "+string(r.Value))
		}
		user1 := `{"user":{"id":1,"uid":"` + u(1) + `","username":"u1","name":"New","role":"user","profile_picture":"","followers":1,"following":1,` +
			`"total_streams":0,"total_videos":0,"created_at":"2024-01-15T10:30:00Z","updated_at":"` + w.States[1].UpdatedAt.Format(time.RFC3339Nano) + `"},` +
			`"privacy":{"profile_public":false,"watch_history_public":false,"show_ratings_public":true}}`
		gone := `{"user":{"id":3,"uid":"` + u(3) + `","username":"u3","name":"","role":"user","profile_picture":"","followers":0,"following":0,` +
			`"total_streams":0,"total_videos":0,"created_at":"2024-01-15T10:30:00Z","updated_at":"2024-01-15T10:30:00Z"},` +
			`"privacy":{"profile_public":false,"watch_history_public":false,"show_ratings_public":false}}`
		for key, want := range map[string][]string{
			streams.TopicGraph + " " + u(1): {
				`followed {"uid":"` + u(1) + `","target_uid":"` + u(2) + `"}`,
				`followed {"uid":"` + u(1) + `","target_uid":"` + u(3) + `"}`, // who is gone since
				`unfollowed {"uid":"` + u(1) + `","target_uid":"` + u(2) + `"}`,
				`crew_followed {"uid":"` + u(1) + `","crew_member_id":7}`,
				`crew_unfollowed {"uid":"` + u(1) + `","crew_member_id":7}`,
				`studio_followed {"uid":"` + u(1) + `","studio_id":8}`,
				`studio_unfollowed {"uid":"` + u(1) + `","studio_id":8}`,
			},
			streams.TopicActivity + " " + u(1): {
				`activity.recorded {"uid":"` + u(1) + `","event_id":"e"}`, // deleted before it was published
				`activity.deleted {"uid":"` + u(1) + `","event_id":"e"}`,
			},
			streams.TopicUsers + " " + u(1):       {"user.registered " + user1, "user.updated " + user1, "user.updated " + user1},
			streams.TopicLatestUsers + " " + u(1): {"user.registered " + user1, "user.updated " + user1, "user.updated " + user1},
			streams.TopicUsers + " " + u(3):       {"user.registered " + gone, `user.deleted {"uid":"` + u(3) + `","username":"u3"}`},
			streams.TopicLatestUsers + " " + u(3): {"user.registered ", "user.deleted "},
		} {
			if !slices.Equal(got[key], want) {
				t.Errorf("%s:\n%s\nwant\n%s", key, strings.Join(got[key], "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

func TestHeadersAreThoseOfCloudEvents(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		w.Register(1, 1)
		start(w, config(w, addr))
		uid := streamstest.UID(1).String()
		r := streamstest.Consume(t, addr, streams.TopicUsers).Await(1)[0]
		want := []string{
			"ce_specversion=1.0", "ce_id=" + uid + "/1", "ce_type=user.registered", "ce_time=2024-01-15T10:30:00Z",
			"ce_source=kith", "ce_subject=" + uid, "content-type=application/json",
		}
		var got []string
		for _, h := range r.Headers {
			got = append(got, h.Key+"="+string(h.Value))
		}
		if !slices.Equal(got, want) || string(r.Key) != uid {
			t.Errorf("key %s, headers %v, want %v", r.Key, got, want)
		}
		if age := time.Since(r.Timestamp); age > time.Hour {
			t.Errorf("the record is %v old for the retention, want the time of publishing", age)
		}
	})
}

// mark waits until the saved mark of a lane is pos.
func mark(w *streamstest.World, lane uint8, pos uint64) {
	w.T.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		marks, err := w.DB.Marks(w.T.Context(), persistence.TailPublish)
		if err != nil {
			w.T.Fatal(err)
		}
		if marks[lane] == pos {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			w.T.Fatalf("the mark of lane %d is %d, want %d", lane, marks[lane], pos)
		}
	}
}

func TestWhatWasAcknowledgedIsNotPublishedAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		w.Register(1, 1)
		w.Do(1, view("a", 1))
		_, stop := start(w, config(w, addr))
		mark(w, 1, 2)
		stop()
		w.Restart()
		start(w, config(w, addr))
		w.Do(1, view("b", 1))
		records := streamstest.Consume(t, addr, streams.TopicActivity).Await(2)
		if n := checkOrder(t, records); n != 2 || len(records) != 2 {
			t.Errorf("%d records, %d different, want 2", len(records), n)
		}
	})
}

func TestACrashBetweenAcknowledgementAndMarkPublishesAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		w.Register(1, 1)
		w.Do(1, view("a", 1), view("b", 1))
		cfg := config(w, addr)
		cut := &lostMarks{ends: make(chan struct{})}
		cfg.Ends = cut // never keeps what was acknowledged, so that no mark moves
		_, stop := start(w, cfg)
		<-cut.ends
		stop()
		marks, err := w.DB.Marks(t.Context(), persistence.TailPublish)
		if err != nil || marks != [persistence.LaneCount]uint64{} {
			t.Fatalf("marks %v (%v), want none", marks, err)
		}
		w.Restart()
		start(w, config(w, addr))
		mark(w, 1, 3)
		w.Do(1, view("c", 1))
		consumer := streamstest.Consume(t, addr, streams.TopicActivity)
		records := consumer.Until(func(all []*kgo.Record) bool {
			return len(all) > 0 && strings.Contains(string(all[len(all)-1].Value), `"c"`)
		})
		if n := checkOrder(t, records); n != 3 || len(records) < 5 {
			t.Errorf("%d records, %d different, want 3 different and 2 of them twice", len(records), n)
		}
	})
}

// lostMarks is a keeper of end offsets that fails. It is told of topics one by one
// while they are new, and waits for two events.
type lostMarks struct {
	once sync.Once
	ends chan struct{}
}

func (l *lostMarks) Published(_ context.Context, ends []persistence.EndOffset) error {
	for _, e := range ends {
		if e.Topic == streams.TopicActivity && e.Offset >= 2 {
			l.once.Do(func() { close(l.ends) })
		}
	}
	return context.DeadlineExceeded
}

func (*lostMarks) Refill(context.Context) (user.ID, bool, error) { return 0, false, nil }

func (*lostMarks) Refilled(context.Context, user.ID, bool) error { return nil }

func TestKafkaAwayDelaysThisTailAlone(t *testing.T) {
	t.Parallel()
	w := streamstest.NewWorld(t)
	first := kafka(t)
	addr := first.ListenAddrs()[0]
	_, port, _ := strings.Cut(addr, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	w.Register(1, 2)
	cfg := config(w, addr)
	now := time.Now()
	var ahead time.Duration
	var mu sync.Mutex
	cfg.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now.Add(ahead)
	}
	tail, _ := start(w, cfg)
	mark(w, 1, 1)
	mark(w, 2, 1)
	if err := tail.Health(); err != nil {
		t.Errorf("health %v", err)
	}

	first.Close()
	for i := range 50 { // committing goes on
		w.Do(1, view(fmt.Sprint("e", i), 1))
	}
	w.Do(1, user.DeleteActivity{EventID: "e0", At: time.Now()}, user.DeleteActivity{EventID: "e49", At: time.Now()})
	if lag := tail.Lag(); lag != 52 {
		t.Errorf("lag %d, want 52", lag)
	}
	mu.Lock()
	ahead = time.Minute
	mu.Unlock()
	for deadline := time.Now().Add(10 * time.Second); tail.Health() == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the tail is well without Kafka")
		}
	}

	second := kafka(t, kfake.Ports(number))
	records := streamstest.Consume(t, second.ListenAddrs()[0], streams.TopicActivity).Await(52)
	if n := checkOrder(t, records); n != 52 {
		t.Errorf("%d different records, want 52", n)
	}
	for _, r := range records {
		for _, id := range []string{"e0", "e49"} {
			if strings.Contains(string(r.Value), `"`+id+`"`) && strings.Contains(string(r.Value), `"movie_id"`) {
				t.Errorf("content that was deleted before it was published: %s", r.Value)
			}
		}
	}
	mark(w, 1, 53)
}

func TestATopicThatIsDeletedIsMadeAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, w *streamstest.World, addr string) {
		t.Helper()
		w.Register(1, 1)
		w.Do(1, view("a", 1))
		start(w, config(w, addr))
		mark(w, 1, 2)
		deleteTopic(t, addr, streams.TopicActivity)
		w.Do(1, view("b", 1))
		mark(w, 1, 3)
		records := streamstest.Consume(t, addr, streams.TopicActivity).Await(1)
		if !strings.Contains(string(records[0].Value), `"b"`) {
			t.Errorf("published %s, want b", records[0].Value)
		}
	})
}

func deleteTopic(t *testing.T, addr, topic string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).DeleteTopics(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}
