package usergrain

import "errors"

// Failures of a call to a grain. Refusals (user.Refusal, *user.InvalidError) and
// taken claims (*persistence.TakenError) are not failures and come back as they
// are.
var (
	// ErrBusy: a queue on the way is full, or the activation moved too often.
	// Nothing was recorded; try again a little later.
	ErrBusy = errors.New("usergrain: busy")
	// ErrUnavailable: the database cannot be written. Nothing was recorded.
	ErrUnavailable = errors.New("usergrain: unavailable")
	// ErrOutcomeUnknown: the database did not say whether it committed. Commands
	// may be sent again safely.
	ErrOutcomeUnknown = errors.New("usergrain: outcome unknown")
	// ErrBroken: the user's stored history cannot be read, so this grain does not
	// start. The others are unaffected; the log says what is wrong with it.
	ErrBroken = errors.New("usergrain: history cannot be read")

	// errClaimMissing: a claim that the caller took was swept before its turn
	// came. Nothing was recorded; the caller takes it again.
	errClaimMissing = errors.New("usergrain: a claim is missing")
)

// Reasons of the error responses of a grain, apart from refusals, whose reason
// is their code.
const (
	reasonInvalid = "KITH_INVALID"
	metadataField = "field"
)

// failures are the sentinels that cross between nodes, by reason.
func failures() map[string]error {
	return map[string]error{
		"KITH_BUSY":            ErrBusy,
		"KITH_UNAVAILABLE":     ErrUnavailable,
		"KITH_OUTCOME_UNKNOWN": ErrOutcomeUnknown,
		"KITH_BROKEN":          ErrBroken,
		"KITH_CLAIM_MISSING":   errClaimMissing,
	}
}
