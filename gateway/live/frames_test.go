package live_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"kith/actors/user"
	"kith/gateway/live"
	"kith/wire"
)

func TestServerFramesAreWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 20, 14, 22, 0, 5000, time.FixedZone("", 3600))
	ref := live.RecordRef{UID: user.UID{1, 15: 9}, Seq: 7, At: at}
	who := json.RawMessage(`{"username":"ada"}`)
	const head = `"id":"01000000000000000000000000000009/7","time":"2024-01-20T13:22:00.000005Z",`
	made := func(f *live.Frame, err error) *live.Frame {
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	event := wire.NewEvent(&user.Activity{EventID: "e", Type: user.ActivityView, MovieID: 1, OccurredAt: at}, at)
	for want, f := range map[string]*live.Frame{
		`{"type":"ready","data":{"user":{"username":"ada"},"resumed":false,"cursor":"c","heartbeat_seconds":25}}`: made(live.Ready(who, false, "c", 25*time.Second)),
		`{"type":"follower.added",` + head + `"data":{"user":{"username":"ada"}}}`:                                made(live.About(live.TypeFollowerAdded, ref, who)),
		`{"type":"follower.removed",` + head + `"data":{"user":{"username":"ada"}}}`:                              made(live.About(live.TypeFollowerRemoved, ref, who)),
		`{"type":"following.added",` + head + `"data":{"user":{"username":"ada"}}}`:                               made(live.About(live.TypeFollowingAdded, ref, who)),
		`{"type":"following.removed",` + head + `"data":{"user":{"username":"ada"}}}`:                             made(live.About(live.TypeFollowingRemoved, ref, who)),
		`{"type":"profile.updated",` + head + `"data":{"user":{"username":"ada"}}}`:                               made(live.About(live.TypeProfileUpdated, ref, who)),
		`{"type":"activity",` + head + `"data":{"user":{"username":"ada"},"event":{"event_id":"e","type":"view","movie_id":1,` +
			`"occurred_at":"2024-01-20T13:22:00.000005Z","recorded_at":"2024-01-20T13:22:00.000005Z"}}}`: made(live.Activity(ref, wire.Activity{User: who, Event: event})),
		`{"type":"activity.deleted",` + head + `"data":{"uid":"01000000000000000000000000000009","event_id":"e"}}`: made(live.ActivityDeleted(ref, "e")),
		`{"type":"counters","data":{"username":"ada","followers":2,"following":0}}`:                                live.Counters("ada", 2, 0),
		`{"type":"cursor","data":{"cursor":"c"}}`:                                                                  live.CursorFrame("c"),
		`{"type":"auth.expiring","data":{"seconds":60}}`:                                                           live.AuthExpiring(time.Minute),
		`{"type":"gap","data":{"since":"2024-01-20T13:22:00.000005Z"}}`:                                            made(live.Gap(at)),
		`{"type":"error","data":{"code":"bad_cursor","message":"not a cursor"}}`:                                   live.ErrorFrame(live.CodeBadCursor, "not a cursor"),
		`{"type":"pong"}`: live.Pong(),
	} {
		if string(f.JSON()) != want {
			t.Errorf("%s\nwant\n%s", f.JSON(), want)
		}
	}
}

func TestAFrameSaysHowLongItIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text int
		head []byte
	}{
		{1, []byte{0x81, 39}},
		{87, []byte{0x81, 125}},
		{88, []byte{0x81, 126, 0, 126}},
		{65535 - 38, []byte{0x81, 126, 0xff, 0xff}},
		{65536 - 38, []byte{0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		f := live.CursorFrame(strings.Repeat("c", test.text))
		if want := append(test.head, f.JSON()...); !bytes.Equal(f.WebSocket(), want) {
			t.Errorf("%d bytes of JSON begin with % x, want % x", len(f.JSON()), f.WebSocket()[:len(test.head)], test.head)
		}
	}
}

func TestClientFramesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]live.ClientFrame{
		` {"type":"ping"} `:                              {Type: live.ClientPing},
		`{"type":"cursor"}`:                              {Type: live.ClientCursor},
		`{"token":"t","type":"auth"}`:                    {Type: live.ClientAuth, Token: "t"},
		`{"type":"auth","token":"t","cursor":"c"}`:       {Type: live.ClientAuth, Token: "t", Cursor: "c"},
		`{"type":"watch","username":"\u0061da"}`:         {Type: live.ClientWatch, Username: "ada"},
		`{"type":"unwatch","username":"ada"}` + "\r\n\t": {Type: live.ClientUnwatch, Username: "ada"},
	} {
		if got, err := live.ParseClientFrame([]byte(text)); err != nil || got != want {
			t.Errorf("%s is read as %+v (%v)", text, got, err)
		}
	}
}

func TestAMalformedFrameIsNotRead(t *testing.T) {
	t.Parallel()
	fits := `{"type":"ping"}` + strings.Repeat(" ", live.MaxClientFrame-15)
	if _, err := live.ParseClientFrame([]byte(fits)); err != nil {
		t.Errorf("4 KiB: %v", err)
	}
	for _, text := range []string{
		"", " ", "null", "1", `"ping"`, `[{"type":"ping"}]`, `{"type":"ping"`, `{"type":"ping"}{}`, `{"type":"ping"},`,
		"{\"type\":\"\xff\"}", fits + " ", "\x00", "\v{}",
	} {
		if _, err := live.ParseClientFrame([]byte(text)); !errors.Is(err, live.ErrMalformed) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestAFrameThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	long := `{"type":"ping","` + strings.Repeat("é", 99) + `":"1"}`
	for text, code := range map[string]string{
		`{}`:                                        live.CodeBadField,
		`{"type":1}`:                                live.CodeBadField,
		`{"type":"Ping"}`:                           live.CodeUnknownType,
		`{"type":"ready"}`:                          live.CodeUnknownType,
		`{"type":"ping","type":"ping"}`:             live.CodeBadField,
		`{"type":"ping","token":"t"}`:               live.CodeBadField,
		`{"type":"auth"}`:                           live.CodeBadField,
		`{"type":"auth","token":""}`:                live.CodeBadField,
		`{"type":"auth","token":null}`:              live.CodeBadField,
		`{"type":"auth","token":"t","cursor":""}`:   live.CodeBadField,
		`{"type":"watch","username":["ada"]}`:       live.CodeBadField,
		`{"type":"watch","username":"ada","x":"1"}`: live.CodeBadField,
		long: live.CodeBadField,
	} {
		_, err := live.ParseClientFrame([]byte(text))
		var refused *live.RefusedError
		if !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s: %v, want %s", text, err, code)
			continue
		}
		if !json.Valid(refused.Frame().JSON()) {
			t.Errorf("%s: answered with %s", text, refused.Frame().JSON())
		}
	}
}

func FuzzParseClientFrame(f *testing.F) {
	f.Add([]byte(`{"type":"auth","token":"t","cursor":"c"}`))
	f.Add([]byte(`{"type":"watch","username":"ada"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, err := live.ParseClientFrame(b)
		var refused *live.RefusedError
		switch {
		case err == nil:
			var object map[string]any
			if json.Unmarshal(b, &object) != nil || object["type"] != string(frame.Type) {
				t.Errorf("%q is read as %+v", b, frame)
			}
		case !errors.Is(err, live.ErrMalformed) && !errors.As(err, &refused):
			t.Errorf("%q: %v", b, err)
		}
	})
}
