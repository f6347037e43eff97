package kafka_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/streams"
)

// written is a small journal of two people, one of whom is deleted.
type written []persistence.AuditedUser

// Identity and Account implement streams.Directory.
func (w written) Identity(id user.ID) *persistence.Identity {
	return &persistence.Identity{UID: user.UID{0: byte(id)}, Username: name(int(id))}
}

func (w written) Account(id user.ID) *user.Account { return w[id-1].Account }

func write(t *testing.T) written {
	t.Helper()
	at := time.Date(2024, 1, 20, 14, 22, 0, 5000, time.UTC)
	later := at.Add(time.Minute)
	seen := func(event string) user.Event {
		return user.ActivityRecorded{Activity: user.Activity{EventID: event, Type: user.ActivityView, MovieID: 5, OccurredAt: at}, At: at}
	}
	registered := func(id user.ID) user.Event {
		return user.Registered{ID: id, UID: user.UID{0: byte(id)}, Username: name(int(id)), Name: "Name", At: at}
	}
	w := make(written, 2)
	for i, events := range [][]user.Event{
		{
			registered(1), seen("a"),
			user.Followed{Target: 2, At: at},
			user.ActivityErased{EventID: "b", At: at},
			seen("c"), seen("d"),
			user.FollowerAdded{Source: 2, Lane: 2, Pos: 2, FollowedAt: at, At: at},
			user.Unfollowed{Target: 2, At: at},
			user.PrivacySet{Privacy: user.DefaultPrivacy(), At: later},
			user.ActivityDeleted{EventID: "b", At: later},
		},
		{registered(2), user.Followed{Target: 1, At: at}, user.Deleted{At: later}},
	} {
		w[i].User = user.ID(i + 1)
		for _, e := range events {
			kind, id, payload, err := usergrain.EncodeEvent(e)
			if err != nil {
				t.Fatal(err)
			}
			w[i].Records = append(w[i].Records, persistence.Record{
				User: w[i].User, Seq: uint64(len(w[i].Records) + 1), Kind: kind, At: e.RecordedAt(), EventID: id, Payload: payload,
			})
		}
	}
	w[0].Account = &user.Account{Card: user.Card{
		ID: 1, UID: user.UID{0: 1}, Username: name(1), Name: "Name", Role: user.RoleUser, Privacy: user.DefaultPrivacy(), CreatedAt: at, UpdatedAt: later,
	}}
	w[1].Deleted = true
	return w
}

// publish returns what the topics tell of a journal.
func (w written) publish(t *testing.T) (all []*kgo.Record) {
	t.Helper()
	for _, u := range w {
		for _, r := range u.Records {
			if _, public := told[r.Kind]; !public {
				continue
			}
			fact, err := streams.NewFact(&r)
			if err != nil {
				t.Fatal(err)
			}
			records, err := fact.Encode(w)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, records...)
		}
	}
	return all
}

// find returns the place of the nth record of a type in a topic, from 0 on.
func find(all []*kgo.Record, topic, kind string, n int) int {
	for i, r := range all {
		if r.Topic == topic && header(r, "ce_type") == kind {
			if n--; n < 0 {
				return i
			}
		}
	}
	return -1
}

// plant changes what the topics tell.
type plant func(all []*kgo.Record) []*kgo.Record

func without(topic, kind string, n int) plant {
	return func(all []*kgo.Record) []*kgo.Record {
		i := find(all, topic, kind, n)
		return slices.Delete(all, i, i+1)
	}
}

// again tells something again, changed.
func again(topic, kind string, change func(*kgo.Record)) plant {
	return func(all []*kgo.Record) []*kgo.Record {
		r := *all[find(all, topic, kind, 0)]
		r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
		change(&r)
		return append(all, &r)
	}
}

// set changes a header.
func set(key, value string) func(*kgo.Record) {
	return func(r *kgo.Record) {
		for i := range r.Headers {
			if r.Headers[i].Key == key {
				r.Headers[i].Value = []byte(value)
			}
		}
	}
}

// replace replaces a part of the value.
func replace(old, by string) func(*kgo.Record) {
	return func(r *kgo.Record) { r.Value = bytes.Replace(r.Value, []byte(old), []byte(by), 1) }
}

// compare returns what is wrong when the topics tell what p makes of what they
// should.
func (w written) compare(t *testing.T, p plant) *ledger {
	t.Helper()
	l := newLedger()
	for i := range w {
		if err := l.know(&w[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range p(w.publish(t)) {
		l.take(r)
	}
	l.end()
	return l
}

func TestTheComparisonFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	w, uid := write(t), user.UID{0: 1}.String()
	for name, p := range map[string]plant{
		"one is missing":            without(topicActivity, "activity.recorded", 2),
		"the first is missing":      without(topicGraph, "followed", 0),
		"the last is missing":       without(topicActivity, "activity.deleted", 0),
		"a deletion is missing":     without(topicUsers, "user.deleted", 0),
		"a tombstone is missing":    without(topicLatest, "user.deleted", 0),
		"the latest is missing":     without(topicLatest, "user.updated", 0),
		"two are swapped":           swapped,
		"of somebody unknown":       again(topicUsers, "user.registered", set("ce_id", "x/1")),
		"an id without a number":    again(topicUsers, "user.registered", set("ce_id", uid)),
		"an id of another key":      again(topicUsers, "user.registered", func(r *kgo.Record) { r.Key = []byte("x") }),
		"not in the journal":        again(topicUsers, "user.registered", set("ce_id", uid+"/99")),
		"not of a published kind":   again(topicUsers, "user.registered", set("ce_id", uid+"/7")),
		"in another topic":          again(topicUsers, "user.registered", func(r *kgo.Record) { r.Topic = topicGraph }),
		"in another partition":      again(topicGraph, "followed", func(r *kgo.Record) { r.Partition = 1 }),
		"of another type":           again(topicGraph, "followed", set("ce_type", "unfollowed")),
		"of another time":           again(topicGraph, "followed", set("ce_time", "2024-01-20T14:22:01Z")),
		"no JSON":                   again(topicGraph, "followed", replace("{", "")),
		"about somebody else":       again(topicGraph, "followed", replace(`"target_uid":"02`, `"target_uid":"01`)),
		"by somebody else":          again(topicGraph, "followed", replace(`"uid":"01`, `"uid":"02`)),
		"about another movie":       again(topicActivity, "activity.recorded", replace(`"movie_id":5`, `"movie_id":6`)),
		"content that is missing":   again(topicActivity, "activity.recorded", func(r *kgo.Record) { r.Value = fmt.Appendf(nil, `{"uid":%q,"event_id":"a"}`, uid) }),
		"again with another value":  again(topicActivity, "activity.recorded", replace("view", "wiev")),
		"shown as before":           again(topicUsers, "user.updated", replace(`"updated_at":"2024-01-20T14:23`, `"updated_at":"2024-01-20T14:22`)),
		"shown as somebody else":    again(topicUsers, "user.updated", replace(`"username":"`, `"username":"x`)),
		"the latest is not the row": again(topicLatest, "user.updated", replace(`"name":"`, `"name":"x`)),
		"nor its privacy":           again(topicLatest, "user.updated", replace(`"profile_public":true`, `"profile_public":false`)),
		"a tombstone of who stays":  again(topicLatest, "user.updated", func(r *kgo.Record) { r.Value = nil }),
	} {
		if l := w.compare(t, p); l.wrong == 0 {
			t.Errorf("%s: nobody complains", name)
		}
	}
}

func swapped(all []*kgo.Record) []*kgo.Record {
	i, j := find(all, topicActivity, "activity.recorded", 2), find(all, topicActivity, "activity.recorded", 3)
	all[i], all[j] = all[j], all[i]
	return all
}

func TestTheComparisonFindsNothingWhereNothingIsWrong(t *testing.T) {
	t.Parallel()
	w := write(t)
	for name, p := range map[string]plant{
		"all, once":     func(all []*kgo.Record) []*kgo.Record { return all },
		"some again":    func(all []*kgo.Record) []*kgo.Record { return append(all[:6:6], all...) },
		"other changes": again(topicUsers, "user.updated", replace(`"followers":0`, `"followers":1`)),
		"an event that was erased after it was told": func(all []*kgo.Record) []*kgo.Record {
			r := all[find(all, topicActivity, "activity.recorded", 1)]
			r.Value = fmt.Appendf(nil, `{"uid":%q,"event":{"event_id":"b","movie_id":7}}`, r.Key)
			return all
		},
	} {
		if l := w.compare(t, p); l.wrong > 0 {
			t.Errorf("%s: it complains of %q", name, l.complaints)
		}
	}
}
