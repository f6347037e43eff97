package user

import "time"

// Event is a fact in the journal: past tense, never refused. Each carries the
// time at which it was recorded; within a journal that never goes back.
//
//sumtype:decl
type Event interface {
	event()
	// RecordedAt is when the event was recorded, UTC, microseconds.
	RecordedAt() time.Time
}

// Registered opens the journal.
type Registered struct {
	ID       ID
	UID      UID
	Username string
	Name     string
	Email    string
	At       time.Time
}

// ProfileUpdated carries the whole of what UpdateProfile can change, as it is
// from now on.
type ProfileUpdated struct {
	Name    string
	Picture string
	Role    Role
	Bio     string
	Email   string
	At      time.Time
}

// PreferencesSet carries the whole preferences from now on.
type PreferencesSet struct {
	Preferences Preferences
	At          time.Time
}

// PrivacySet carries the whole privacy from now on.
type PrivacySet struct {
	Privacy Privacy
	At      time.Time
}

// Followed records that the user began following Target.
type Followed struct {
	Target ID
	At     time.Time
}

// Unfollowed records that the user stopped following Target.
type Unfollowed struct {
	Target ID
	At     time.Time
}

// CrewFollowed records that the user began following a crew member.
type CrewFollowed struct {
	Crew int64
	At   time.Time
}

// CrewUnfollowed records that the user stopped following a crew member.
type CrewUnfollowed struct {
	Crew int64
	At   time.Time
}

// StudioFollowed records that the user began following a studio.
type StudioFollowed struct {
	Studio int64
	At     time.Time
}

// StudioUnfollowed records that the user stopped following a studio.
type StudioUnfollowed struct {
	Studio int64
	At     time.Time
}

// ActivityRecorded records a behaviour event.
type ActivityRecorded struct {
	Activity Activity
	At       time.Time
}

// ActivityErased stands where an ActivityRecorded was whose content has been
// deleted: the id stays known for ever.
type ActivityErased struct {
	EventID string
	At      time.Time
}

// ActivityDeleted records the deletion of a behaviour event.
type ActivityDeleted struct {
	EventID string
	At      time.Time
}

// FollowerAdded records that Source follows the user: the effect of the record
// at (Lane, Pos).
type FollowerAdded struct {
	Source     ID
	Lane       uint8
	Pos        uint64
	FollowedAt time.Time // when Source followed
	At         time.Time
}

// FollowerRemoved records that Source follows the user no longer: the effect of
// the record at (Lane, Pos).
type FollowerRemoved struct {
	Source ID
	Lane   uint8
	Pos    uint64
	At     time.Time
}

// Severed records that the edges to and from Gone were dropped, because that
// user was deleted.
type Severed struct {
	Gone ID
	At   time.Time
}

// ContentCounted records that content services reported a change of what the
// user has published: Streams and Videos more, or less when negative. ID is
// theirs, and counts once.
type ContentCounted struct {
	ID      string
	Streams int64
	Videos  int64
	At      time.Time
}

// Deleted closes the journal.
type Deleted struct {
	At time.Time
}

func (Registered) event()       {}
func (ProfileUpdated) event()   {}
func (PreferencesSet) event()   {}
func (PrivacySet) event()       {}
func (Followed) event()         {}
func (Unfollowed) event()       {}
func (CrewFollowed) event()     {}
func (CrewUnfollowed) event()   {}
func (StudioFollowed) event()   {}
func (StudioUnfollowed) event() {}
func (ActivityRecorded) event() {}
func (ActivityErased) event()   {}
func (ActivityDeleted) event()  {}
func (FollowerAdded) event()    {}
func (FollowerRemoved) event()  {}
func (Severed) event()          {}
func (Deleted) event()          {}
func (ContentCounted) event()   {}

// RecordedAt implements Event.
func (e Registered) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e ProfileUpdated) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e PreferencesSet) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e PrivacySet) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e Followed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e Unfollowed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e CrewFollowed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e CrewUnfollowed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e StudioFollowed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e StudioUnfollowed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e ActivityRecorded) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e ActivityErased) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e ActivityDeleted) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e FollowerAdded) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e FollowerRemoved) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e Severed) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e Deleted) RecordedAt() time.Time { return e.At }

// RecordedAt implements Event.
func (e ContentCounted) RecordedAt() time.Time { return e.At }
