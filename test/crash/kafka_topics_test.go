package crash_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// progress is how far a topic has told of somebody.
type progress struct {
	partition int32
	told      int // notices, at least once
	last      int // the notice told last
	repeats   int // how often it began again with something earlier
	newest    *kgo.Record
	gone      map[string]bool // what is deleted: event ids, and "" for the user
}

// checkTopics compares what the consumers have read with the journal: of
// everybody each topic tells everything in order, none other, and after a crash
// perhaps some again, in order too.
func (s *storm) checkTopics() {
	t := s.t
	t.Helper()
	if strings.Contains(s.server.Log(), "it starts over") {
		t.Error("the embedded broker has lost something to a kill of the process alone")
	}
	people := s.people()
	records, repeats := 0, 0
	for _, topic := range topics() {
		told := make(map[string]*progress)
		for _, r := range s.read(topic) {
			records++
			p := people[string(r.Key)]
			if p == nil {
				t.Errorf("%s tells of %s, who never registered", topic, r.Key)
				continue
			}
			if told[p.uid] == nil {
				told[p.uid] = &progress{partition: r.Partition, last: -1, gone: make(map[string]bool)}
			}
			told[p.uid].tell(t, p, r)
		}
		for uid, p := range people {
			at := told[uid]
			if at == nil {
				at = &progress{}
			}
			if want := len(p.notices[topic]); at.told != want || want > 0 && at.last != want-1 {
				t.Errorf("%s has told %d things of %s, the last is %d, there are %d", topic, at.told, uid, at.last, want)
				continue
			}
			// Each life begins again at most once.
			if repeats += at.repeats; at.repeats > 2*kills {
				t.Errorf("%s began %d times again to tell of %s", topic, at.repeats, uid)
			}
			if topic == topicLatest {
				p.checkLatest(t, at.newest)
			}
		}
	}
	t.Logf("%d published records of %d people; order went back %d times; %d and %d clients", records, len(people), repeats, s.readers[0].clients, s.readers[1].clients)
}

// read returns what was read of a topic, partition by partition, in order. The
// consumers must have read the same.
func (s *storm) read(topic string) []*kgo.Record {
	logs := make([]map[partition][]*kgo.Record, len(s.readers))
	for i, c := range s.readers {
		c.mu.Lock()
		logs[i] = maps.Clone(c.logs)
		c.mu.Unlock()
	}
	var all []*kgo.Record
	for at, log := range logs[0] {
		if at.topic != topic {
			continue
		}
		same := func(a, b *kgo.Record) bool { return header(a, "ce_id") == header(b, "ce_id") }
		if !slices.EqualFunc(log, logs[1][at], same) {
			s.t.Errorf("the consumers have read different records of %v", at)
		}
		all = append(all, log...)
	}
	return all
}

// tell takes the next record about somebody.
func (at *progress) tell(t *testing.T, p *person, r *kgo.Record) {
	t.Helper()
	notices := p.notices[r.Topic]
	i := slices.IndexFunc(notices, func(n *notice) bool { return n.id == header(r, "ce_id") })
	if i < 0 {
		t.Errorf("%s tells of %s, a %s, which was not committed or is not published", r.Topic, header(r, "ce_id"), header(r, "ce_type"))
		return
	}
	if i > at.last+1 {
		t.Errorf("%s tells of %s, having told of %d of what is before it", r.Topic, notices[i].id, at.last+1)
	}
	if r.Partition != at.partition {
		t.Errorf("%s is in partition %d of %s, and what is before it in %d", notices[i].id, r.Partition, r.Topic, at.partition)
	}
	if i <= at.last {
		at.repeats++
	}
	at.last, at.told, at.newest = i, max(at.told, i+1), r
	n := notices[i]
	n.checkHeaders(t, p, r)
	if complaint := at.compare(p, n, r); complaint != "" {
		t.Errorf("%s in %s, a %s: %s: %s", n.id, r.Topic, n.kind, complaint, r.Value)
	}
}
