package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// The commands of the README do what it says: two people, one follows the other,
// both counters are right; kill -9; everything is there.
func TestTheREADMEIsTrue(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := block(t, string(text), "localhost:8080")
	sh := &shell{t: t, server: s, variables: map[string]string{}}
	sh.run(script)
	if got, want := sh.statuses, []int{201, 201, 201, 200, 200, 200}; !slices.Equal(got, want) {
		t.Fatalf("the README's requests were answered with %v, want %v", got, want)
	}

	ada := s.Client().As(sh.variables["ada"])
	right := func() {
		t.Helper()
		counters(t, ada, "bob", 1, 0)
		counters(t, ada, "ada", 0, 1)
		if followers, err := ada.Followers(t.Context(), "bob"); err != nil || !slices.Equal(usernames(followers), []string{"ada"}) {
			t.Errorf("followers of bob: %v %v", err, followers)
		}
		if answer := want(t, http.StatusOK)(ada.User(t.Context(), "bob")); !*answer.Following {
			t.Errorf("ada does not follow bob: %s", answer)
		}
	}
	right()
	s.Restart()
	right()
	s.Settle()
	want(t, http.StatusOK)(s.Client().Login(t.Context(), "ada", "correct horse"))
}

// block returns the one fenced block of a document that holds something.
func block(t *testing.T, text, holds string) string {
	t.Helper()
	var found []string
	for i, part := range strings.Split(text, "```") {
		if language, code, ok := strings.Cut(part, "\n"); ok && i%2 == 1 && language == "sh" && strings.Contains(code, holds) {
			found = append(found, code)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks hold %q", len(found), holds)
	}
	return found[0]
}

// shell does what a shell with curl and jq would, as far as the README needs it:
// the test needs nothing but Go. What it does not know fails the test.
type shell struct {
	t         *testing.T
	server    *kithtest.Server
	variables map[string]string
	statuses  []int
}

func (sh *shell) run(script string) {
	sh.t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		// name=$(command | jq -r .field)
		if name, rest, ok := strings.Cut(line, "=$("); ok && !strings.ContainsAny(name, " '\"") {
			command, field, piped := strings.Cut(strings.TrimSuffix(rest, ")"), " | jq -r .")
			if !piped || !strings.HasSuffix(rest, ")") {
				sh.t.Fatalf("cannot read %q", line)
			}
			var answer map[string]any
			if err := json.Unmarshal(sh.curl(command), &answer); err != nil {
				sh.t.Fatal(err)
			}
			sh.variables[name] = fmt.Sprint(answer[field])
			continue
		}
		sh.curl(line)
	}
}

// curl sends the request of a command and returns the body of the answer.
func (sh *shell) curl(command string) []byte {
	sh.t.Helper()
	words := sh.words(command)
	if len(words) == 0 || words[0] != "curl" {
		sh.t.Fatalf("cannot run %q", command)
	}
	request := kithtest.Request{Method: http.MethodGet, Header: http.Header{}}
	for i := 1; i < len(words); i++ {
		value := func() string {
			if i++; i == len(words) {
				sh.t.Fatalf("%q ends too early", command)
			}
			return words[i]
		}
		switch words[i] {
		case "-s":
		case "-X":
			request.Method = value()
		case "-H":
			name, content, _ := strings.Cut(value(), ":")
			request.Header.Set(name, strings.TrimSpace(content))
		case "-d":
			request.Body = value()
			if request.Method == http.MethodGet {
				request.Method = http.MethodPost
			}
		default:
			path, ok := strings.CutPrefix(words[i], "localhost:8080")
			if !ok {
				sh.t.Fatalf("cannot read %q of %q", words[i], command)
			}
			request.Path = path
		}
	}
	answer, err := sh.server.Client().Do(sh.t.Context(), request)
	if err != nil {
		sh.t.Fatal(err)
	}
	sh.t.Logf("%s %s: %d", request.Method, request.Path, answer.Status)
	sh.statuses = append(sh.statuses, answer.Status)
	return answer.Body
}

// words splits a command as a shell does: '…' is taken as it is, in "…" and
// outside $name is replaced.
func (sh *shell) words(command string) []string {
	var (
		words []string
		word  strings.Builder
		begun bool
		quote rune
	)
	for _, r := range command + " " {
		switch {
		case quote == 0 && r == ' ':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case r == quote:
			quote = 0
		case quote == '\'' && r == '$':
			word.WriteString("\x00") // not the start of a name
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(os.Expand(w, func(name string) string { return sh.variables[name] }), "\x00", "$")
	}
	return words
}
