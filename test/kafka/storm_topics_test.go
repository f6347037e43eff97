package kafka_test

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
)

// maxComplaints bounds what is kept of what is wrong. More: it is counted.
const maxComplaints = 20

func (l *ledger) complain(format string, args ...any) {
	if l.wrong++; len(l.complaints) < maxComplaints {
		l.complaints = append(l.complaints, fmt.Sprintf(format, args...))
	}
}

// take takes the next record of a partition: what is told next of somebody, or
// something that was told before.
func (l *ledger) take(r *kgo.Record) {
	l.records++
	id := header(r, "ce_id")
	uid, number, _ := strings.Cut(id, "/")
	seq, err := strconv.ParseUint(number, 10, 64)
	c := l.people[uid]
	if err != nil || c == nil || uid != string(r.Key) {
		l.complain("%s: id %q of key %q names nobody", r.Topic, id, r.Key)
		return
	}
	s := c.stories[r.Topic]
	i, found := slices.BinarySearchFunc(s.notices, seq, func(n notice, seq uint64) int { return int(int64(n.seq) - int64(seq)) })
	if !found {
		l.complain("%s tells of %s, a %s, which the journal does not hold, or not for this topic", r.Topic, id, header(r, "ce_type"))
		return
	}
	if s.last >= 0 && s.partition != r.Partition {
		l.complain("%s: %s is in partition %d, and what is before it in %d", r.Topic, id, r.Partition, s.partition)
	}
	if i > s.told {
		l.complain("%s: %s came before %d others that are before it", r.Topic, id, i-s.told)
	}
	if i < s.told {
		l.repeats++
	}
	if i < s.last {
		l.back++
	}
	s.told, s.last, s.partition = max(s.told, i+1), i, r.Partition
	if complaint := l.compare(c, &s.notices[i], r); complaint != "" {
		l.complain("%s: %s, a %s: %s: %s", r.Topic, id, header(r, "ce_type"), complaint, r.Value)
	}
	if r.Topic == topicLatest {
		c.latest = r.Value
	}
}

// heard are the fields that values have.
type heard struct {
	UID      string `json:"uid"`
	Username string `json:"username"`
	Target   string `json:"target_uid"`
	Crew     int64  `json:"crew_member_id"`
	Studio   int64  `json:"studio_id"`
	EventID  string `json:"event_id"`
	Event    struct {
		EventID string `json:"event_id"`
		Movie   int64  `json:"movie_id"`
	} `json:"event"`
	User struct {
		UID       string    `json:"uid"`
		Username  string    `json:"username"`
		UpdatedAt time.Time `json:"updated_at"`
	} `json:"user"`
}

// compare says what is wrong with a record that tells of n, "" for nothing.
func (l *ledger) compare(c *character, n *notice, r *kgo.Record) string {
	s := saying{kind: header(r, "ce_type"), time: header(r, "ce_time")}
	gone := r.Value == nil && r.Topic == topicLatest // a tombstone
	var v heard
	if !gone {
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return err.Error()
		}
		s.event = v.EventID + v.Event.EventID // it has one of them
		s.about = int64(l.ids[v.Target]) + v.Crew + v.Studio + v.Event.Movie
	}
	if n.kind == persistence.KindActivityErased {
		s.about = 0 // told before it was erased
	}
	switch {
	case maphash.Comparable(l.seed, s) != n.said:
		return "the journal says something else"
	case gone && c.account != nil:
		return "a tombstone of somebody who is there"
	case !gone && n.kind == persistence.KindDeleted && r.Topic == topicLatest:
		return "no tombstone"
	case !gone && (v.UID+v.User.UID != string(r.Key) || v.Username+v.User.Username != c.username && told[n.kind].Topic == topicUsers):
		return "it shows somebody else"
	case !gone && v.User.UID != "" && before(v.User.UpdatedAt, s.time):
		return "it shows the user as they were before"
	}
	return l.compareValue(n, r, &v)
}

// before reports whether a time is before one that is written.
func before(at time.Time, written string) bool {
	t, err := time.Parse(time.RFC3339Nano, written)
	return err != nil || at.Before(t)
}

// compareValue wants what is told again to be the same. A user is shown as they
// are then, and an event that was erased meanwhile without its content.
func (l *ledger) compareValue(n *notice, r *kgo.Record, v *heard) string {
	shown := v.User.UID != "" || r.Value == nil
	blank := n.kind == persistence.KindActivityErased && v.Event.EventID == ""
	if shown || blank {
		return ""
	}
	hash := maphash.Bytes(l.seed, r.Value) | 1 // never 0
	if n.value == 0 {
		n.value = hash
	}
	if n.value != hash {
		return "it was told before, with another value"
	}
	return ""
}

// end wants that all is told.
func (l *ledger) end() {
	for uid, c := range l.people {
		for topic, s := range c.stories {
			if missing := len(s.notices) - s.told; missing > 0 {
				l.complain("%s: of %s, %d are missing of %d, from %s/%d on", topic, uid, missing, len(s.notices), uid, s.notices[s.told].seq)
			}
		}
		l.compareLatest(uid, c)
	}
}

// compareLatest compares the newest record of the compacted topic with the row.
// Counters are not among what is published when it changes.
func (l *ledger) compareLatest(uid string, c *character) {
	a := c.account
	if a == nil {
		if c.latest != nil {
			l.complain("the latest of %s, who is deleted, is %s", uid, c.latest)
		}
		return
	}
	var shown struct{ User, Privacy map[string]any }
	if err := json.Unmarshal(c.latest, &shown); err != nil {
		l.complain("the latest of %s is %q: %v", uid, c.latest, err)
		return
	}
	delete(shown.User, "followers")
	delete(shown.User, "following")
	user := map[string]any{
		"id": float64(c.id), "uid": uid, "username": a.Username, "name": a.Name, "role": string(a.Role), "profile_picture": a.Picture,
		"total_streams": 0.0, "total_videos": 0.0,
		"created_at": a.CreatedAt.UTC().Format(time.RFC3339Nano), "updated_at": a.UpdatedAt.UTC().Format(time.RFC3339Nano),
	}
	privacy := map[string]any{
		"profile_public": a.Privacy.Profile, "watch_history_public": a.Privacy.WatchHistory, "show_ratings_public": a.Privacy.Ratings,
	}
	if !reflect.DeepEqual(shown.User, user) || !reflect.DeepEqual(shown.Privacy, privacy) {
		l.complain("the latest of %s is %s, the row %v %v", uid, c.latest, user, privacy)
	}
}

// published is how many records of the journal are to be told.
func (l *ledger) published() (n int) {
	for _, of := range l.kinds {
		n += of
	}
	return n
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d records in the journals of %d people, and %d in the topics, of which %d came again; order went back %d times",
		l.published(), len(l.people), l.records, l.repeats, l.back)
}

// judge fails the test when something is wrong, or there was too little to judge.
func (l *ledger) judge(t *testing.T, least int) {
	t.Helper()
	for _, c := range l.complaints {
		t.Error(c)
	}
	if l.wrong > len(l.complaints) {
		t.Errorf("and %d more", l.wrong-len(l.complaints))
	}
	for kind := range told {
		if l.kinds[kind] == 0 {
			t.Errorf("nothing of kind %d was written", kind)
		}
	}
	if n := l.published(); n < least {
		t.Errorf("the journal holds %d records, want %d", n, least)
	}
}
