package persistence

import (
	"context"
	"errors"
	"time"

	"kith/actors/user"
)

// ClaimKind is a namespace of unique values.
type ClaimKind uint8

// The kinds of claims. The numbers are stored.
const (
	ClaimUsername ClaimKind = 1
	ClaimEmail    ClaimKind = 2 // lower-cased
	ClaimIdentity ClaimKind = 3 // issuer and subject of an outside provider
)

// Claim is a value that at most one user may bear.
type Claim struct {
	Kind  ClaimKind
	Value string
}

// ErrTaken is matched by every TakenError.
var ErrTaken = errors.New("persistence: taken")

// TakenError says which claim is held by someone else.
type TakenError struct{ Claim Claim }

// Error does not name the value, which may be personal.
func (e *TakenError) Error() string { return ErrTaken.Error() }

// Is matches ErrTaken.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// Directory finds users and keeps what is unique among them. What it returns is
// committed.
type Directory interface {
	// NextIDs hands out n ids never handed out before and returns the first.
	// Ids that are not used are lost, which is harmless.
	NextIDs(ctx context.Context, n int) (first user.ID, err error)

	// Accounts returns the rows of ids, in their order; nil where there is none.
	Accounts(ctx context.Context, ids []user.ID) ([]*user.Account, error)
	// ByUsername returns the row that bears the normalised name, or ErrNotFound.
	ByUsername(ctx context.Context, username string) (*user.Account, error)
	// ByUID returns the row with this uid, or ErrNotFound.
	ByUID(ctx context.Context, uid user.UID) (*user.Account, error)

	// Claim takes all claims for id in one transaction, or none: the error is a
	// *TakenError when someone else holds one. Claims that id holds already are
	// satisfied, so that it may be sent again.
	Claim(ctx context.Context, id user.ID, claims []Claim) error
	// Release gives claims of id up, except those whose value id's row bears. No
	// claims given means all of id's. Where an engine is told of a quarantine, the
	// name of a deleted user stays claimed until it is over.
	Release(ctx context.Context, id user.ID, claims []Claim) error
	// SweepClaims gives up claims taken before the given time whose user's row
	// does not bear the value, at most limit a call, and returns how many.
	SweepClaims(ctx context.Context, before time.Time, limit int) (int, error)
	// ClaimHolder returns who holds a claim, or ErrNotFound.
	ClaimHolder(ctx context.Context, claim Claim) (user.ID, error)
}
