package asyncapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/gateway/live"
	"kith/persistence"
	"kith/wire"
	"kith/wire/asyncapi"
	"kith/wire/payload"
)

// frames are the server frames of every type, by the key of the message and a
// variant.
func frames(t *testing.T) map[string]*live.Frame {
	t.Helper()
	made := func(f *live.Frame, err error) *live.Frame {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	ref := live.RecordRef{UID: ada.UID, Seq: 12, At: moment}
	who := json.RawMessage(persistence.NewCard(ada.Card).JSON)
	return map[string]*live.Frame{
		"ReadyFrame":            made(live.Ready(who, true, "c", 25*time.Second)),
		"ActivityFrame":         made(live.Activity(ref, wire.Activity{User: who, Event: wire.NewEvent(&everything, moment)})),
		"ActivityDeletedFrame":  made(live.ActivityDeleted(ref, "evt-1")),
		"ProfileUpdatedFrame":   made(live.About(live.TypeProfileUpdated, ref, who)),
		"FollowerAddedFrame":    made(live.About(live.TypeFollowerAdded, ref, who)),
		"FollowerRemovedFrame":  made(live.About(live.TypeFollowerRemoved, ref, who)),
		"FollowingAddedFrame":   made(live.About(live.TypeFollowingAdded, ref, who)),
		"FollowingRemovedFrame": made(live.About(live.TypeFollowingRemoved, ref, who)),
		"CountersFrame":         live.Counters("ada", 1, 2),
		"CursorFrame":           live.CursorFrame("c"),
		"AuthExpiringFrame":     live.AuthExpiring(time.Minute),
		"GapFrame":              made(live.Gap(moment)),
		"ErrorFrame":            live.ErrorFrame(live.CodeBadCursor, "Not a cursor of this server"),
		"PongFrame":             live.Pong(),
	}
}

// frameTypes are what frames are made of, by the key of the message.
func frameTypes() map[string]encoder {
	about := through[payload.Frame[payload.About]]()
	return map[string]encoder{
		"ReadyFrame":            through[payload.Frame[payload.Ready]](),
		"ActivityFrame":         through[payload.Frame[wire.Activity]](),
		"ActivityDeletedFrame":  through[payload.Frame[payload.ActivityDeleted]](),
		"ProfileUpdatedFrame":   about,
		"FollowerAddedFrame":    about,
		"FollowerRemovedFrame":  about,
		"FollowingAddedFrame":   about,
		"FollowingRemovedFrame": about,
		"CountersFrame":         through[payload.Frame[payload.Counters]](),
		"CursorFrame":           through[payload.Frame[payload.Cursor]](),
		"AuthExpiringFrame":     through[payload.Frame[payload.Expiring]](),
		"GapFrame":              through[payload.Frame[payload.Gap]](),
		"ErrorFrame":            through[payload.Frame[payload.Refusal]](),
		"PongFrame":             through[payload.Frame[any]](),
	}
}

func TestServerFramesAreAsDescribed(t *testing.T) {
	t.Parallel()
	d, document := asyncapi.New("dev"), described(t)
	fields := seen{}
	for key, f := range frames(t) {
		b := f.JSON()
		golden(t, "testdata/frames/"+key+".json", append(slices.Clip(b), '\n'), true)
		m := d.Components.Messages[key]
		if m == nil {
			t.Errorf("%s is not described", key)
			continue
		}
		valid(t, key, d, m.Payload, b)
		same(t, key, frameTypes()[key], b)
		value := decode(t, b)
		fields.note(key, value)
		sameUser(t, key, b)
		for other, m := range d.Components.Messages {
			if strings.HasSuffix(other, "Frame") && other != key && len(faults(t, d, m.Payload, b)) == 0 {
				t.Errorf("%s passes for %s", key, other)
			}
		}
	}
	for _, key := range keys(at(document, "components", "messages")) {
		if strings.HasSuffix(key, "Frame") && !strings.HasPrefix(key, "Client") {
			fields.whole(t, document, key, at(document, "components", "messages", key, "payload"))
		}
	}
}

// clientFrames are the frames of every type of a client, by the key of the message
// and a variant.
func clientFrames() map[string]string {
	return map[string]string{
		"ClientPingFrame":        `{"type":"ping"}`,
		"ClientAuthFrame":        `{"type":"auth","token":"t","cursor":"c"}`,
		"ClientAuthFrame.renews": `{"type":"auth","token":"t"}`,
		"ClientWatchFrame":       `{"type":"watch","username":"bob"}`,
		"ClientUnwatchFrame":     `{"type":"unwatch","username":"bob"}`,
		"ClientCursorFrame":      `{"type":"cursor"}`,
	}
}

func TestClientFramesAreAsDescribed(t *testing.T) {
	t.Parallel()
	d, document := asyncapi.New("dev"), described(t)
	fields := seen{}
	for name, text := range clientFrames() {
		key, _, _ := strings.Cut(name, ".")
		golden(t, "testdata/frames/"+name+".json", []byte(text+"\n"), true)
		valid(t, name, d, d.Components.Messages[key].Payload, []byte(text))
		fields.note(key, decode(t, []byte(text)))
	}
	for _, key := range keys(at(document, "components", "messages")) {
		if strings.HasPrefix(key, "Client") {
			fields.whole(t, document, key, at(document, "components", "messages", key, "payload"))
		}
	}
}

// What is described is exactly what is taken: for every type, every choice of fields,
// empty ones and unknown ones among them.
func TestClientFramesAreTakenAsDescribed(t *testing.T) {
	t.Parallel()
	d := asyncapi.New("dev")
	for _, kind := range []string{"ping", "auth", "watch", "unwatch", "cursor", "ready", "Ping"} {
		for choice := range 1 << 5 {
			frame := object{"type": kind}
			maps.DeleteFunc(frame, func(string, any) bool { return choice&16 != 0 })
			for i, name := range []string{"token", "cursor", "username", "other"} {
				if choice&(1<<i) != 0 {
					frame[name] = name[:choice%3] // now and then nothing
				}
			}
			text, err := json.Marshal(frame)
			if err != nil {
				t.Fatal(err)
			}
			_, err = live.ParseClientFrame(text)
			if takes := describedClient(t, d, text); takes != (err == nil) {
				t.Errorf("%s: described %v, and the server says %v", text, takes, err)
			}
		}
	}
}

// describedClient reports whether a client frame of some type looks like that.
func describedClient(t *testing.T, d *asyncapi.Document, text []byte) bool {
	t.Helper()
	for key, m := range d.Components.Messages {
		if strings.HasPrefix(key, "Client") && len(faults(t, d, m.Payload, text)) == 0 {
			return true
		}
	}
	return false
}
