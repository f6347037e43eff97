package usergrain

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"kith/actors/user"
	kithv1 "kith/proto/kith/v1"
)

// snapshotFormat is raised when an older binary's snapshot would be misread;
// those are then ignored and the journal is replayed.
const snapshotFormat = 1

// EncodeSnapshot returns the stored form of a state between turns.
func EncodeSnapshot(s *user.State) ([]byte, error) {
	m := &kithv1.Snapshot{
		Format: snapshotFormat, Id: uint64(s.ID), Uid: s.UID[:], Version: s.Version,
		Username: s.Username, Name: s.Name, Email: s.Email, Bio: s.Bio, Picture: s.Picture, Role: string(s.Role),
		Privacy: privacyToProto(s.Privacy), Deleted: s.Deleted,
		Streams: s.Streams, Videos: s.Videos,
		CreatedAtUs: toMicro(s.CreatedAt), UpdatedAtUs: toMicro(s.UpdatedAt), LastAtUs: toMicro(s.LastAt),
		Following: s.Following.Encode(), Followers: s.Followers.Encode(), Crew: s.Crew.Encode(), Studios: s.Studios.Encode(),
	}
	if s.Preferences != nil {
		m.Preferences = preferencesToProto(*s.Preferences)
	}
	for _, a := range s.Applied {
		m.Applied = append(m.Applied, &kithv1.LaneMark{Lane: uint32(a.Lane()), Pos: a.Pos()})
	}
	for _, r := range s.Recent {
		m.Recent = append(m.Recent, &kithv1.RecentEvent{Id: r.ID, Erased: r.Erased})
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot of user %d: %w", s.ID, err)
	}
	return b, nil
}

// DecodeSnapshot is the inverse of EncodeSnapshot. Bytes that no EncodeSnapshot
// wrote are an error, never a panic.
func DecodeSnapshot(b []byte) (user.State, error) {
	var m kithv1.Snapshot
	if err := proto.Unmarshal(b, &m); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: %w", err)
	}
	if m.GetFormat() != snapshotFormat {
		return user.State{}, fmt.Errorf("decode snapshot: format %d is not %d", m.GetFormat(), snapshotFormat)
	}
	uid, err := uidFromBytes(m.GetUid())
	if err = errors.Join(err, checkSnapshot(&m)); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: %w", err)
	}
	s := user.State{
		ID: user.ID(m.GetId()), UID: uid, Version: m.GetVersion(),
		Username: m.GetUsername(), Name: m.GetName(), Email: m.GetEmail(), Bio: m.GetBio(), Picture: m.GetPicture(), Role: user.Role(m.GetRole()),
		Privacy: privacyFromProto(m.GetPrivacy()), Deleted: m.GetDeleted(), Streams: m.GetStreams(), Videos: m.GetVideos(),
		CreatedAt: fromMicro(m.GetCreatedAtUs()), UpdatedAt: fromMicro(m.GetUpdatedAtUs()), LastAt: fromMicro(m.GetLastAtUs()),
	}
	if m.GetPreferences() != nil {
		p := preferencesFromProto(m.GetPreferences())
		s.Preferences = &p
	}
	if s.Following, err = user.DecodeSet[user.ID](m.GetFollowing()); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: following: %w", err)
	}
	if s.Followers, err = user.DecodeSet[user.ID](m.GetFollowers()); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: followers: %w", err)
	}
	if s.Crew, err = user.DecodeSet[int64](m.GetCrew()); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: crew: %w", err)
	}
	if s.Studios, err = user.DecodeSet[int64](m.GetStudios()); err != nil {
		return user.State{}, fmt.Errorf("decode snapshot: studios: %w", err)
	}
	if n := len(m.GetApplied()); n > 0 {
		s.Applied = make([]user.LaneMark, 0, n)
	}
	for _, a := range m.GetApplied() {
		s.Applied = append(s.Applied, user.NewLaneMark(uint8(a.GetLane()), a.GetPos())) //nolint:gosec // checkSnapshot has seen it
	}
	for _, r := range m.GetRecent() {
		s.Recent = append(s.Recent, user.RecentEvent{ID: r.GetId(), Erased: r.GetErased()})
	}
	return s, nil
}

// checkSnapshot refuses what would break a state that is made from m.
func checkSnapshot(m *kithv1.Snapshot) error {
	if err := errors.Join(checkIDs(m.GetId(), m.GetVersion()), checkMicros(m.GetCreatedAtUs(), m.GetUpdatedAtUs(), m.GetLastAtUs())); err != nil {
		return err
	}
	if m.GetUpdatedAtUs() > m.GetLastAtUs() {
		return errors.New("changed after its newest record")
	}
	next := uint32(0)
	for _, a := range m.GetApplied() {
		if err := errors.Join(checkLane(a.GetLane()), checkIDs(a.GetPos())); err != nil {
			return err
		}
		if a.GetLane() < next {
			return errors.New("lanes out of order")
		}
		next = a.GetLane() + 1
	}
	if len(m.GetRecent()) > user.MaxRecent {
		return fmt.Errorf("%d recent event ids", len(m.GetRecent()))
	}
	for _, r := range m.GetRecent() {
		if err := checkEventID(r.GetId()); err != nil {
			return err
		}
	}
	return nil
}
