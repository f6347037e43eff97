package usergrain

import (
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"kith/actors/user"
	"kith/persistence"
	kithv1 "kith/proto/kith/v1"
)

// EncodeEvent returns what is stored of e: its kind, the event id of a behaviour
// event, and the payload. User, seq and time are columns of the record.
func EncodeEvent(e user.Event) (kind persistence.Kind, eventID string, payload []byte, err error) {
	var m proto.Message
	switch e := e.(type) {
	case user.Registered:
		kind, m = persistence.KindRegistered, &kithv1.Registered{Uid: e.UID[:], Username: e.Username, Name: e.Name, Email: e.Email}
	case user.ProfileUpdated:
		kind, m = persistence.KindProfileUpdated, &kithv1.ProfileUpdated{Name: e.Name, Picture: e.Picture, Role: string(e.Role), Bio: e.Bio, Email: e.Email}
	case user.PreferencesSet:
		kind, m = persistence.KindPreferencesSet, &kithv1.PreferencesSet{Preferences: preferencesToProto(e.Preferences)}
	case user.PrivacySet:
		kind, m = persistence.KindPrivacySet, &kithv1.PrivacySet{Privacy: privacyToProto(e.Privacy)}
	case user.Followed:
		kind, m = persistence.KindFollowed, &kithv1.Followed{Target: uint64(e.Target)}
	case user.Unfollowed:
		kind, m = persistence.KindUnfollowed, &kithv1.Unfollowed{Target: uint64(e.Target)}
	case user.CrewFollowed:
		kind, m = persistence.KindCrewFollowed, &kithv1.CrewFollowed{Crew: e.Crew}
	case user.CrewUnfollowed:
		kind, m = persistence.KindCrewUnfollowed, &kithv1.CrewUnfollowed{Crew: e.Crew}
	case user.StudioFollowed:
		kind, m = persistence.KindStudioFollowed, &kithv1.StudioFollowed{Studio: e.Studio}
	case user.StudioUnfollowed:
		kind, m = persistence.KindStudioUnfollowed, &kithv1.StudioUnfollowed{Studio: e.Studio}
	case user.ActivityRecorded:
		a := activityToProto(e.Activity)
		a.EventId = "" // the column has it
		kind, eventID, m = persistence.KindActivityRecorded, e.Activity.EventID, &kithv1.ActivityRecorded{Activity: a}
	case user.ActivityErased:
		kind, eventID, m = persistence.KindActivityErased, e.EventID, &kithv1.ActivityErased{}
	case user.ActivityDeleted:
		// In the payload, not in the column, where the id must stay unique.
		kind, m = persistence.KindActivityDeleted, &kithv1.ActivityDeleted{EventId: e.EventID}
	case user.FollowerAdded:
		kind, m = persistence.KindFollowerAdded, &kithv1.FollowerAdded{Source: uint64(e.Source), Lane: uint32(e.Lane), Pos: e.Pos, FollowedAtUs: toMicro(e.FollowedAt)}
	case user.FollowerRemoved:
		kind, m = persistence.KindFollowerRemoved, &kithv1.FollowerRemoved{Source: uint64(e.Source), Lane: uint32(e.Lane), Pos: e.Pos}
	case user.Severed:
		kind, m = persistence.KindSevered, &kithv1.Severed{Gone: uint64(e.Gone)}
	case user.ContentCounted:
		kind, eventID, m = persistence.KindContentCounted, user.ContentKey(e.ID), &kithv1.ContentCounted{Streams: e.Streams, Videos: e.Videos}
	case user.Deleted:
		kind, m = persistence.KindDeleted, &kithv1.Deleted{}
	}
	payload, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return 0, "", nil, fmt.Errorf("marshal %T: %w", e, err)
	}
	return kind, eventID, payload, nil
}

// DecodeRecord returns the event that a record stores. It never panics: a record
// that cannot be read, or that says what no EncodeEvent wrote, is an error.
func DecodeRecord(r *persistence.Record) (user.Event, error) {
	e, err := decodeRecord(r)
	if err != nil {
		return nil, fmt.Errorf("decode record of kind %d: %w", r.Kind, err)
	}
	return e, nil
}

func decodeRecord(r *persistence.Record) (user.Event, error) {
	at := r.At.UTC()
	switch r.Kind {
	case persistence.KindRegistered:
		var m kithv1.Registered
		if err := proto.Unmarshal(r.Payload, &m); err != nil {
			return nil, err
		}
		uid, err := uidFromBytes(m.GetUid())
		return user.Registered{ID: r.User, UID: uid, Username: m.GetUsername(), Name: m.GetName(), Email: m.GetEmail(), At: at}, errors.Join(err, checkIDs(uint64(r.User)))
	case persistence.KindProfileUpdated:
		var m kithv1.ProfileUpdated
		err := proto.Unmarshal(r.Payload, &m)
		return user.ProfileUpdated{Name: m.GetName(), Picture: m.GetPicture(), Role: user.Role(m.GetRole()), Bio: m.GetBio(), Email: m.GetEmail(), At: at}, err
	case persistence.KindPreferencesSet:
		var m kithv1.PreferencesSet
		err := proto.Unmarshal(r.Payload, &m)
		return user.PreferencesSet{Preferences: preferencesFromProto(m.GetPreferences()), At: at}, err
	case persistence.KindPrivacySet:
		var m kithv1.PrivacySet
		err := proto.Unmarshal(r.Payload, &m)
		return user.PrivacySet{Privacy: privacyFromProto(m.GetPrivacy()), At: at}, err
	case persistence.KindFollowed:
		var m kithv1.Followed
		err := proto.Unmarshal(r.Payload, &m)
		return user.Followed{Target: user.ID(m.GetTarget()), At: at}, errors.Join(err, checkIDs(m.GetTarget()))
	case persistence.KindUnfollowed:
		var m kithv1.Unfollowed
		err := proto.Unmarshal(r.Payload, &m)
		return user.Unfollowed{Target: user.ID(m.GetTarget()), At: at}, errors.Join(err, checkIDs(m.GetTarget()))
	case persistence.KindCrewFollowed:
		var m kithv1.CrewFollowed
		err := proto.Unmarshal(r.Payload, &m)
		return user.CrewFollowed{Crew: m.GetCrew(), At: at}, errors.Join(err, checkPositive(m.GetCrew()))
	case persistence.KindCrewUnfollowed:
		var m kithv1.CrewUnfollowed
		err := proto.Unmarshal(r.Payload, &m)
		return user.CrewUnfollowed{Crew: m.GetCrew(), At: at}, errors.Join(err, checkPositive(m.GetCrew()))
	case persistence.KindStudioFollowed:
		var m kithv1.StudioFollowed
		err := proto.Unmarshal(r.Payload, &m)
		return user.StudioFollowed{Studio: m.GetStudio(), At: at}, errors.Join(err, checkPositive(m.GetStudio()))
	case persistence.KindStudioUnfollowed:
		var m kithv1.StudioUnfollowed
		err := proto.Unmarshal(r.Payload, &m)
		return user.StudioUnfollowed{Studio: m.GetStudio(), At: at}, errors.Join(err, checkPositive(m.GetStudio()))
	case persistence.KindActivityRecorded:
		var m kithv1.ActivityRecorded
		err := proto.Unmarshal(r.Payload, &m)
		a := activityFromProto(m.GetActivity())
		a.EventID = r.EventID
		return user.ActivityRecorded{Activity: a, At: at}, errors.Join(err, checkEventID(r.EventID), checkPositive(a.MovieID), checkMicros(m.GetActivity().GetOccurredAtUs()))
	case persistence.KindActivityErased:
		return user.ActivityErased{EventID: r.EventID, At: at}, checkEventID(r.EventID)
	case persistence.KindActivityDeleted:
		var m kithv1.ActivityDeleted
		err := proto.Unmarshal(r.Payload, &m)
		return user.ActivityDeleted{EventID: m.GetEventId(), At: at}, errors.Join(err, checkEventID(m.GetEventId()))
	case persistence.KindFollowerAdded:
		var m kithv1.FollowerAdded
		err := proto.Unmarshal(r.Payload, &m)
		err = errors.Join(err, checkIDs(m.GetSource(), m.GetPos()), checkLane(m.GetLane()), checkMicros(m.GetFollowedAtUs()))
		return user.FollowerAdded{Source: user.ID(m.GetSource()), Lane: uint8(m.GetLane()), Pos: m.GetPos(), FollowedAt: fromMicro(m.GetFollowedAtUs()), At: at}, err //nolint:gosec // checked above
	case persistence.KindFollowerRemoved:
		var m kithv1.FollowerRemoved
		err := proto.Unmarshal(r.Payload, &m)
		err = errors.Join(err, checkIDs(m.GetSource(), m.GetPos()), checkLane(m.GetLane()))
		return user.FollowerRemoved{Source: user.ID(m.GetSource()), Lane: uint8(m.GetLane()), Pos: m.GetPos(), At: at}, err //nolint:gosec // checked above
	case persistence.KindSevered:
		var m kithv1.Severed
		err := proto.Unmarshal(r.Payload, &m)
		return user.Severed{Gone: user.ID(m.GetGone()), At: at}, errors.Join(err, checkIDs(m.GetGone()))
	case persistence.KindContentCounted:
		var m kithv1.ContentCounted
		err := proto.Unmarshal(r.Payload, &m)
		id, ok := user.ContentID(r.EventID)
		if !ok {
			err = errors.Join(err, errors.New("the content id is missing"))
		}
		return user.ContentCounted{ID: id, Streams: m.GetStreams(), Videos: m.GetVideos(), At: at}, err
	case persistence.KindDeleted:
		return user.Deleted{At: at}, nil
	}
	return nil, errors.New("unknown kind")
}

// checkIDs refuses what is no id, or no position: both are dense from 1 and fit
// the signed integers of every database.
func checkIDs(ids ...uint64) error {
	for _, id := range ids {
		if id == 0 || id > math.MaxInt64 {
			return fmt.Errorf("%d is not from 1 to %d", id, math.MaxInt64)
		}
	}
	return nil
}

func checkPositive(id int64) error {
	if id <= 0 {
		return fmt.Errorf("%d is not positive", id)
	}
	return nil
}

func checkLane(lane uint32) error {
	if lane >= persistence.LaneCount {
		return fmt.Errorf("lane %d does not exist", lane)
	}
	return nil
}

func checkEventID(id string) error {
	if id == "" || !utf8.ValidString(id) {
		return errors.New("the event id is missing or no text")
	}
	return nil
}

// The first and the last microsecond of the years 1 to 9999, outside of which a
// time has no JSON.
const (
	minMicros = -62_135_596_800_000_000
	maxMicros = 253_402_300_799_999_999
)

func checkMicros(times ...int64) error {
	for _, us := range times {
		if us < minMicros || us > maxMicros {
			return fmt.Errorf("the time %d is not in a year of four digits", us)
		}
	}
	return nil
}

func uidFromBytes(b []byte) (user.UID, error) {
	var uid user.UID
	if len(b) != len(uid) {
		return uid, fmt.Errorf("uid has %d bytes, want %d", len(b), len(uid))
	}
	copy(uid[:], b)
	if uid.IsZero() {
		return uid, errors.New("uid is zero")
	}
	return uid, nil
}

// toMicro and fromMicro keep the zero time zero.
func toMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func privacyToProto(p user.Privacy) *kithv1.Privacy {
	return &kithv1.Privacy{Profile: p.Profile, WatchHistory: p.WatchHistory, Ratings: p.Ratings}
}

func privacyFromProto(m *kithv1.Privacy) user.Privacy {
	return user.Privacy{Profile: m.GetProfile(), WatchHistory: m.GetWatchHistory(), Ratings: m.GetRatings()}
}

func preferencesToProto(p user.Preferences) *kithv1.Preferences {
	return &kithv1.Preferences{FavGenres: p.FavGenres, AdultContent: p.AdultContent, Notifications: p.Notifications, Language: p.Language}
}

func preferencesFromProto(m *kithv1.Preferences) user.Preferences {
	p := user.Preferences{FavGenres: m.GetFavGenres(), AdultContent: m.GetAdultContent(), Notifications: m.GetNotifications(), Language: m.GetLanguage()}
	if p.FavGenres == nil {
		p.FavGenres = []int64{}
	}
	if p.Notifications == nil {
		p.Notifications = map[string]bool{}
	}
	return p
}

func activityToProto(a user.Activity) *kithv1.Activity {
	m := &kithv1.Activity{
		EventId: a.EventID, Type: string(a.Type), MovieId: a.MovieID, Review: a.Review, Details: a.Details,
		SessionId: a.SessionID, SourcePage: a.SourcePage, SourceSection: a.SourceSection, OccurredAtUs: toMicro(a.OccurredAt),
	}
	if a.HasRating {
		m.Rating = new(a.Rating)
	}
	return m
}

func activityFromProto(m *kithv1.Activity) user.Activity {
	a := user.Activity{
		EventID: m.GetEventId(), Type: user.ActivityType(m.GetType()), MovieID: m.GetMovieId(), Review: m.GetReview(),
		SessionID: m.GetSessionId(), SourcePage: m.GetSourcePage(), SourceSection: m.GetSourceSection(), OccurredAt: fromMicro(m.GetOccurredAtUs()),
		Rating: m.GetRating(), HasRating: m != nil && m.Rating != nil,
	}
	if len(m.GetDetails()) > 0 {
		a.Details = m.GetDetails()
	}
	return a
}
