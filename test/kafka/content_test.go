package kafka_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
	"kith/test/services"
)

// report is what a content service produces.
func report(id, uid string, streams, videos int) string {
	return fmt.Sprintf(`{"id":%q,"uid":%q,"streams":%d,"videos":%d}`, id, uid, streams, videos)
}

// produce writes reports about a user, one after another.
func produce(t *testing.T, service *kgo.Client, uid string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := service.ProduceSync(t.Context(), &kgo.Record{Topic: topicContent, Key: []byte(uid), Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func totals(t *testing.T, p person) [2]int {
	t.Helper()
	u := self(t, p.Client)
	return [2]int{u.Streams, u.Videos}
}

// results is how many reports became of which this process has said so.
func results(s *kithtest.Server, result string) int {
	return int(s.Metric(`kith_content_records_total{result="` + result + `"}`))
}

// committed returns how far the group of the consumers has come.
func committed(t *testing.T, admin *kadm.Client) (sum int64) {
	t.Helper()
	offsets, err := admin.FetchOffsets(t.Context(), "kith.content")
	if err != nil {
		t.Fatal(err)
	}
	offsets.Each(func(o kadm.OffsetResponse) { sum += max(0, o.At) })
	return sum
}

func TestReportsCountOnceAndAreDoneWith(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	s := start(t, brokers)
	ada, bob := register(t, s, "ada"), register(t, s, "bob")
	service := connect(t, brokers)
	admin := kadm.NewClient(service)
	made(t, admin)
	produce(t, service, ada.uid, report("1", ada.uid, 5, 1), report("2", ada.uid, -9, 3), report("1", ada.uid, 5, 1), report("3", ada.uid, 2, 0))
	produce(t, service, bob.uid, report("1", bob.uid, 1, 1))
	await(t, "all are counted", func() bool { return totals(t, ada) == [2]int{2, 4} && totals(t, bob) == [2]int{1, 1} })
	await(t, "the offsets are committed", func() bool { return committed(t, admin) == 5 })
	s.Restart()
	produce(t, service, ada.uid, report("4", ada.uid, 1, 0))
	await(t, "one more is counted", func() bool { return totals(t, ada) == [2]int{3, 4} })
	if n := results(s, "repeated"); n != 0 {
		t.Errorf("%d reports that were done with were read again", n)
	}
	s.Settle()
}

func TestWhatCannotBeUsedIsADeadLetter(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	s := start(t, brokers)
	ada, gone := register(t, s, "ada"), register(t, s, "gone")
	want(t, http.StatusOK)(gone.Delete(t.Context(), "gone"))
	service := connect(t, brokers)
	admin := kadm.NewClient(service)
	made(t, admin)
	large := `{"id":"` + strings.Repeat("x", 500<<10) + `"}`
	bad := []string{"", "nonsense", "\xff", large, `{"id":"1","uid":"` + ada.uid + `"}`}
	produce(t, service, ada.uid, bad...)
	produce(t, service, gone.uid, report("1", gone.uid, 1, 1))
	if err := service.ProduceSync(t.Context(), &kgo.Record{Topic: topicContent}).FirstErr(); err != nil { // neither key nor value
		t.Fatal(err)
	}
	produce(t, service, ada.uid, report("1", ada.uid, 4, 4)) // behind them
	await(t, "what is behind is counted", func() bool { return totals(t, ada) == [2]int{4, 4} })
	await(t, "all are done with", func() bool { return committed(t, admin) == int64(len(bad)+3) })

	letters := read(t, brokers, topicDead)[topicDead]
	reasons := make(map[string]int)
	values := make(map[string]bool)
	for _, r := range letters {
		reasons[header(r, "kith_reason")]++
		values[string(r.Value)] = true
		if header(r, "kith_topic") != topicContent || header(r, "kith_partition") == "" || header(r, "kith_offset") == "" || header(r, "kith_error") == "" {
			t.Errorf("a letter does not say where it is from, and why: %v", r.Headers)
		}
	}
	if reasons["bad"] != len(bad)+1 || reasons["unknown"] != 1 || len(letters) != len(bad)+2 {
		t.Errorf("the reasons are %v", reasons)
	}
	for _, v := range bad {
		if v = v[:min(len(v), 64<<10)]; !values[v] {
			t.Errorf("no letter holds %.80q", v)
		}
	}
	if n := s.Metric(`kith_content_dead_letters_total{result="written"}`); int(n) != len(letters) {
		t.Errorf("%v letters are counted, want %d", n, len(letters))
	}
}

// Somebody deletes the topic of dead letters: it is made again, and reports go on.
func TestDeadLettersHoldUpNobody(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	s := start(t, brokers)
	ada := register(t, s, "ada")
	service := connect(t, brokers)
	admin := kadm.NewClient(service)
	made(t, admin)
	produce(t, service, ada.uid, "nonsense")
	await(t, "a letter is written", func() bool { return s.Metric(`kith_content_dead_letters_total{result="written"}`) == 1 })
	if _, err := admin.DeleteTopics(t.Context(), topicDead); err != nil {
		t.Fatal(err)
	}
	await(t, "it is gone", func() bool { // until then it takes records, and forgets them
		topics, err := admin.ListTopics(t.Context())
		return err == nil && !topics.Has(topicDead)
	})
	produce(t, service, ada.uid, "nonsense", report("1", ada.uid, 1, 1))
	await(t, "what is behind is counted", func() bool { return totals(t, ada) == [2]int{1, 1} })
	await(t, "all are done with", func() bool { return committed(t, admin) == 3 })
	if letters := read(t, brokers, topicDead)[topicDead]; len(letters) != 1 {
		t.Errorf("%d letters are in the topic that was made again, want 1", len(letters))
	}
}
