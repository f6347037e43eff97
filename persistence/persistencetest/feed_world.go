package persistencetest

import (
	"fmt"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// FeedWorld is a world for measuring feeds: readers, ids from 1, and then authors.
type FeedWorld struct {
	Reads   []int // how many of the authors each of the readers follows
	Authors int
	Events  int // of each author, in turn with all others
}

// Users is how many there are.
func (w FeedWorld) Users() int { return len(w.Reads) + w.Authors }

// Start is when everybody registers.
func (w FeedWorld) Start() time.Time { return start() }

// Middle is a place amid the histories.
func (w FeedWorld) Middle() persistence.FeedPlace {
	return persistence.FeedPlace{At: start().Add(time.Duration(w.Events/2*w.Authors) * time.Second), User: 1, Seq: 1}
}

// Turn returns all that ever happened to a user.
func (w FeedWorld) Turn(id user.ID) (*persistence.Turn, error) {
	t := &persistence.Turn{User: id}
	record := func(kind persistence.Kind, after int) *persistence.Record {
		t.Records = append(t.Records, persistence.Record{
			User: id, Seq: uint64(len(t.Records)) + 1, Kind: kind, At: start().Add(time.Duration(after) * time.Second),
			Payload: []byte("some bytes of a record, about as many as an event has"),
		})
		return &t.Records[len(t.Records)-1]
	}
	record(persistence.KindRegistered, 0)
	n := int(id) - 1 //nolint:gosec // small
	if n < len(w.Reads) {
		for k := range w.Reads[n] {
			r := record(persistence.KindFollowed, 0)
			t.Following = append(t.Following, persistence.Edge{ID: uint64(len(w.Reads) + 1 + k*w.Authors/w.Reads[n]), At: r.At, Seq: r.Seq}) //nolint:gosec // small
		}
	} else {
		for k := range w.Events {
			record(persistence.KindActivityRecorded, 1+k*w.Authors+n*7919%w.Authors).EventID = fmt.Sprint(k)
		}
	}
	t.Account = newGrain(id).account
	t.Account.Following, t.Account.Version = int64(len(t.Following)), uint64(len(t.Records))
	t.Claims = []persistence.Claim{{Kind: persistence.ClaimUsername, Value: t.Account.Username}}
	return t, nil
}
