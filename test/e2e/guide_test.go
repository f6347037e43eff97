package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kith/test/kithtest"
)

// Every command of the guide is run, in order, and answered as it says, within the
// limits that a server has by default.
func TestTheGuideIsTrue(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{Env: []string{
		"KITH_LIMIT_AVAILABILITY=30/min", "KITH_LIMIT_REGISTER=10/min", "KITH_LIMIT_LOGIN=10/min", "KITH_LIMIT_USER=600/min", "KITH_LIMIT_EVENTS=6000/min",
	}})
	text, err := os.ReadFile("../../docs/guide/first-hour.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := guideSteps(t, string(text))
	if len(steps) < 60 {
		t.Fatalf("the guide has %d steps", len(steps))
	}
	sh := s.Shell()
	for _, step := range steps {
		before := len(sh.Exchanges)
		sh.Run(step.script)
		made := sh.Exchanges[before:]
		if step.answer == "" {
			if len(made) > 0 {
				t.Errorf("the guide does not show the answer of\n%s", step.script)
			}
			continue
		}
		if len(made) == 0 {
			t.Fatalf("nothing is requested by\n%s", step.script)
		}
		for _, e := range made[:len(made)-1] {
			if e.Answer.Status >= http.StatusBadRequest {
				t.Errorf("%s %s: %s", e.Request.Method, e.Request.Path, e.Answer)
			}
		}
		want := parseShown(t, strings.ReplaceAll(step.answer, "http://127.0.0.1:8080", s.URL()))
		last := made[len(made)-1]
		differs := want.differs(last.Answer)
		// What others did is counted a moment later.
		if last.Request.Method == http.MethodGet && differs != "" {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			kithtest.Poll(ctx, 50*time.Millisecond, func() bool {
				differs = want.differs(sh.Send(last.Request))
				return differs == ""
			})
			cancel()
		}
		if differs != "" {
			t.Errorf("%s\n%s", step.script, differs)
		}
	}
	s.Settle()
}

// step is a script of the guide and the answer that is shown below it.
type step struct{ script, answer string }

func guideSteps(t *testing.T, text string) []step {
	t.Helper()
	var steps []step
	for i, part := range strings.Split(text, "```") {
		if i%2 == 0 {
			continue
		}
		switch language, content, _ := strings.Cut(part, "\n"); {
		case language == "sh":
			steps = append(steps, step{script: strings.ReplaceAll(content, "\n  {", " {")})
		case language == "http" && len(steps) > 0 && steps[len(steps)-1].answer == "":
			steps[len(steps)-1].answer = content
		default:
			t.Fatalf("a block of the guide that is neither a script nor its answer: %s", part)
		}
	}
	return steps
}

// shown is an answer as the guide shows it: a status, headers, a body. In it …
// stands for anything, in an object or a list for anything more; ids and times
// stand for others.
type shown struct {
	status  int
	headers [][2]string
	body    any
}

func parseShown(t *testing.T, text string) shown {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	first, headers, _ := strings.Cut(strings.TrimSpace(head), "\n")
	number, reason, _ := strings.Cut(first, " ")
	var s shown
	var err error
	if s.status, err = strconv.Atoi(number); err != nil || reason != http.StatusText(s.status) {
		t.Fatalf("%q is no status", first)
	}
	for line := range strings.Lines(headers) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			t.Fatalf("%q is no header", line)
		}
		s.headers = append(s.headers, [2]string{name, value})
	}
	if body != "" {
		if err := json.Unmarshal([]byte(body), &s.body); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return s
}

// differs says in what an answer is not what is shown, "" when it is.
func (s shown) differs(a *kithtest.Answer) string {
	if a.Status != s.status {
		return fmt.Sprintf("the status is not %d: %s", s.status, a)
	}
	for _, h := range s.headers {
		if got := a.Header.Get(h[0]); !matches(h[1], got) {
			return fmt.Sprintf("%s is %q, not %q", h[0], got, h[1])
		}
	}
	if s.body == nil {
		return ""
	}
	var got any
	if err := json.Unmarshal(a.Body, &got); err != nil {
		return fmt.Sprintf("%v: %s", err, a)
	}
	if d := differs("", s.body, got); d != "" {
		return d + ": " + a.String()
	}
	return ""
}

const more = "…"

func differs(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return path + " is no object"
		}
		for name, value := range want {
			if name == more {
				continue
			}
			there, ok := got[name]
			if !ok {
				return path + "." + name + " is not there"
			}
			if d := differs(path+"."+name, value, there); d != "" {
				return d
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok && want[more] == nil {
				return path + "." + name + " is not shown"
			}
		}
		return ""
	case []any:
		got, ok := got.([]any)
		open := len(want) > 0 && want[len(want)-1] == more
		if open {
			want = want[:len(want)-1]
		}
		if !ok || len(got) < len(want) || len(got) > len(want) && !open {
			return fmt.Sprintf("%s is no list of %d", path, len(want))
		}
		for i, value := range want {
			if d := differs(fmt.Sprintf("%s[%d]", path, i), value, got[i]); d != "" {
				return d
			}
		}
		return ""
	case string:
		if got, ok := got.(string); !ok || !matches(want, got) {
			return fmt.Sprintf("%s is not %q", path, want)
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s is not %v", path, want)
	}
	return ""
}

var uid = regexp.MustCompile(`^[0-9a-f]{32}$`)

// matches reports whether a text is one that another stands for.
func matches(want, got string) bool {
	if _, err := time.Parse(time.RFC3339, want); err == nil {
		_, err := time.Parse(time.RFC3339, got)
		return err == nil && strings.HasSuffix(got, "Z")
	}
	if uid.MatchString(want) {
		return uid.MatchString(got)
	}
	parts := strings.Split(want, more)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".+") + `$`).MatchString(got)
}
