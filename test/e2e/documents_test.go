package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// endpoint is one numbered section of the API document.
type endpoint struct {
	name         string // such as "GET /users/{username}"
	public       bool
	deprecated   bool
	request      example
	success      []string // JSON
	errors, note []string // "404 User not found"
	flow         string   // a script
}

// example is a request as a document shows it.
type example struct {
	method, path string
	headers      http.Header
	body         string
}

// document reads one of the two documents as they were given.
func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "documents", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// part returns what stands between two marks of a text, the first of each.
func part(t *testing.T, text, from, until string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, from)
	content, _, ended := strings.Cut(rest, until)
	if !found || !ended {
		t.Fatalf("the document has no part from %q to %q", from, until)
	}
	return content
}

// readEndpoints reads all numbered sections.
func readEndpoints(t *testing.T, text string) []endpoint {
	t.Helper()
	var all []endpoint
	sections := regexp.MustCompile(`(?m)^### \d+\. .*$`).Split(part(t, text, "\n## Endpoints\n", "\n## Validation Rules\n"), -1)
	for _, section := range sections[1:] {
		e := endpoint{
			public:     strings.Contains(section, "**Authentication:** Not required"),
			deprecated: strings.Contains(section, "**DEPRECATED**"),
			request:    readExample(t, part(t, section, "```http\n", "```")),
		}
		if e.public == strings.Contains(section, "**Authentication:** Required") {
			t.Fatalf("does it need a token? %s", section)
		}
		e.name = part(t, section, "**Endpoint:** `", "`")
		_, answers, _ := strings.Cut(section, "**Success Response (200 OK):**")
		answers, refusals, _ := strings.Cut(answers, "**Error Responses:**")
		for i, block := range strings.Split(answers, "```") {
			if i%2 == 1 {
				e.success = append(e.success, strings.TrimPrefix(block, "json\n"))
			}
		}
		refusals, notes, _ := strings.Cut(refusals, "**Notes:**")
		refusals, _, _ = strings.Cut(refusals, "**Upload Workflow:**")
		e.errors = readErrors(refusals)
		notes, flow, _ := strings.Cut(notes, "```bash\n")
		e.flow, _, _ = strings.Cut(flow, "```")
		for line := range strings.Lines(notes) {
			if note, ok := strings.CutPrefix(line, "- "); ok {
				e.note = append(e.note, strings.TrimSpace(note))
			}
		}
		if e.name == "" || len(e.success) == 0 || len(e.errors) == 0 {
			t.Fatalf("cannot read %s", section)
		}
		all = append(all, e)
	}
	return all
}

func readExample(t *testing.T, text string) example {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	first, headers, _ := strings.Cut(head, "\n")
	method, path, ok := strings.Cut(first, " ")
	if !ok {
		t.Fatalf("%q is no request", first)
	}
	e := example{method, strings.TrimSpace(path), http.Header{}, strings.TrimSpace(body)}
	for line := range strings.Lines(headers) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			e.headers.Set(name, value)
		}
	}
	return e
}

// readErrors reads "- `400 Bad Request`: why", or its reasons one below another.
func readErrors(text string) []string {
	var all []string
	status := ""
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile("^- `(\\d{3}) [^`]*`:\\s*(.*?)\\s*$").FindStringSubmatch(line); m != nil {
			if status = m[1]; m[2] != "" {
				all = append(all, status+" "+m[2])
			}
		} else if why, ok := strings.CutPrefix(line, "  - "); ok {
			all = append(all, status+" "+strings.TrimSpace(why))
		}
	}
	return all
}

// shaped says in what an answer is not of a documented shape: each documented
// field is there with the documented type, and those who have but one documented
// value have it. "" when it is.
func shaped(t *testing.T, documented string, body []byte) string {
	t.Helper()
	var want, got any
	if err := json.Unmarshal([]byte(documented), &want); err != nil {
		t.Fatalf("%v: %s", err, documented)
	}
	if err := json.Unmarshal(body, &got); err != nil {
		return err.Error()
	}
	return shape("", want, got)
}

func shape(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return path + " is no object"
		}
		for name, value := range want {
			if there, ok := got[name]; !ok {
				return path + "." + name + " is missing"
			} else if d := shape(path+"."+name, value, there); d != "" {
				return d
			}
		}
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) < len(want) {
			return fmt.Sprintf("%s is no list of at least %d", path, len(want))
		}
		for i, value := range want {
			if d := shape(fmt.Sprintf("%s[%d]", path, i), value, got[i]); d != "" {
				return d
			}
		}
	case string:
		got, ok := got.(string)
		if !ok {
			return path + " is no string"
		}
		if _, err := time.Parse(time.RFC3339, want); err == nil {
			if _, err := time.Parse(time.RFC3339, got); err != nil {
				return path + " is no time: " + got
			}
		}
		switch path {
		case ".status", ".message", ".seed":
			if got != want && want != "Error message description" {
				return fmt.Sprintf("%s is %q, not %q", path, got, want)
			}
		}
	case float64:
		if got, ok := got.(float64); !ok || got != float64(int64(got)) {
			return path + " is no integer"
		}
	case bool:
		if got, ok := got.(bool); !ok || got != want {
			return path + " is not " + strconv.FormatBool(want)
		}
	}
	return ""
}

// A checklist holds a check for each thing that a document says, by how that
// begins, and notices what neither has.
type checklist struct {
	checks map[string]func()
	made   map[string]bool
}

func newChecklist(checks map[string]func()) *checklist {
	return &checklist{checks, make(map[string]bool)}
}

// check makes the one check of what is said.
func (c *checklist) check(t *testing.T, said string) {
	t.Helper()
	found := ""
	for begin := range c.checks {
		if strings.HasPrefix(said, begin) && len(begin) > len(found) {
			found = begin
		}
	}
	if found == "" {
		t.Errorf("nothing checks %q", said)
		return
	}
	c.made[found] = true
	t.Log(said)
	c.checks[found]()
}

// complete wants that nothing is checked that no document says.
func (c *checklist) complete(t *testing.T) {
	t.Helper()
	for begin := range c.checks {
		if !c.made[begin] {
			t.Errorf("no document says %q", begin)
		}
	}
}

// field returns a field of a JSON object, as text.
func field(t *testing.T, body []byte, name string) string {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil || object[name] == nil {
		t.Fatalf("no %s in %s: %v", name, body, err)
	}
	return fmt.Sprint(object[name])
}
