package payload

import (
	"encoding/json"
	"time"

	"kith/wire"
)

// Headers are the headers of a record: the attributes of CloudEvents 1.0 in binary
// mode.
type Headers struct {
	SpecVersion string    `json:"ce_specversion" enum:"1.0"`
	ID          string    `json:"ce_id" pattern:"^[0-9a-f]{32}/[1-9][0-9]*$" doc:"uid/seq: the same when a record comes again"`
	Type        string    `json:"ce_type"`
	Time        time.Time `json:"ce_time" doc:"When it was recorded"`
	Source      string    `json:"ce_source" enum:"kith"`
	Subject     string    `json:"ce_subject" pattern:"^[0-9a-f]{32}$" doc:"The uid, which is the key, too"`
	ContentType string    `json:"content-type" enum:"application/json"`
}

// User is the user object.
type User struct {
	ID        int64     `json:"id" minimum:"1" doc:"Internal number"`
	UID       string    `json:"uid" pattern:"^[0-9a-f]{32}$" doc:"The user's identity, for ever"`
	Username  string    `json:"username" pattern:"^[a-z0-9_]{3,30}$"`
	Name      string    `json:"name" maxLength:"29" doc:"Empty when the user was gone before the record was published"`
	Role      string    `json:"role" enum:"user,creator,admin"`
	Picture   string    `json:"profile_picture" doc:"Empty, an http(s) URL, or the path of an upload"`
	Followers int64     `json:"followers" minimum:"0"`
	Following int64     `json:"following" minimum:"0"`
	Streams   int64     `json:"total_streams" minimum:"0"`
	Videos    int64     `json:"total_videos" minimum:"0"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at" doc:"Moves with the user's own changes, not with counters"`
}

// ActivityRecorded is the value of activity.recorded: the event, or its id alone
// when it was deleted before it was published.
type ActivityRecorded struct {
	UID     string      `json:"uid" pattern:"^[0-9a-f]{32}$"`
	Event   *wire.Event `json:"event,omitempty" doc:"The event whole"`
	EventID string      `json:"event_id,omitempty" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Instead of the event, when it was deleted before it was published"`
}

// ActivityDeleted is the value of activity.deleted, and the data of that frame.
type ActivityDeleted struct {
	UID     string `json:"uid" pattern:"^[0-9a-f]{32}$"`
	EventID string `json:"event_id" pattern:"^[A-Za-z0-9_-]{1,64}$"`
}

// UserEdge is the value of followed and unfollowed.
type UserEdge struct {
	UID    string `json:"uid" pattern:"^[0-9a-f]{32}$" doc:"Who follows"`
	Target string `json:"target_uid" pattern:"^[0-9a-f]{32}$" doc:"Who is followed"`
}

// CrewEdge is the value of crew_followed and crew_unfollowed.
type CrewEdge struct {
	UID  string `json:"uid" pattern:"^[0-9a-f]{32}$" doc:"Who follows"`
	Crew int64  `json:"crew_member_id" minimum:"1"`
}

// StudioEdge is the value of studio_followed and studio_unfollowed.
type StudioEdge struct {
	UID    string `json:"uid" pattern:"^[0-9a-f]{32}$" doc:"Who follows"`
	Studio int64  `json:"studio_id" minimum:"1"`
}

// UserState is the value of user.registered and user.updated.
type UserState struct {
	User    json.RawMessage `json:"user"`
	Privacy wire.Privacy    `json:"privacy"`
}

// UserDeleted is the value of user.deleted.
type UserDeleted struct {
	UID      string `json:"uid" pattern:"^[0-9a-f]{32}$"`
	Username string `json:"username" pattern:"^[a-z0-9_]{3,30}$"`
}

// ContentChanged is the value of a record that content services write. One of the
// numbers may be missing.
type ContentChanged struct {
	ID      string `json:"id" minLength:"1" maxLength:"128" doc:"Of the change: each (uid, id) counts once, for ever"`
	UID     string `json:"uid" pattern:"^[0-9a-f]{32}$"`
	Streams *int64 `json:"streams,omitempty" doc:"Added to total_streams, which never falls below 0"`
	Videos  *int64 `json:"videos,omitempty" doc:"Added to total_videos, which never falls below 0"`
}

// LetterHeaders are the headers of a dead letter, whose key and value are those of
// the record that cannot be used.
type LetterHeaders struct {
	Reason    string `json:"kith_reason" enum:"bad,unknown,failed" doc:"It says nothing; it is about nobody; its user cannot be loaded"`
	Error     string `json:"kith_error" doc:"For people"`
	Topic     string `json:"kith_topic" doc:"Where the record is, with kith_partition and kith_offset"`
	Partition string `json:"kith_partition" pattern:"^[0-9]+$"`
	Offset    string `json:"kith_offset" pattern:"^[0-9]+$"`
	Bytes     string `json:"kith_value_bytes,omitempty" pattern:"^[0-9]+$" doc:"How long the value was, when it was too long and is cut"`
}
