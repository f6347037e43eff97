package clients_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// tail runs kith tail.
func tail(t *testing.T, args ...string) *client {
	t.Helper()
	return run(t, string(kith), append([]string{"tail"}, args...)...)
}

// wants reads lines of people until each of some was there, in order.
func (c *client) wants(lines ...string) {
	c.t.Helper()
	when := regexp.MustCompile(`^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d  `)
	var read []string
	for _, want := range lines {
		for {
			line := c.line()
			read = append(read, line)
			if !when.MatchString(line) || strings.ContainsRune(line, '\x1b') {
				c.t.Errorf("the line is %q", line)
			}
			if when.ReplaceAllString(line, "") == want {
				break
			}
			if len(read) > 100 {
				c.t.Fatalf("%q does not come:\n%s", want, strings.Join(read, "\n"))
			}
		}
	}
}

// interrupt presses ctrl-C and wants that the client ends as it was asked to.
func (c *client) interrupt() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	for range c.lines { // until its end
	}
	if err := c.cmd.Wait(); err != nil {
		c.t.Errorf("it ends with %v", err)
	}
	if said := c.said.String(); !strings.HasSuffix(said, "kith: stopped\n") {
		c.t.Errorf("it says\n%s", said)
	}
}

// Through a kill of the server and every break, kith tail shows each thing once.
func TestTailLosesNothing(t *testing.T) {
	t.Parallel()
	addr := kithtest.FreePort(t)
	s := kith.Start(t, kithtest.Options{Env: []string{"KITH_HTTP_ADDR=" + addr}})
	ada, bob := register(t, s, "ada"), register(t, s, "bob")
	bob.request(http.MethodPut, "/users/self/following/ada", nil)
	c := tail(t, "--url", s.URL(), "--token", bob.Token())
	raw := tail(t, "--url", s.URL(), "--token", bob.Token(), "--json")
	raw.ready()
	rate := func(title string, rating float64) {
		ada.request(http.MethodPost, "/users/self/events", map[string]any{"type": "rating", "movie_id": 603, "rating": rating, "event_details": map[string]string{"title": title}})
	}
	awaitSaid(t, c, "kith: connected as @bob; stop with Ctrl-C\n")
	rate("The \u202eMatrix", 8.5) // which would turn the line around
	c.wants("Somebody @ada rated The Matrix 8.5/10")
	for round := range 3 {
		s.Kill()
		s.Launch()
		s.AwaitReady()
		for n := range 5 {
			rate(fmt.Sprintf("Film %d of %d", n, round), float64(n))
		}
		ada.request(http.MethodPut, "/users/self/following/bob", nil)
		want := make([]string, 0, 5)
		for n := range 5 {
			want = append(want, fmt.Sprintf("Somebody @ada rated Film %d of %d %d/10", n, round, n))
		}
		c.wants(want...)
		ada.request(http.MethodDelete, "/users/self/following/bob", nil)
		c.wants("Somebody @ada no longer follows you")
	}
	awaitSaid(t, c, "; trying again in ", "kith: connected as @bob, going on where it was\n")
	c.interrupt()

	// The other showed the same, frame by frame, none of them twice, and then where
	// it was.
	ids, films, at := make(map[string]bool), 0, ""
	for films < 16 || at == "" {
		f := raw.raw()
		if f.ID != "" && ids[f.ID] {
			t.Errorf("frame %s comes twice", f.ID)
		}
		ids[f.ID] = true
		switch f.Type {
		case "activity":
			films++
			at = "" // the next one covers it
		case "cursor":
			at = f.Data.Cursor
		}
	}
	raw.interrupt()
	// A cursor that it showed is where another begins.
	rate("Later", 1)
	later := tail(t, "--url", s.URL(), "--token", bob.Token(), "--cursor", at)
	later.wants("Somebody @ada rated Later 1/10")
	later.interrupt()
}

// ready waits for the first frame of kith tail --json.
func (c *client) ready() {
	c.t.Helper()
	if f := c.raw(); f.Type != "ready" {
		c.t.Fatalf("the first frame is %+v", f)
	}
}

// raw returns the next frame of kith tail --json.
func (c *client) raw() (f frame) {
	c.t.Helper()
	line := c.line()
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		c.t.Fatalf("%s: %v", line, err)
	}
	return f
}

// awaitSaid waits until a client has said each of some texts.
func awaitSaid(t *testing.T, c *client, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lineTime)
	defer cancel()
	if !kithtest.Poll(ctx, pollTime, func() bool {
		said := c.said.String()
		for _, text := range texts {
			if !strings.Contains(said, text) {
				return false
			}
		}
		return true
	}) {
		t.Fatalf("it says\n%s", c.said)
	}
}

// What can be done about a refusal is said.
func TestTailSaysWhyItEnds(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	ada := register(t, s, "ada")
	fails := func(c *client, code int, texts ...string) {
		t.Helper()
		for range c.lines { // until its end
		}
		err := c.cmd.Wait()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != code {
			t.Errorf("it ends with %v, want %d", err, code)
		}
		if n := strings.Count(c.said.String(), "\n"); code == 2 && n != 1 {
			t.Errorf("it says %d lines:\n%s", n, c.said)
		}
		for _, text := range texts {
			if !strings.Contains(c.said.String(), text) {
				t.Errorf("it does not say %q:\n%s", text, c.said)
			}
		}
	}
	fails(tail(t), 2, "--token", "kith token --username NAME")
	for _, url := range []string{"localhost", "localhost:8080", "127.0.0.1:8080", "ws://localhost"} {
		fails(tail(t, "--token", "x", "--url", url), 2, "--url", "such as http://")
	}
	fails(tail(t, "--token", ada.Token(), "--url", s.URL()+"/docs"), 1, "there is no live stream at this URL", "--url must be", "such as http://")
	fails(tail(t, "--token", "no-token", "--url", s.URL()), 1, "the token is not accepted", "kith token --username NAME")

	short := s.Command("token", "--username", "ada", "--ttl", "2s")
	expired := tail(t, "--token", strings.TrimSpace(short.Stdout), "--url", s.URL())
	fails(expired, 1, "the token has expired", "kith token --username NAME")

	ended := tail(t, "--token", ada.Token(), "--url", s.URL(), "--json")
	ended.ready()
	ada.request(http.MethodPost, "/auth/logout", map[string]any{})
	fails(ended, 1, "the session has ended", "kith token --username NAME")

	away := tail(t, "--token", "x", "--url", "http://"+kithtest.FreePort(t))
	awaitSaid(t, away, "the server cannot be reached", "connection refused", "attempt 2: the same; trying again in")
	away.interrupt()
}

// The demo goes on by itself, also after a kill, and the line that it prints shows
// both.
func TestTheDemoIsLive(t *testing.T) {
	t.Parallel()
	if kithtest.Production() {
		t.Skip("a demo is always on the embedded stores, on which this test runs as well")
	}
	addr := kithtest.FreePort(t)
	s := kith.Start(t, kithtest.Options{Embedded: true, Args: []string{"demo", "--users", "40", "--pace", "30ms"}, Env: []string{"KITH_HTTP_ADDR=" + addr}})
	invitation := regexp.MustCompile(`(?m)^(\S+/demo#sign-in=\w+)\n(?:.*\n)+?\S+ (tail --url \S+ --token \S+)$`)
	var shown []string
	if !s.AwaitLog(func(log string) bool {
		shown = invitation.FindStringSubmatch(log)
		return shown != nil
	}) {
		t.Fatal("the demo does not show itself")
	}
	if page, err := s.Client().Get(t.Context(), "/demo"); err != nil || page.Status != http.StatusOK || !strings.HasPrefix(shown[1], s.URL()+"/demo#") {
		t.Errorf("it shows %s, which is answered with %v %s", shown[1], err, page)
	}
	c := run(t, string(kith), strings.Fields(shown[2])...)
	c.seesLife()
	s.Kill()
	awaitSaid(t, c, "; trying again in ")
	s.Launch()
	s.AwaitReady()
	awaitSaid(t, c, "kith: connected as @", ", going on where it was\n")
	for len(c.lines) > 0 { // from before the kill
		c.line()
	}
	c.seesLife()
	c.interrupt()
	s.Stop()
	if strings.Contains(s.Log(), "level=WARN") || strings.Contains(s.Log(), "level=ERROR") {
		t.Errorf("the demo complains: %s", s.Log())
	}
}

// seesLife reads lines until everything happened that people of a demo do.
func (c *client) seesLife() {
	c.t.Helper()
	did := map[string]int{}
	for seen := false; !seen; {
		text := c.line()
		for _, verb := range []string{"rated", "reviewed", "watched", "follows you", "followers"} {
			if strings.Contains(text, " "+verb) {
				did[verb]++
			}
		}
		seen = len(did) == 5
	}
}
