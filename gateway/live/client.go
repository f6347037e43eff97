package live

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxClientFrame is how long a frame of a client may be, in bytes.
const MaxClientFrame = 4 << 10

// ClientType is the type of a client frame.
type ClientType string

// The types of client frames.
const (
	ClientPing    ClientType = "ping"
	ClientAuth    ClientType = "auth"
	ClientWatch   ClientType = "watch"
	ClientUnwatch ClientType = "unwatch"
	ClientCursor  ClientType = "cursor"
)

// ClientFrame is what a client says. Of the fields only those of its type are set.
type ClientFrame struct {
	Type     ClientType
	Token    string // of auth
	Cursor   string // of auth, "" when there was none
	Username string // of watch and unwatch, as it was written
}

// ErrMalformed is what a frame is that is not one JSON object of at most
// MaxClientFrame bytes: the socket is closed with CloseMalformed.
var ErrMalformed = errors.New("live: not one JSON object of at most 4 KiB")

// RefusedError is why a well-formed frame is answered with an error frame.
type RefusedError struct{ Code, Message string }

// Codes of error frames.
const (
	CodeUnknownType    = "unknown_type"
	CodeBadField       = "bad_field"
	CodeBadCursor      = "bad_cursor"
	CodeUnauthorised   = "unauthorized"
	CodeUserNotFound   = "user_not_found"
	CodeTooManyWatches = "too_many_watches"
	CodeUnavailable    = "unavailable"
)

// Error says why.
func (e *RefusedError) Error() string { return "live: " + e.Code + ": " + e.Message }

// Frame returns the error frame of e.
func (e *RefusedError) Frame() *Frame { return ErrorFrame(e.Code, e.Message) }

func badField(name, why string) error {
	return &RefusedError{Code: CodeBadField, Message: fmt.Sprintf("field %q %s", name, why)}
}

// maxShownName keeps what a client made up from coming back whole.
const maxShownName = 32

func shown(name string) string {
	if len(name) > maxShownName {
		return strings.ToValidUTF8(name[:maxShownName], "") + "…"
	}
	return name
}

// ParseClientFrame reads a text frame. The error is ErrMalformed or a
// *RefusedError. A field that its type does not have, one twice and one that is
// not a string are bad: nothing that a client says is passed over in silence.
func ParseClientFrame(b []byte) (ClientFrame, error) {
	if len(b) > MaxClientFrame || !utf8.Valid(b) || !json.Valid(b) {
		return ClientFrame{}, ErrMalformed
	}
	if b = bytes.TrimLeft(b, " \t\r\n"); b[0] != '{' {
		return ClientFrame{}, ErrMalformed
	}
	names, values, err := fieldsOf(b)
	if err != nil {
		return ClientFrame{}, err
	}
	kind, there := values["type"]
	if !there {
		return ClientFrame{}, badField("type", "is missing")
	}
	f := ClientFrame{Type: ClientType(kind)}
	allowed, required, known := f.fields()
	if !known {
		return ClientFrame{}, &RefusedError{Code: CodeUnknownType, Message: "no such type of frame"}
	}
	for _, name := range names {
		field := allowed[name]
		switch {
		case name == "type":
		case field == nil:
			return ClientFrame{}, badField(shown(name), "does not belong to this type of frame")
		case values[name] == "":
			return ClientFrame{}, badField(name, "is empty")
		default:
			*field = values[name]
		}
	}
	if required != "" && values[required] == "" {
		return ClientFrame{}, badField(required, "is missing")
	}
	return f, nil
}

// fields returns where the fields of f's type go, and which of them must be there.
func (f *ClientFrame) fields() (allowed map[string]*string, required string, known bool) {
	switch f.Type {
	case ClientPing, ClientCursor:
		return nil, "", true
	case ClientAuth:
		return map[string]*string{"token": &f.Token, "cursor": &f.Cursor}, "token", true
	case ClientWatch, ClientUnwatch:
		return map[string]*string{"username": &f.Username}, "username", true
	}
	return nil, "", false
}

// fieldsOf returns the fields of a valid object in their order.
func fieldsOf(object []byte) (names []string, values map[string]string, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil { // the brace
		return nil, nil, ErrMalformed
	}
	values = make(map[string]string)
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, nil, ErrMalformed
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, nil, ErrMalformed
		}
		if _, twice := values[name]; twice {
			return nil, nil, badField(shown(name), "is there twice")
		}
		var value string
		if raw[0] != '"' || json.Unmarshal(raw, &value) != nil {
			return nil, nil, badField(shown(name), "is not a string")
		}
		names, values[name] = append(names, name), value
	}
	return names, values, nil
}
