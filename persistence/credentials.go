package persistence

import (
	"context"
	"time"

	"kith/actors/user"
)

// MaxRotations bounds Session.Rotations.
const MaxRotations = 8

// Session is a login. Its refresh tokens are not kept: they are signed, and name
// the session and a generation of it.
type Session struct {
	ID   [16]byte
	User user.ID
	// Generation is how often the refresh token was rotated.
	Generation uint32
	// Rotations are when the newest generations before this one were replaced,
	// oldest first: the last is when Generation began. At most MaxRotations.
	Rotations []time.Time
	CreatedAt time.Time
	ExpiresAt time.Time // of the refresh token
	// AccessUntil is until when an access token of the session may be good.
	AccessUntil time.Time
}

// Replaced returns when a generation before the current one was replaced, and
// whether that is still known.
func (s *Session) Replaced(generation uint32) (at time.Time, known bool) {
	if generation >= s.Generation {
		return time.Time{}, false
	}
	i := len(s.Rotations) - int(s.Generation-generation)
	if i < 0 {
		return time.Time{}, false
	}
	return s.Rotations[i], true
}

// Rotation replaces the generation From of a session by the next.
type Rotation struct {
	ID          [16]byte
	From        uint32
	At          time.Time
	ExpiresAt   time.Time
	AccessUntil time.Time
}

// SessionEnd says which sessions end.
type SessionEnd struct {
	ID    [16]byte  // always; it need not be stored
	AllOf user.ID   // with it all sessions of this user, unless 0
	Until time.Time // at least so long an access token of theirs may be good
}

// EndedSession is a session whose access tokens are refused although they have
// not expired.
type EndedSession struct {
	ID    [16]byte
	Until time.Time // until when one of them may live; after that it is forgotten
}

// Credentials keeps what proves who somebody is. Rows of a user go with the
// user, in the transaction of the deletion, which does not enter the list of
// ended sessions.
type Credentials interface {
	// PasswordHash returns the stored hash of a user's password, or ErrNotFound.
	PasswordHash(ctx context.Context, id user.ID) (string, error)

	// CreateSession stores a session of a user whose row exists, else ErrNotFound.
	CreateSession(ctx context.Context, s Session) error
	// Session returns a session, also one that has expired, or ErrNotFound.
	Session(ctx context.Context, id [16]byte) (Session, error)
	// RotateSession rotates a session if it is at the generation From. It returns
	// the session as it is afterwards, and whether it was rotated; or ErrNotFound.
	// Of many at once that rotate one generation, one does.
	RotateSession(ctx context.Context, r Rotation) (s Session, rotated bool, err error)

	// EndSessions removes sessions and puts them on the list of ended ones, in one
	// transaction, and returns them as they are there. The session of e.ID is put
	// on the list also when it is not stored: its access tokens may outlive it. It
	// may be sent again.
	EndSessions(ctx context.Context, e SessionEnd) ([]EndedSession, error)
	// EndedSessions returns up to limit entries of the list behind a cursor, and
	// the cursor behind them; 0 is the beginning. None is ever added before a
	// cursor that was handed out.
	EndedSessions(ctx context.Context, after uint64, limit int) (ended []EndedSession, next uint64, err error)
	// SweepSessions removes sessions that have expired and entries of the list
	// whose access tokens have, as of now; up to limit of each a call. It returns
	// how many it removed.
	SweepSessions(ctx context.Context, now time.Time, limit int) (int, error)
}
