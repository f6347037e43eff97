package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/persistence"
)

const (
	contentJSON    = "application/json"
	contentPatch   = "application/merge-patch+json"
	contentProblem = "application/problem+json"
)

// answer is a body that writes itself. Every success is an envelope whose first
// field is success; user objects are the bytes that the card holds.
type answer interface {
	appendJSON(b []byte) []byte
}

// buffers holds the buffers of answers. A large list does not stay.
var buffers = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // a pool is shared by its nature

const maxPooledBuffer = 64 << 10

// writeJSON writes a in one Write. An error means that the client is gone: the
// server finds that out by itself.
func writeJSON(w io.Writer, a answer) {
	buf, _ := buffers.Get().(*[]byte)
	b := append(a.appendJSON((*buf)[:0]), '\n')
	_, _ = w.Write(b)
	if cap(b) <= maxPooledBuffer {
		*buf = b
		buffers.Put(buf)
	}
}

// success is the status field of every answer that is not an error.
type success struct{}

// Schema implements huma.SchemaProvider.
func (success) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"success"}}
}

// MarshalJSON implements json.Marshaler.
func (success) MarshalJSON() ([]byte, error) { return []byte(`"success"`), nil }

const openSuccess = `{"status":"success"`

// card is a user object in an answer.
type card struct{ *persistence.CachedCard }

// Schema implements huma.SchemaProvider.
func (card) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[userObject](), true, "User")
}

// MarshalJSON implements json.Marshaler.
func (c card) MarshalJSON() ([]byte, error) { return c.JSON, nil }

// userObject describes the JSON of a card.
type userObject struct {
	ID        int64     `json:"id" minimum:"1" doc:"Internal number"`
	UID       string    `json:"uid" pattern:"^[0-9a-f]{32}$" doc:"The user's identity, for ever"`
	Username  string    `json:"username" pattern:"^[a-z0-9_]{3,30}$"`
	Name      string    `json:"name" minLength:"1" maxLength:"29"`
	Role      string    `json:"role" enum:"user,creator,admin"`
	Picture   string    `json:"profile_picture" doc:"Empty, an http(s) URL, or the path of an upload"`
	Followers int64     `json:"followers" minimum:"0"`
	Following int64     `json:"following" minimum:"0"`
	Streams   int64     `json:"total_streams" minimum:"0"`
	Videos    int64     `json:"total_videos" minimum:"0"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at" doc:"Moves with the user's own changes, not with counters"`
}

// userAnswer is {status,user}.
type userAnswer struct {
	Status success `json:"status"`
	User   card    `json:"user"`
}

func (a *userAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"user":`...)
	b = append(b, a.User.JSON...)
	return append(b, '}')
}

// messageAnswer is {status,message}.
type messageAnswer struct {
	Status  success `json:"status"`
	Message string  `json:"message"`
}

func (a *messageAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"message":`...)
	b = appendString(b, a.Message)
	return append(b, '}')
}

// encoded is an answer that was encoded before, for its ETag: an A.
type encoded[A any] struct{ json []byte }

// Schema implements huma.SchemaProvider.
func (encoded[A]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[A](), true, "")
}

func (e *encoded[A]) appendJSON(b []byte) []byte { return append(b, e.json...) }

// encode encodes v as people read it: & in a URL stays &.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// taggedOutput is an answer whose ETag is made of its bytes.
type taggedOutput[A any] struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *encoded[A]
}

// tagged encodes a, or finds that the client has it.
func tagged[A any](ctx context.Context, a *A) (*taggedOutput[A], error) {
	b, err := encode(a)
	if err != nil {
		return nil, err
	}
	out := &taggedOutput[A]{Status: http.StatusOK, ETag: bytesTag(b)}
	if unchanged(exchangeOf(ctx).r.Header["If-None-Match"], out.ETag) {
		out.Status = http.StatusNotModified
		return out, nil
	}
	out.Body = &encoded[A]{json: b}
	return out, nil
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(fmt.Sprintf("gateway: encode a string: %v", err)) // every string has an encoding
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// prefersProblem reports whether a client asks for RFC 9457 errors: it names the
// type, and does not name plain JSON with a higher weight.
func prefersProblem(accept []string) bool {
	problem, plain := 0.0, 0.0
	for _, header := range accept {
		if !strings.Contains(header, "problem+json") && problem == 0 {
			continue
		}
		for part := range strings.SplitSeq(header, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, given := params["q"]; given {
				if weight, err = strconv.ParseFloat(q, 64); err != nil {
					continue
				}
			}
			switch name {
			case contentProblem:
				problem = max(problem, weight)
			case contentJSON:
				plain = max(plain, weight)
			}
		}
	}
	return problem > 0 && problem >= plain
}
