package live_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kith/gateway/live"
)

func TestACursorIsReadAsItWasSealed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		at := live.Cursor{IssuedAt: time.UnixMicro(rapid.Int64Range(0, 1<<52).Draw(t, "issued")).UTC()}
		for lane := range at.Positions {
			at.Positions[lane] = rapid.Uint64().Draw(t, "position")
		}
		text := live.NewCursors(secret).Seal(&at)
		if len(text) > live.MaxCursor {
			t.Fatalf("it has %d characters", len(text))
		}
		if got, err := live.NewCursors(secret).Open(text); err != nil || *got != at {
			t.Fatalf("%+v (%v), want %+v", got, err, at)
		}
		if _, err := live.NewCursors(append(secret, 1)).Open(text); !errors.Is(err, live.ErrCursor) {
			t.Fatalf("with another secret: %v", err)
		}
	})
}

func TestAChangedCursorIsRefused(t *testing.T) {
	t.Parallel()
	c := live.NewCursors(make([]byte, 32))
	text := c.Seal(&live.Cursor{Positions: live.Positions{1, 2, 300}, IssuedAt: time.UnixMicro(1)})
	for i := range text {
		other := byte('A')
		if text[i] == other {
			other = 'B'
		}
		for _, changed := range []string{text[:i] + string(other) + text[i+1:], text[:i], text[:i] + "\n" + text[i:]} {
			if _, err := c.Open(changed); !errors.Is(err, live.ErrCursor) {
				t.Errorf("%q: %v", changed, err)
			}
		}
	}
}

func FuzzCursor(f *testing.F) {
	c := live.NewCursors(make([]byte, 32))
	f.Add(c.Seal(&live.Cursor{}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := c.Open(text); err == nil && c.Seal(at) != text {
			t.Errorf("%q is read, and was never sealed", text)
		}
	})
}
