package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// What ends a Stream: the same request would be refused again.
var (
	// ErrUnauthorized: the token is not accepted.
	ErrUnauthorized = errors.New("the token is not accepted")
	// ErrTokenExpired: the token was good, and its time is over.
	ErrTokenExpired = errors.New("the token has expired")
	// ErrSessionEnded: somebody logged out, or the account was deleted.
	ErrSessionEnded = errors.New("the session has ended")
	// ErrRejected: the server does not take what the client says.
	ErrRejected = errors.New("the server refuses the stream")
	// ErrNoStream: what answers at the URL is no kith. It is an ErrRejected, too.
	ErrNoStream = errors.New("there is no live stream at this URL")
)

// What a Stream survives, as its Lost is told.
var (
	// ErrTooSlow: the user of the stream took frames too slowly. They come again.
	ErrTooSlow = errors.New("too slow, the server did not wait")
	// ErrTooMany: the user has as many sockets as one may have.
	ErrTooMany = errors.New("the account has too many connections")
	// ErrGoingAway: the server stops or starts again.
	ErrGoingAway = errors.New("the server is going away")
	// ErrSilent: nothing came for so long that the connection must be dead.
	ErrSilent = errors.New("the connection is dead")
)

// The close codes of the protocol.
const (
	codeUnauthorized websocket.StatusCode = 4001
	codeTokenExpired websocket.StatusCode = 4002
	codeSessionEnded websocket.StatusCode = 4003
	codeMalformed    websocket.StatusCode = 4004
	codeTooSlow      websocket.StatusCode = 4008
	codeTooMany      websocket.StatusCode = 4009
)

// final reports whether connecting again cannot help.
func final(err error) bool {
	return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrTokenExpired) || errors.Is(err, ErrSessionEnded) || errors.Is(err, ErrRejected)
}

// closed says why a connection ended, in words of this package where there are
// some.
func closed(err error) error {
	var frame websocket.CloseError
	if !errors.As(err, &frame) {
		// The library says at each step where it was; the first cause says all.
		for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(err) {
			err = cause
		}
		return fmt.Errorf("the connection broke: %w", err)
	}
	known, ok := map[websocket.StatusCode]error{
		websocket.StatusGoingAway: ErrGoingAway,
		codeUnauthorized:          ErrUnauthorized,
		codeTokenExpired:          ErrTokenExpired,
		codeSessionEnded:          ErrSessionEnded,
		codeMalformed:             ErrRejected,
		codeTooSlow:               ErrTooSlow,
		codeTooMany:               ErrTooMany,
	}[frame.Code]
	if !ok {
		return fmt.Errorf("the server closed the connection: %w", err)
	}
	if frame.Reason == "" {
		return known
	}
	return fmt.Errorf("%w (%s)", known, frame.Reason)
}

// statusError says why there is no connection.
type statusError struct {
	status  int
	message string
	wait    time.Duration // that the server asks for; 0: it does not say
}

func (r *statusError) Error() string {
	answer := fmt.Sprintf("the server answered %d %s", r.status, r.message)
	for _, known := range []error{ErrUnauthorized, ErrNoStream} {
		if r.Is(known) {
			return fmt.Sprintf("%s (%s)", known, answer)
		}
	}
	return answer
}

// Is implements errors.Is: other statuses than these pass.
func (r *statusError) Is(target error) bool {
	switch target {
	case ErrUnauthorized:
		return r.status == http.StatusUnauthorized
	case ErrRejected:
		return r.status < http.StatusInternalServerError && r.status != http.StatusUnauthorized &&
			r.status != http.StatusTooManyRequests && r.status != http.StatusRequestTimeout
	case ErrNoStream:
		return r.status < http.StatusBadRequest || r.status == http.StatusNotFound || r.status == http.StatusMethodNotAllowed
	}
	return false
}

// undialled is the error of a Dial, with what the server answered if it did.
func undialled(response *http.Response, err error) error {
	if response == nil {
		// The library and net/http both say what was tried.
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return fmt.Errorf("the server cannot be reached: %w", err)
	}
	r := &statusError{status: response.StatusCode, message: http.StatusText(response.StatusCode)}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		r.wait = time.Duration(seconds) * time.Second
	}
	var body struct {
		Message string `json:"message"`
	}
	// Some other server than ours answers something else.
	if b, err := io.ReadAll(response.Body); err == nil && json.Unmarshal(b, &body) == nil && body.Message != "" {
		r.message = body.Message
	}
	return r
}
