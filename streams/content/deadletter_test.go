package content_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kith/actors/user"
	"kith/streams"
	"kith/streams/streamstest"
)

func TestADeadLetterSaysWhereItIsFromAndWhy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.Register("ada")
	b.consume(broken{b.Client, ada.ID})
	large := strings.Repeat("x", 100_000)
	b.report(ada.UID, "nonsense", large)
	b.report(user.UID{1, 2, 3}, change(user.UID{1, 2, 3}, "1", 1, 1))
	b.report(ada.UID, change(ada.UID, "1", 5, 0))
	got := make(map[string]*kgo.Record)
	for _, r := range streamstest.Consume(t, b.kafka.ListenAddrs()[0], streams.TopicDeadLetter).Await(4) {
		got[streamstest.Header(r, "kith_reason")+" "+string(r.Value)] = r
	}
	for _, want := range []string{"bad nonsense", "bad " + large[:64<<10], "unknown " + change(user.UID{1, 2, 3}, "1", 1, 1), "failed " + change(ada.UID, "1", 5, 0)} {
		r := got[want]
		if r == nil {
			t.Errorf("no letter for %.80q", want)
			continue
		}
		if streamstest.Header(r, "kith_topic") != streams.TopicContent || streamstest.Header(r, "kith_offset") == "" ||
			streamstest.Header(r, "kith_partition") == "" || streamstest.Header(r, "kith_error") == "" {
			t.Errorf("headers %v", r.Headers)
		}
		if size := streamstest.Header(r, "kith_value_bytes"); strings.HasPrefix(want, "bad x") != (size == "100000") {
			t.Errorf("%.20q says that it had %q bytes", want, size)
		}
	}
}

// A Kafka that takes no dead letters holds up no report.
func TestADeadLetterThatIsNotTakenHoldsUpNobody(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.Register("ada")
	b.consume(b.Client)
	b.report(ada.UID, "nonsense") // the topics are there
	b.results(1)
	b.kafka.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.KeepControl()
		request, ok := r.(*kmsg.ProduceRequest)
		if !ok || request.Acks != -1 || len(request.Topics) == 0 || b.isContent(request) {
			return nil, nil, false
		}
		response, _ := request.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range request.Topics {
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic, answer.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				answer.Partitions = append(answer.Partitions, partition)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
	b.report(ada.UID, "nonsense", change(ada.UID, "1", 5, 0))
	b.results(3)
	b.Eventually("all are done with", func() bool { return b.committed() == 3 })
	if b.totals(ada.ID) != [2]int64{5, 0} {
		t.Errorf("totals %v, want 5, 0", b.totals(ada.ID))
	}
}

// isContent reports whether something is produced to the inbound topic.
func (b *bench) isContent(r *kmsg.ProduceRequest) bool {
	for _, t := range r.Topics {
		info := b.kafka.TopicInfo(streams.TopicContent)
		if t.Topic == streams.TopicContent || info != nil && info.TopicID == t.TopicID {
			return true
		}
	}
	return false
}
