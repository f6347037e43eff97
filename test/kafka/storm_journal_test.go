package kafka_test

import (
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/persistence"
	"kith/test/kithtest"
)

// told says of which kinds of records which topic tells, and as what.
var told = kithtest.WherePublished()

// ledger is what the journal holds and the topics must tell, and how far they have
// told it. Of each record it keeps its number and hashes.
type ledger struct {
	seed   maphash.Seed
	people map[string]*character // by uid
	ids    map[string]user.ID    // by uid
	kinds  map[persistence.Kind]int

	records, repeats, back int // of the topics; those that came again; how often order went back
	complaints             []string
	wrong                  int // complaints, also those that are not kept
}

// character is somebody whom the journal and the topics tell of.
type character struct {
	id       user.ID
	username string
	account  *user.Account     // the row; nil: deleted
	stories  map[string]*story // by topic
	latest   []byte            // the newest value of the compacted topic; nil: a tombstone, or none
}

// story is what a topic tells of somebody.
type story struct {
	notices   []notice // in order
	told      int      // so many of them, at least once
	last      int      // the notice told last
	partition int32
}

// notice is a record of the journal that is to be told.
type notice struct {
	seq   uint64
	said  uint64 // hash of what it says, whenever it is told
	value uint64 // hash of the first value that must be the same again; 0: there was none
	kind  persistence.Kind
}

func newLedger() *ledger {
	return &ledger{seed: maphash.MakeSeed(), people: make(map[string]*character), ids: make(map[string]user.ID), kinds: make(map[persistence.Kind]int)}
}

// pageOfPeople is how many people are read at a time, with their whole journals.
const pageOfPeople = 4

// ledger reads the database of a server that has stopped.
func (s *storm) ledger() *ledger {
	t := s.t
	t.Helper()
	snapshot, err := s.server.Audit().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	for after := user.ID(0); ; {
		users, err := snapshot.Users(t.Context(), after, pageOfPeople)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			after = u.User
			if err := l.know(&u); err != nil {
				t.Fatal(err)
			}
		}
		if len(users) == 0 {
			break
		}
	}
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

// know takes what is stored of somebody.
func (l *ledger) know(u *persistence.AuditedUser) error {
	c := &character{id: u.User, account: u.Account, stories: make(map[string]*story)}
	for _, topic := range []string{topicUsers, topicGraph, topicActivity, topicLatest} {
		c.stories[topic] = &story{last: -1}
	}
	for i := range u.Records {
		r := &u.Records[i]
		if r.Seq != uint64(i+1) {
			return fmt.Errorf("record %d of user %d has the number %d", i+1, u.User, r.Seq)
		}
		event, err := usergrain.DecodeRecord(r)
		if err != nil {
			return fmt.Errorf("read record %d of user %d: %w", r.Seq, u.User, err)
		}
		if e, ok := event.(user.Registered); ok {
			c.username = e.Username
			l.people[e.UID.String()], l.ids[e.UID.String()] = c, u.User
		}
		to, public := told[r.Kind]
		if !public {
			continue
		}
		l.kinds[r.Kind]++
		n := notice{seq: r.Seq, kind: r.Kind, said: maphash.Comparable(l.seed, say(to.Type, event))}
		c.stories[to.Topic].notices = append(c.stories[to.Topic].notices, n)
		if to.Topic == topicUsers {
			c.stories[topicLatest].notices = append(c.stories[topicLatest].notices, n)
		}
	}
	if c.username == "" {
		return errors.New("somebody never registered")
	}
	return nil
}

// saying is what a record says whenever it is told.
type saying struct {
	kind, time string
	event      string // id of an activity
	// about is whom or what it is about: the id of a user, a crew member, a studio or
	// a movie; 0 where that is not said.
	about int64
}

// say returns what an event of the journal must say in a topic.
func say(kind string, e user.Event) saying {
	s := saying{kind: kind, time: e.RecordedAt().UTC().Format(time.RFC3339Nano)}
	switch e := e.(type) {
	case user.Followed:
		s.about = int64(e.Target)
	case user.Unfollowed:
		s.about = int64(e.Target)
	case user.CrewFollowed:
		s.about = e.Crew
	case user.CrewUnfollowed:
		s.about = e.Crew
	case user.StudioFollowed:
		s.about = e.Studio
	case user.StudioUnfollowed:
		s.about = e.Studio
	case user.ActivityRecorded:
		s.event, s.about = e.Activity.EventID, e.Activity.MovieID
	case user.ActivityErased:
		s.event = e.EventID
	case user.ActivityDeleted:
		s.event = e.EventID
	case user.Registered, user.ProfileUpdated, user.PreferencesSet, user.PrivacySet, user.Deleted: // the whole user, as they are when it is told
	case user.FollowerAdded, user.FollowerRemoved, user.Severed, user.ContentCounted: // not told
	}
	return s
}
