package crash_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/actors/user"
)

func (n *notice) checkHeaders(t *testing.T, p *person, r *kgo.Record) {
	t.Helper()
	want := []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte(n.id)},
		{Key: "ce_type", Value: []byte(n.kind)},
		{Key: "ce_time", Value: []byte(n.record.At.UTC().Format(time.RFC3339Nano))},
		{Key: "ce_source", Value: []byte("kith")},
		{Key: "ce_subject", Value: []byte(p.uid)},
		{Key: "content-type", Value: []byte("application/json")},
	}
	if !reflect.DeepEqual(r.Headers, want) {
		t.Errorf("%s in %s has the headers %v, want %v", n.id, r.Topic, r.Headers, want)
	}
}

// compare says what is wrong with the value of a record, "" for nothing.
func (at *progress) compare(p *person, n *notice, r *kgo.Record) string {
	switch e := n.event.(type) {
	case user.Registered, user.ProfileUpdated, user.PreferencesSet, user.PrivacySet:
		return at.compareUser(p, n, r)
	case user.Deleted:
		at.gone[""] = true
		if r.Topic == topicLatest {
			if r.Value != nil {
				return "no tombstone"
			}
			return ""
		}
		return equal(r.Value, map[string]any{"uid": p.uid, "username": p.username})
	case user.Followed:
		return p.compareEdge(r.Value, e.Target)
	case user.Unfollowed:
		return p.compareEdge(r.Value, e.Target)
	case user.CrewFollowed:
		return equal(r.Value, map[string]any{"uid": p.uid, "crew_member_id": e.Crew})
	case user.CrewUnfollowed:
		return equal(r.Value, map[string]any{"uid": p.uid, "crew_member_id": e.Crew})
	case user.StudioFollowed:
		return equal(r.Value, map[string]any{"uid": p.uid, "studio_id": e.Studio})
	case user.StudioUnfollowed:
		return equal(r.Value, map[string]any{"uid": p.uid, "studio_id": e.Studio})
	case user.ActivityRecorded:
		return equal(r.Value, p.whole(e.Activity, e.At))
	case user.ActivityErased:
		blank := equal(r.Value, map[string]any{"uid": p.uid, "event_id": e.EventID})
		if blank == "" || at.gone[e.EventID] {
			return blank // published without content from when its deletion was
		}
		return hasContent(r.Value, e.EventID)
	case user.ActivityDeleted:
		at.gone[e.EventID] = true
		return equal(r.Value, map[string]any{"uid": p.uid, "event_id": e.EventID})
	case user.FollowerAdded, user.FollowerRemoved, user.Severed, user.ContentCounted:
	}
	return "it is not published"
}

func (p *person) compareEdge(value []byte, target user.ID) string {
	return equal(value, map[string]any{"uid": p.uid, "target_uid": p.uids[target]})
}

// whole is the value of an event as the clients of the storm record it.
func (p *person) whole(a user.Activity, at time.Time) any {
	return map[string]any{"uid": p.uid, "event": map[string]any{
		"event_id": a.EventID, "type": "review", "movie_id": a.MovieID, "rating": 7.5, "review": "Fine.",
		"occurred_at": a.OccurredAt, "recorded_at": at,
	}}
}

// hasContent wants an event whose content was not yet erased.
func hasContent(value []byte, id string) string {
	var v struct {
		Event struct {
			EventID string `json:"event_id"`
			Review  string `json:"review"`
		} `json:"event"`
	}
	if err := json.Unmarshal(value, &v); err != nil || v.Event.EventID != id || v.Event.Review != "Fine." {
		return "neither whole nor blank"
	}
	return ""
}

// equal compares a value with the JSON of what it must be.
func equal(value []byte, want any) string {
	encoded, err := json.Marshal(want)
	if err != nil {
		return err.Error()
	}
	var a, b any
	if err := json.Unmarshal(value, &a); err != nil {
		return err.Error()
	}
	if err := json.Unmarshal(encoded, &b); err != nil {
		return err.Error()
	}
	if !reflect.DeepEqual(a, b) {
		return "want " + string(encoded)
	}
	return ""
}

// shownUser is the value that shows a whole user.
type shownUser struct {
	User struct {
		ID        user.ID   `json:"id"`
		UID       string    `json:"uid"`
		Username  string    `json:"username"`
		Name      string    `json:"name"`
		Role      string    `json:"role"`
		Picture   string    `json:"profile_picture"`
		Followers int64     `json:"followers"`
		Following int64     `json:"following"`
		Streams   int64     `json:"total_streams"`
		Videos    int64     `json:"total_videos"`
		CreatedAt time.Time `json:"created_at"`
		UpdatedAt time.Time `json:"updated_at"`
	} `json:"user"`
	Privacy struct {
		Profile bool `json:"profile_public"`
		History bool `json:"watch_history_public"`
		Ratings bool `json:"show_ratings_public"`
	} `json:"privacy"`
}

func readUser(value []byte) (shownUser, error) {
	var v shownUser
	d := json.NewDecoder(bytes.NewReader(value))
	d.DisallowUnknownFields()
	err := d.Decode(&v)
	return v, err
}

// compareUser compares a value that shows the user as they were when it was
// published: not before the record, and nothing of whom was gone by then.
func (at *progress) compareUser(p *person, n *notice, r *kgo.Record) string {
	if r.Value == nil && r.Topic == topicLatest {
		if !p.Deleted {
			return "a tombstone of somebody who is there"
		}
		return ""
	}
	v, err := readUser(r.Value)
	switch {
	case err != nil:
		return err.Error()
	case v.User.UID != p.uid || v.User.Username != p.username || v.User.ID != p.User || v.User.UpdatedAt.Before(n.record.At):
		return fmt.Sprintf("want %s, %s, as of %s", p.username, p.uid, n.record.At)
	case v.User.Name == "" && p.Deleted && r.Topic == topicUsers:
		return ""
	case at.gone[""]:
		return "shown after the deletion was"
	case !slices.Contains(p.names[n.record.Seq-1:], v.User.Name):
		return fmt.Sprintf("the name must be one of %q", p.names[n.record.Seq-1:])
	}
	return ""
}

// checkLatest compares the newest record of the compacted topic with the row.
// Counters are not among what is published when it changes.
func (p *person) checkLatest(t *testing.T, r *kgo.Record) {
	t.Helper()
	if p.Account == nil {
		if r.Value != nil {
			t.Errorf("the newest of %s, who is deleted, is %s", p.uid, r.Value)
		}
		return
	}
	got, err := readUser(r.Value)
	if err != nil {
		t.Errorf("the newest of %s is %s: %v", p.uid, r.Value, err)
		return
	}
	got.User.Followers, got.User.Following, got.User.Streams, got.User.Videos = 0, 0, 0, 0
	row := p.Account
	var want shownUser
	want.User.ID, want.User.UID, want.User.Username, want.User.Name = row.ID, p.uid, row.Username, row.Name
	want.User.Role, want.User.Picture = string(row.Role), row.Picture
	want.User.CreatedAt, want.User.UpdatedAt = row.CreatedAt.UTC(), row.UpdatedAt.UTC()
	want.Privacy.Profile, want.Privacy.History, want.Privacy.Ratings = row.Privacy.Profile, row.Privacy.WatchHistory, row.Privacy.Ratings
	if got != want {
		t.Errorf("the newest of %s is %+v, the row %+v", p.uid, got, want)
	}
}
