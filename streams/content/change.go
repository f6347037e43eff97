package content

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"kith/actors/user"
	"kith/wire/payload"
)

// maxValue bounds a record; a change is far smaller.
const maxValue = 4 << 10

// change is what a record says.
type change struct {
	uid     user.UID
	command user.CountContent
}

// errEmpty says that a record changes nothing that is named.
var errEmpty = errors.New("content: neither streams nor videos are there")

// parse reads the value of a record: {id, uid, streams, videos}, of which one of
// the numbers may be missing. Unknown fields are ignored.
func parse(value []byte) (change, error) {
	var in payload.ContentChanged
	switch {
	case len(value) > maxValue:
		return change{}, fmt.Errorf("content: %d bytes are too many", len(value))
	case !utf8.Valid(value):
		return change{}, errors.New("content: not UTF-8")
	}
	if err := json.Unmarshal(value, &in); err != nil {
		return change{}, fmt.Errorf("content: %w", err)
	}
	id, err := user.ParseContentID(in.ID)
	if err != nil {
		return change{}, fmt.Errorf("content: %w", err)
	}
	uid, err := user.ParseUID(in.UID)
	if err != nil {
		return change{}, fmt.Errorf("content: %w", err)
	}
	if in.Streams == nil && in.Videos == nil {
		return change{}, errEmpty
	}
	c := change{uid: uid, command: user.CountContent{ID: id}}
	if in.Streams != nil {
		c.command.Streams = *in.Streams
	}
	if in.Videos != nil {
		c.command.Videos = *in.Videos
	}
	return c, nil
}
