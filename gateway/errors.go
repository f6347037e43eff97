package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/auth"
	"kith/persistence"
)

// refusal is an answer other than success: what a client is told, and nothing
// else. Handlers return one of these, or any error that the table knows.
type refusal struct {
	status  int
	code    string // stable snake_case, for programs
	message string // a sentence without a full stop, for people
	detail  string // what is wrong with the field, "" when the message says it
	field   string // of the request, "" when it is not about one

	retryAfter time.Duration // 0: no Retry-After
	challenge  string        // WWW-Authenticate, "" for none
	allow      string        // Allow, "" for none
	reasons    []string      // of a part that is not ready
}

// Error returns the code.
func (r *refusal) Error() string { return r.code }

// whole is the message and the detail, for where there is one text only.
func (r *refusal) whole() string {
	if r.detail == "" {
		return r.message
	}
	return r.message + ": " + r.detail
}

// retryLater is how long a client should wait when a queue is full or the
// database is away.
const retryLater = time.Second

// The challenges of RFC 6750: without a token, and for a token that is refused.
const (
	challengeNone    = `Bearer realm="kith"`
	challengeInvalid = `Bearer realm="kith", error="invalid_token"`
)

// The refusals of the edge itself, and what errors of the parts below become.
var (
	errNotFound             = &refusal{status: http.StatusNotFound, code: "not_found", message: "Not found"}
	errNoToken              = &refusal{status: http.StatusUnauthorized, code: "unauthorized", message: "Missing or invalid authentication token", challenge: challengeNone}
	errBadToken             = &refusal{status: http.StatusUnauthorized, code: "unauthorized", message: "Missing or invalid authentication token", challenge: challengeInvalid}
	errCredentials          = &refusal{status: http.StatusUnauthorized, code: "invalid_credentials", message: "Invalid username or password", challenge: challengeNone}
	errRefresh              = &refusal{status: http.StatusUnauthorized, code: "invalid_refresh_token", message: "Invalid refresh token", challenge: challengeNone}
	errNotOwnAccount        = &refusal{status: http.StatusForbidden, code: "not_own_account", message: "You can only delete your own account"}
	errPrivate              = &refusal{status: http.StatusForbidden, code: "profile_private", message: "This profile is private"}
	errUserNotFound         = &refusal{status: http.StatusNotFound, code: "user_not_found", message: "User not found"}
	errUsernameRequired     = &refusal{status: http.StatusBadRequest, code: "username_required", message: "Username is required", field: "username"}
	errUsernameReserved     = &refusal{status: http.StatusConflict, code: "username_reserved", message: "Username is reserved", field: "username"}
	errUsernameTaken        = &refusal{status: http.StatusConflict, code: "username_taken", message: "Username already exists", field: "username"}
	errEmailTaken           = &refusal{status: http.StatusConflict, code: "email_taken", message: "Email already in use", field: "email"}
	errIdentityTaken        = &refusal{status: http.StatusConflict, code: "identity_taken", message: "Identity already has a user"}
	errLimit                = &refusal{status: http.StatusBadRequest, code: "invalid_limit", message: "Limit must be from 1 to 100", field: "limit"}
	errCursor               = &refusal{status: http.StatusBadRequest, code: "invalid_cursor", message: "Invalid cursor", field: "cursor"}
	errSeed                 = &refusal{status: http.StatusBadRequest, code: "invalid_seed", message: "Seed must be text of at most 128 characters", field: "seed"}
	errQuestion             = &refusal{status: http.StatusBadRequest, code: "invalid_q", message: "Query must be text of at most 256 characters", field: "q"}
	errQuestionRequired     = &refusal{status: http.StatusBadRequest, code: "q_required", message: "Query is required", field: "q"}
	errTooManyNames         = &refusal{status: http.StatusBadRequest, code: "too_many_usernames", message: "At most 100 usernames are allowed", field: "username"}
	errPhotoNotFound        = &refusal{status: http.StatusNotFound, code: "photo_not_found", message: "Photo not found"}
	errPhotoType            = &refusal{status: http.StatusBadRequest, code: "invalid_content_type", message: "Content type must be image/jpeg, image/png or image/webp", field: "content_type"}
	errPhotoTooLarge        = &refusal{status: http.StatusRequestEntityTooLarge, code: "photo_too_large", message: "Photo must be at most 5 MiB"}
	errUpload               = &refusal{status: http.StatusForbidden, code: "upload_forbidden", message: "The upload URL is expired or not valid"}
	errRange                = &refusal{status: http.StatusRequestedRangeNotSatisfiable, code: "range_not_satisfiable", message: "Range not satisfiable"}
	errBatchSize            = &refusal{status: http.StatusBadRequest, code: "invalid_events", message: "Events must be 1 to 500", field: "events"}
	errEventType            = &refusal{status: http.StatusBadRequest, code: "invalid_type", message: "Type must be view, rating, watchlist_add, watchlist_remove or review", field: "type"}
	errMovieID              = &refusal{status: http.StatusBadRequest, code: "invalid_movie_id", message: "Movie id must be a positive 64-bit integer", field: "movie_id"}
	errNotificationID       = &refusal{status: http.StatusBadRequest, code: "invalid_id", message: "Id must be that of one of your notifications", field: "id"}
	errNotificationNotFound = &refusal{status: http.StatusNotFound, code: "notification_not_found", message: "Notification not found"}
	errQuery                = &refusal{status: http.StatusBadRequest, code: "invalid_query", message: "Invalid query string"}
	errBodyTooLarge         = &refusal{status: http.StatusRequestEntityTooLarge, code: "body_too_large", message: "Request body too large"}
	errMediaType            = &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "Content type must be application/json"}
	errPatchType            = &refusal{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "Content type must be application/json or application/merge-patch+json"}
	errTimeout              = &refusal{status: http.StatusRequestTimeout, code: "request_timeout", message: "Request took too long to arrive"}
	errNotReady             = &refusal{status: http.StatusServiceUnavailable, code: "not_ready", message: "Not ready", retryAfter: retryLater, reasons: []string{"the database does not take writes"}}
	errInternal             = &refusal{status: http.StatusInternalServerError, code: "internal_error", message: "Internal server error"}
	errBusy                 = &refusal{status: http.StatusServiceUnavailable, code: "busy", message: "Too busy, try again", retryAfter: retryLater}
	errUnavailable          = &refusal{status: http.StatusServiceUnavailable, code: "unavailable", message: "Temporarily unavailable, try again", retryAfter: retryLater}
	errOutcomeUnknown       = &refusal{status: http.StatusServiceUnavailable, code: "outcome_unknown", message: "The outcome is not known, try again", retryAfter: retryLater}
	// errClientGone is seen by metrics and logs only.
	errClientGone = &refusal{status: 499, code: "client_closed_request", message: "Client closed request"}
)

// known is the one table from the errors of the parts below to answers. Errors
// that carry more than their identity (names taken, invalid input) are in judge.
// What is not known is a 500.
var known = []struct { //nolint:gochecknoglobals // a table of constants
	err     error
	refusal *refusal
}{
	{user.ErrNotRegistered, errUserNotFound},
	{user.ErrDeleted, errUserNotFound},
	{user.ErrSelfFollow, &refusal{status: http.StatusUnprocessableEntity, code: "self_follow", message: "You cannot follow yourself"}},
	{user.ErrTooManyFollowed, &refusal{status: http.StatusUnprocessableEntity, code: "too_many_followed", message: "You cannot follow more than " + strconv.Itoa(user.MaxFollowed)}},
	{user.ErrEventNotFound, &refusal{status: http.StatusNotFound, code: "event_not_found", message: "Event not found"}},
	{user.ErrEventDeleted, &refusal{status: http.StatusConflict, code: "event_deleted", message: "Event was deleted"}},
	{usergrain.ErrBusy, errBusy},
	{usergrain.ErrOutcomeUnknown, errOutcomeUnknown},
	{usergrain.ErrUnavailable, errUnavailable},
	{persistence.ErrAway, errUnavailable},
	{persistence.ErrUpload, errUpload},
	{persistence.ErrTooLarge, errPhotoTooLarge},
	{persistence.ErrNotPhoto, &refusal{status: http.StatusUnsupportedMediaType, code: "not_a_photo", message: "The bytes are not such an image"}},
	{persistence.ErrBusy, errBusy},
	{auth.ErrBusy, errBusy},
	{auth.ErrToken, errBadToken},
	{auth.ErrProvider, errUnavailable},
	{context.DeadlineExceeded, errUnavailable},
}

// judge returns what a client is told about err. A client that went away is told
// nothing.
func judge(ctx context.Context, err error) *refusal {
	var (
		r       *refusal
		invalid *user.InvalidError
		taken   *persistence.TakenError
	)
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &invalid):
		return &refusal{status: http.StatusBadRequest, code: "invalid_" + codeOf(invalid.Field), message: invalid.Message, field: invalid.Field}
	case errors.As(err, &taken):
		switch taken.Claim.Kind {
		case persistence.ClaimUsername:
			return errUsernameTaken
		case persistence.ClaimEmail:
			return errEmailTaken
		case persistence.ClaimIdentity:
			return errIdentityTaken
		}
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			return k.refusal
		}
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errClientGone
	}
	return errInternal
}

// codeOf makes a field's name part of a code: context.source_page becomes
// context_source_page.
func codeOf(field string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, field)
}

// failure is a refusal as it is written: the envelope, or with problem RFC 9457.
// Its fields are the schema of the API description.
type failure struct {
	Status    string   `json:"status" enum:"error"`
	Message   string   `json:"message" doc:"For people"`
	Code      string   `json:"code" doc:"For programs: stable" example:"username_taken"`
	RequestID string   `json:"request_id" doc:"Names this request in the log of the server"`
	Field     string   `json:"field,omitempty" doc:"The field of the request that the error is about"`
	Detail    string   `json:"detail,omitempty" doc:"What is wrong with the field, where the message does not say it"`
	Reasons   []string `json:"reasons,omitempty" nullable:"false" doc:"What is not ready"`

	refusal *refusal
	problem bool
}

// Error implements error.
func (f *failure) Error() string { return f.Code }

// GetStatus implements huma.StatusError.
func (f *failure) GetStatus() int { return f.refusal.status }

// GetHeaders implements huma.HeadersError.
func (f *failure) GetHeaders() http.Header {
	h := make(http.Header, 1)
	if f.refusal.challenge != "" {
		h.Set("WWW-Authenticate", f.refusal.challenge)
	}
	if f.refusal.allow != "" {
		h.Set("Allow", f.refusal.allow)
	}
	if wait := f.refusal.retryAfter; wait > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (f *failure) ContentType(string) string {
	if f.problem {
		return contentProblem
	}
	return contentJSON
}

func (f *failure) appendJSON(b []byte) []byte {
	if f.problem {
		b = append(b, `{"type":"about:blank","title":`...)
		b = appendString(b, http.StatusText(f.refusal.status))
		b = append(b, `,"status":`...)
		b = strconv.AppendInt(b, int64(f.refusal.status), 10)
		b = append(b, `,"detail":`...)
	} else {
		b = append(b, `{"status":"error","message":`...)
	}
	if f.problem {
		b = appendString(b, f.refusal.whole())
	} else {
		b = appendString(b, f.Message)
	}
	b = append(b, `,"code":`...)
	b = appendString(b, f.Code)
	b = append(b, `,"request_id":`...)
	b = appendString(b, f.RequestID)
	if f.Field != "" {
		b = append(b, `,"field":`...)
		b = appendString(b, f.Field)
	}
	if f.Detail != "" && !f.problem {
		b = append(b, `,"detail":`...)
		b = appendString(b, f.Detail)
	}
	if len(f.Reasons) > 0 {
		b = append(b, `,"reasons":`...)
		b = appendStrings(b, f.Reasons)
	}
	return append(b, '}')
}

// fail judges err for the client of a request. What is our fault goes to the log;
// the client gets the request id to name it by.
func (s *Server) fail(ctx context.Context, err error) *failure {
	x := exchangeOf(ctx)
	r := judge(ctx, err)
	switch {
	case r == errInternal:
		s.cfg.Logger.LogAttrs(ctx, levelFault, "request failed", x.attrs(err)...)
	case r.status == http.StatusServiceUnavailable && r.reasons == nil && r != errBusy: // busy is for the metrics: a line each would make it busier
		s.logUnserved(ctx, err)
	}
	return newFailure(x, r)
}

// unservedEvery is how often requests that could not be served are told of: while a
// database is away they are as many as clients can send.
const unservedEvery = time.Second

// logUnserved logs one such request in a while, with how many came before it that
// are not in the log.
func (s *Server) logUnserved(ctx context.Context, err error) {
	now, last := s.cfg.Now().UnixNano(), s.unservedAt.Load()
	if now-last < int64(unservedEvery) || !s.unservedAt.CompareAndSwap(last, now) {
		s.unserved.Add(1)
		return
	}
	s.cfg.Logger.LogAttrs(ctx, levelRefused, "request could not be served", append(exchangeOf(ctx).attrs(err), slog.Int64("not_logged", s.unserved.Swap(0)))...)
}

func newFailure(x *exchange, r *refusal) *failure {
	return &failure{
		Status: "error", Message: r.message, Code: r.code, RequestID: x.id, Field: r.field, Detail: r.detail, Reasons: r.reasons,
		refusal: r, problem: prefersProblem(x.r.Header["Accept"]),
	}
}

// refuse answers err where no huma operation runs.
func (s *Server) refuse(ctx context.Context, err error) { exchangeOf(ctx).write(s.fail(ctx, err)) }

func (x *exchange) write(f *failure) {
	h := x.w.Header()
	maps.Copy(h, f.GetHeaders())
	h.Set("Content-Type", f.ContentType(""))
	x.w.WriteHeader(f.GetStatus())
	writeJSON(&x.w, f)
}
