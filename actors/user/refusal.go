package user

// Refusal says why a command was refused. Refusals are constants, compared with
// errors.Is; their text is a stable code that crosses between nodes and reaches
// clients. The edge maps each to a status and a message.
type Refusal string //nolint:errname // a refusal is an expected answer, and the word of the design

// Error returns the code.
func (r Refusal) Error() string { return string(r) }

// The refusals of Decide.
const (
	ErrNotRegistered     = Refusal("user_not_found")     // no such user yet
	ErrDeleted           = Refusal("user_deleted")       // the account is a tombstone
	ErrAlreadyRegistered = Refusal("already_registered") // the id bears another user
	ErrSelfFollow        = Refusal("self_follow")        // one cannot follow oneself
	ErrTooManyFollowed   = Refusal("too_many_followed")  // crew or studios: MaxFollowed reached
	ErrEventNotFound     = Refusal("event_not_found")    // nothing to delete
	ErrEventDeleted      = Refusal("event_deleted")      // the event id was recorded and deleted
	ErrAlreadyRecorded   = Refusal("event_recorded")     // the event id was recorded before
)

// MaxFollowed bounds the crew members, and likewise the studios, that one user
// follows.
const MaxFollowed = 10_000

// InvalidError says that input breaks a rule. Message is shown to clients as it
// stands.
type InvalidError struct {
	Field   string // as the client names it: "username"
	Message string // a sentence without a full stop
}

// Error returns field and message.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }
