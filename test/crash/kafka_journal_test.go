package crash_test

import (
	"fmt"
	"slices"
	"testing"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/test/kithtest"
)

// published says which kinds of records go to which topic, as which type.
var published = kithtest.WherePublished()

// private are the kinds of records that are not published.
var private = []persistence.Kind{
	persistence.KindFollowerAdded, persistence.KindFollowerRemoved, persistence.KindSevered, persistence.KindContentCounted,
}

// person is what the database knows of somebody after the storm.
type person struct {
	persistence.AuditedUser

	uid, username string
	names         []string             // after each record, from the first on
	notices       map[string][]*notice // by topic, in order
	uids          map[user.ID]string   // of everybody
}

// notice is a record that is to be published, in each of its topics.
type notice struct {
	id, kind string
	record   persistence.Record
	event    user.Event
}

// people reads everybody from the database of a server that has stopped.
func (s *storm) people() map[string]*person {
	t := s.t
	t.Helper()
	snapshot, err := s.server.Audit().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, snapshot.Close)
	people, uids := make(map[string]*person), make(map[user.ID]string)
	for after := user.ID(0); ; {
		users, err := snapshot.Users(t.Context(), after, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(users) == 0 {
			return people
		}
		for _, u := range users {
			after = u.User
			p := newPerson(t, u)
			people[p.uid], uids[u.User], p.uids = p, p.uid, uids
		}
	}
}

func closed(t *testing.T, closing func() error) {
	t.Helper()
	if err := closing(); err != nil {
		t.Error(err)
	}
}

func newPerson(t *testing.T, u persistence.AuditedUser) *person {
	t.Helper()
	p := &person{AuditedUser: u, notices: make(map[string][]*notice)}
	for _, r := range u.Records {
		event, err := usergrain.DecodeRecord(&r)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := event.(user.Registered); ok {
			p.uid, p.username = e.UID.String(), e.Username
			p.names = append(p.names, e.Name)
		} else if e, ok := event.(user.ProfileUpdated); ok {
			p.names = append(p.names, e.Name)
		} else {
			p.names = append(p.names, p.names[len(p.names)-1])
		}
		to, ok := published[r.Kind]
		if !ok {
			if !slices.Contains(private, r.Kind) {
				t.Errorf("nobody says whether records of kind %d are published", r.Kind)
			}
			continue
		}
		n := &notice{id: fmt.Sprintf("%s/%d", p.uid, r.Seq), kind: to.Type, record: r, event: event}
		p.notices[to.Topic] = append(p.notices[to.Topic], n)
		if to.Topic == topicUsers {
			p.notices[topicLatest] = append(p.notices[topicLatest], n)
		}
	}
	return p
}
