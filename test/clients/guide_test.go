package clients_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kith/test/kithtest"
	"kith/test/services"
)

const guide = "../../docs/guide/live.md"

// writeGuide writes the code of a language that stands in the guide to a file.
func writeGuide(t *testing.T, language, path string) {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		code = append(code, string(m[1]))
	}
	if len(code) == 0 {
		t.Fatalf("%s has no %s", guide, language)
	}
	if err := os.WriteFile(path, []byte(strings.Join(code, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheGuidesJavaScript(t *testing.T) {
	t.Parallel()
	node, dir := services.Node(t, "node")
	path := filepath.Join(dir, "live.mjs")
	writeGuide(t, "js", path)
	losesNothing(t, func(t *testing.T, args ...string) *client {
		t.Helper()
		return run(t, node, append([]string{path}, args...)...)
	}, "closed: 4003", "closed: 4001")
}

func TestTheGuidesPython(t *testing.T) {
	t.Parallel()
	python := services.Python(t, "python/requirements.txt")
	path := filepath.Join(t.TempDir(), "live.py")
	writeGuide(t, "python", path)
	losesNothing(t, func(t *testing.T, args ...string) *client {
		t.Helper()
		return run(t, python, append([]string{path}, args...)...)
	}, "received 4003", "HTTP 401")
}

// losesNothing wants that a client shows each thing once, in order, through kills
// of the server, and says so when its session has ended or its token is none.
func losesNothing(t *testing.T, start library, ended, refused string) {
	t.Helper()
	s := kith.Start(t, kithtest.Options{Env: []string{"KITH_HTTP_ADDR=" + kithtest.FreePort(t)}})
	ada, bob := register(t, s, "ada"), register(t, s, "bob")
	bob.request(http.MethodPut, "/users/self/following/ada", nil)
	c := start(t, s.URL(), bob.Token())
	c.ready()
	for round := range 3 {
		for n := range 3 {
			ada.review(fmt.Sprintf("live-%d-%d", round, n))
		}
		c.shows(fmt.Sprintf("live-%d-0", round), fmt.Sprintf("live-%d-1", round), fmt.Sprintf("live-%d-2", round))
		s.Kill()
		s.Launch()
		s.AwaitReady()
		ada.review(fmt.Sprintf("missed-%d", round))
		c.shows(fmt.Sprintf("missed-%d", round))
	}
	bob.request(http.MethodPost, "/auth/logout", map[string]any{})
	for range c.lines { // until its end
	}
	awaitSaid(t, c, ended)
	awaitSaid(t, start(t, s.URL(), "no-token"), refused)
}

// shows wants that the next activities are these.
func (c *client) shows(events ...string) {
	c.t.Helper()
	for _, want := range events {
		f := c.raw()
		for f.Type != "activity" {
			f = c.raw()
		}
		if f.Data.Event.EventID != want {
			c.t.Errorf("it shows %s, want %s", f.Data.Event.EventID, want)
		}
	}
}
