package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kith/test/kithtest"
)

// Whoever is refused before the upgrade gets an answer as of any other route.
func TestSocketsAreRefusedBeforeTheUpgrade(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, gone, out := w.register("ada"), w.register("gone"), w.register("out")
	w.want(200)(gone.Delete(t.Context(), "gone"))
	out.do(http.MethodPost, "/auth/logout", nil)
	for name, c := range map[string]struct {
		dialing
		status int
		code   string
	}{
		"no JWT":                             {dialing{token: "nonsense"}, 401, "unauthorized"},
		"a changed JWT":                      {dialing{token: ada.Token()[:len(ada.Token())-4] + "AAAA"}, 401, "unauthorized"},
		"another scheme":                     {dialing{header: http.Header{"Authorization": {"Basic YTpi"}}}, 401, "unauthorized"},
		"an empty header":                    {dialing{header: http.Header{"Authorization": {""}}}, 401, "unauthorized"},
		"a deleted user":                     {dialing{token: gone.Token()}, 401, "unauthorized"},
		"a session that ended":               {dialing{token: out.Token()}, 401, "unauthorized"},
		"a token in the query":               {dialing{query: url.Values{"token": {ada.Token()}}}, 400, "token_in_query"},
		"one beside the header":              {dialing{token: ada.Token(), query: url.Values{"access_token": {"x"}}}, 400, "token_in_query"},
		"one in capital letters":             {dialing{query: url.Values{"Token": {ada.Token()}}}, 400, "token_in_query"},
		"a foreign origin":                   {dialing{token: ada.Token(), header: http.Header{"Origin": {"https://evil.example"}}}, 403, "origin_not_allowed"},
		"a foreign origin that has no token": {dialing{header: http.Header{"Origin": {"https://evil.example"}}}, 403, "origin_not_allowed"},
		"an opaque origin":                   {dialing{token: ada.Token(), header: http.Header{"Origin": {"null"}}}, 403, "origin_not_allowed"},
		"another port":                       {dialing{token: ada.Token(), header: http.Header{"Origin": {"http://127.0.0.1:1"}}}, 403, "origin_not_allowed"},
	} {
		_, response, err := w.open(c.dialing) //nolint:bodyclose // Dial does not leave it to us
		if err == nil || response == nil {
			t.Errorf("%s: the socket was opened: %v", name, response)
			continue
		}
		b, _ := io.ReadAll(response.Body)
		var body struct{ Status, Code, Message string }
		if err := json.Unmarshal(b, &body); err != nil || response.StatusCode != c.status || body.Status != "error" || body.Code != c.code || body.Message == "" {
			t.Errorf("%s: %d %s, want %d %s", name, response.StatusCode, b, c.status, c.code)
		}
		if challenged := response.Header.Get("WWW-Authenticate") != ""; challenged != (c.status == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", name, response.Header.Get("WWW-Authenticate"))
		}
	}
	answer := w.want(http.StatusUpgradeRequired)(ada.Get(t.Context(), "/ws"))
	if answer.Code != "upgrade_required" || answer.Header.Get("Upgrade") != "websocket" {
		t.Errorf("a plain GET: %v %s", answer.Header, answer)
	}
	if strings.Contains(w.Log(), ada.Token()) {
		t.Error("the log holds a token")
	}
}

func TestOriginsThatMayOpenSockets(t *testing.T) {
	t.Parallel()
	w := start(t, "KITH_WS_ORIGINS=https://app.example.com,https://*.example.org:8443")
	ada := w.register("ada")
	for origin, allowed := range map[string]bool{
		w.URL():                        true, // its own host
		"https://app.example.com":      true,
		"https://APP.example.com":      true,
		"https://a.example.org:8443":   true,
		"https://a.example.org":        false,
		"http://app.example.com":       false,
		"https://app.example.com.evil": false,
		"https://example.com":          false,
	} {
		s, response, err := w.open(dialing{token: ada.Token(), header: http.Header{"Origin": {origin}}}) //nolint:bodyclose // Dial does not leave it to us
		switch {
		case allowed && err != nil:
			t.Errorf("%s is refused: %v", origin, err)
		case allowed:
			s.want("ready")
		case err == nil || response == nil || response.StatusCode != http.StatusForbidden:
			t.Errorf("%s: %v %v", origin, response, err)
		}
	}
}

// A client without a header says who it is in its first frame.
func TestFirstFrame(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, gone := w.register("ada"), w.register("gone")
	w.want(200)(gone.Delete(t.Context(), "gone"))
	for name, c := range map[string]struct {
		first string
		code  websocket.StatusCode
	}{
		"a token that is none":    {`{"type":"auth","token":"nonsense"}`, codeNotAuthorised},
		"a deleted user":          {fmt.Sprintf(`{"type":"auth","token":%q}`, gone.Token()), codeNotAuthorised},
		"no token":                {`{"type":"auth"}`, codeNotAuthorised},
		"another frame":           {`{"type":"ping"}`, codeNotAuthorised},
		"an unknown frame":        {`{"type":"hello"}`, codeNotAuthorised},
		"what is no frame at all": {`hello`, codeMalformed},
		"what is no object":       {`["auth"]`, codeMalformed},
		"what is too long":        {`{"type":"auth","token":"` + strings.Repeat("x", 4096) + `"}`, codeMalformed},
		"nothing within 5 s":      {"", codeNotAuthorised},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.dial(dialing{})
			from := time.Now()
			if c.first != "" {
				s.say(c.first)
			}
			s.closes(c.code)
			took := time.Since(from)
			if c.first == "" && took < 4*time.Second || c.first != "" && took > 4*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
	s := w.dial(dialing{})
	s.say(fmt.Sprintf(`{"type":"auth","token":%q}`, ada.Token()))
	if ready := s.next(); ready.Type != "ready" || ready.username() != "ada" || ready.Data["resumed"] != false {
		t.Errorf("the first frame is %s", ready.raw)
	}
	s.quiet()
}

// A token that ends closes the socket, unless another one came in time.
func TestRenewal(t *testing.T) {
	t.Parallel()
	const life = 4 * time.Second
	w := start(t, "KITH_ACCESS_TTL="+life.String())
	ada, bob := w.register("ada"), w.register("bob")
	ada = ada.login() // whose life begins now
	begun := time.Now()
	left, renewed := ada.live(), ada.live()
	for _, s := range []*socket{left, renewed} {
		f := s.want("auth.expiring")
		f.has(t, "data type", "seconds")
		if seconds, _ := f.Data["seconds"].(float64); seconds < 0 || seconds > life.Seconds() {
			t.Errorf("it says %s", f.raw)
		}
	}
	// What is refused changes nothing: the token of the beginning holds.
	for frame, code := range map[string]string{
		`{"type":"auth","token":"nonsense"}`:                           "unauthorized",
		fmt.Sprintf(`{"type":"auth","token":%q}`, bob.login().Token()): "unauthorized",
		`{"type":"auth"}`: "bad_field",
		fmt.Sprintf(`{"type":"auth","token":%q,"cursor":"x"}`, ada.Token()): "bad_field",
	} {
		left.say(frame)
		left.refused(code)
	}
	until := begun.Add(2 * life)
	kithtest.Poll(t.Context(), life/8, func() bool {
		renewed.say(fmt.Sprintf(`{"type":"auth","token":%q}`, ada.token()))
		renewed.awaitPong()
		return time.Now().After(until)
	})
	left.closes(codeTokenExpired)
	if lived := left.ended.Sub(begun); lived < life-2*time.Second || lived > life+slowed(time.Second) { // it ends with a whole second
		t.Errorf("the socket of a token of %s lived %s", life, lived)
	}
	renewed.closes(codeTokenExpired)
}

// awaitPong pings and passes over what comes before the answer.
func (s *socket) awaitPong() {
	s.t.Helper()
	s.say(`{"type":"ping"}`)
	s.await(func(f *frame) bool { return f.Type == "pong" })
}

// token gets a fresh token of the same session.
func (a *account) token() string {
	a.world.t.Helper()
	answer := a.do(http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": a.refresh})
	a.refresh = answer.RefreshToken
	return answer.Token
}

// What is not right is answered with an error and changes nothing.
func TestClientFrames(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	bob.follow(ada)
	w.steady()
	s := bob.live()
	for _, c := range []struct{ frame, code string }{
		{`{"type":"nonsense"}`, "unknown_type"},
		{`{"type":""}`, "unknown_type"},
		{`{}`, "bad_field"},
		{`{"type":7}`, "bad_field"},
		{`{"type":null}`, "bad_field"},
		{`{"type":"ping","more":"x"}`, "bad_field"},
		{`{"type":"ping","type":"ping"}`, "bad_field"},
		{`{"type":"watch"}`, "bad_field"},
		{`{"type":"watch","username":5}`, "bad_field"},
		{`{"type":"watch","username":""}`, "bad_field"},
		{`{"type":"watch","username":"nobody_here"}`, "user_not_found"},
		{`{"type":"watch","username":"no name at all!"}`, "user_not_found"},
		{`{"type":"cursor","cursor":"x"}`, "bad_field"},
		{`{"type":"auth","token":"x"}`, "unauthorized"},
		{`{"type":"ping","x":{"a":[1,2,{"b":null}]}}`, "bad_field"},
	} {
		s.say(c.frame)
		s.refused(c.code)
	}
	s.say(`{"type":"unwatch","username":"nobody_here"}`) // is so already
	s.say(" \n" + `{"type" : "ping"}` + "\t")
	s.want("pong")
	ada.rate("one") // the follow is as it was
	s.activity("one")
	s.quiet()
}

// What is no text frame with one JSON object of at most 4 KiB ends the socket.
func TestMalformedFrames(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada := w.register("ada")
	long := func(n int) string {
		const begin, end = `{"type":"ping","x":"`, `"}`
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	for name, text := range map[string]string{
		"garbage": "garbage", "nothing": "", "an array": `[{"type":"ping"}]`, "a string": `"ping"`, "null": "null",
		"two objects": `{"type":"ping"}{"type":"ping"}`, "half an object": `{"type":"ping"`, "a number": "1",
		"one byte too many": long(4<<10 + 1), "far too many": long(1 << 20), "no UTF-8": "{\"type\":\"ping\xff\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ada.live()
			s.say(text)
			s.closes(codeMalformed)
		})
	}
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		s := ada.live()
		if err := s.ws.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		s.closes(codeMalformed)
	})
	t.Run("just short enough", func(t *testing.T) {
		t.Parallel()
		s := ada.live()
		s.say(long(4 << 10))
		s.refused("bad_field")
		s.quiet()
	})
	t.Run("in pieces", func(t *testing.T) {
		t.Parallel()
		s := ada.live()
		for range 2 {
			m, err := s.ws.Writer(t.Context(), websocket.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			for _, piece := range []string{`{"type"`, `:"pi`, `ng"}`} {
				if _, err := io.WriteString(m, piece); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			s.want("pong")
		}
	})
}

// maxSockets is how many a user may have on one node.
const maxSockets = 20

func TestTheTwentyFirstSocketIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t)
	ada, bob := w.register("ada"), w.register("bob")
	sockets := make([]*socket, maxSockets)
	for i := range sockets {
		sockets[i] = ada.live()
	}
	w.dial(dialing{token: ada.Token()}).closes(codeTooMany)
	bob.live().quiet() // somebody else's are counted for themselves
	for _, s := range sockets {
		s.quiet()
	}
	// A place becomes free with a goodbye, and without one.
	_ = sockets[0].ws.Close(websocket.StatusNormalClosure, "")
	sockets[1].cut()
	for range 2 {
		if !w.eventually(func() bool {
			s := w.dial(dialing{token: ada.Token()})
			select {
			case f := <-s.frames:
				return f.Type == "ready"
			case <-time.After(patience):
				return false
			}
		}) {
			t.Fatal("no place becomes free")
		}
	}
	w.dial(dialing{token: ada.Token()}).closes(codeTooMany)
}

// eventually polls until done is content, and reports whether it was in time.
func (w *world) eventually(done func() bool) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return kithtest.Poll(ctx, 10*time.Millisecond, done)
}

// A server that stops says goodbye, and waits for nobody who does not answer.
func TestShutdown(t *testing.T) {
	t.Parallel()
	const polite, rude = 4 * time.Second, 10 * time.Second // to end, with clients who answer and who do not
	for name, within := range map[string]time.Duration{"with clients who answer": polite, "with clients who do not": rude} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			ada := w.register("ada")
			sockets := []*socket{ada.live(), ada.live(), w.dial(dialing{})} // one has not said who it is
			if within == rude {
				w.dial(dialing{token: ada.Token(), silent: true})
				w.dial(dialing{silent: true})
			}
			from := time.Now()
			w.Terminate()
			for _, s := range sockets {
				s.closes(codeGoingAway)
			}
			w.AwaitStopped()
			if took := time.Since(from); took > slowed(within) {
				t.Errorf("the end took %s", took)
			}
		})
	}
}
