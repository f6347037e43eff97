package kithtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shellHost is where commands that people type find the server.
const shellHost = "localhost:8080"

// Exchange is a request and what it was answered.
type Exchange struct {
	Request Request
	Answer  *Answer
}

// Shell does what a shell with curl and jq would, as far as the commands of the
// documents need it: a test of them needs nothing but Go. What it does not know
// fails the test. localhost:8080 is the server.
//
// It knows comments, continued lines, '…', "…", \, variables, name=…, name=$(…), |,
// > and curl, jq -r .field, echo, base64 -d and cmp.
type Shell struct {
	Variables map[string]string
	Exchanges []Exchange // in the order of the requests

	tb     testing.TB
	server *Server
	dir    string // where files are
}

// Shell returns a shell in an empty directory.
func (s *Server) Shell() *Shell {
	s.tb.Helper()
	return &Shell{Variables: map[string]string{}, tb: s.tb, server: s, dir: s.tb.TempDir()}
}

// Statuses returns the statuses of all answers.
func (sh *Shell) Statuses() []int {
	statuses := make([]int, len(sh.Exchanges))
	for i, e := range sh.Exchanges {
		statuses[i] = e.Answer.Status
	}
	return statuses
}

var (
	substitution = regexp.MustCompile(`^([a-z_]+)=\$\((.*)\)$`)
	assignment   = regexp.MustCompile(`^([a-z_]+)=(\S.*)$`)
)

// Run runs the commands of a script.
func (sh *Shell) Run(script string) {
	sh.tb.Helper()
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case substitution.MatchString(line):
			m := substitution.FindStringSubmatch(line)
			sh.Variables[m[1]] = strings.TrimRight(string(sh.pipeline(m[2])), "\n")
		case assignment.MatchString(line):
			m := assignment.FindStringSubmatch(line)
			value := sh.split(m[2])
			if len(value) != 1 {
				sh.tb.Fatalf("cannot read %q", line)
			}
			sh.Variables[m[1]] = value[0].text
		default:
			sh.pipeline(line)
		}
	}
}

// pipeline runs the commands of a line and returns what the last of them writes.
func (sh *Shell) pipeline(line string) []byte {
	sh.tb.Helper()
	var (
		out  []byte
		args []string
	)
	words := append(sh.split(line), word{"|", true})
	for i, w := range words {
		switch {
		case !w.operator:
			args = append(args, w.text)
		case w.text == "|":
			out, args = sh.command(line, args, out), nil
		case i+1 < len(words) && !words[i+1].operator:
			out = sh.command(line, args, out)
			if i+3 != len(words) {
				sh.tb.Fatalf("cannot read %q", line)
			}
			sh.write(words[i+1].text, out)
			return nil
		}
	}
	return out
}

func (sh *Shell) command(line string, args []string, in []byte) []byte {
	sh.tb.Helper()
	switch {
	case len(args) > 0 && args[0] == "curl":
		return sh.curl(line, args[1:])
	case len(args) == 3 && args[0] == "jq" && args[1] == "-r":
		return sh.field(line, args[2], in)
	case len(args) == 2 && args[0] == "echo":
		return []byte(args[1] + "\n")
	case len(args) == 2 && args[0] == "base64" && args[1] == "-d":
		out, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(in)))
		if err != nil {
			sh.tb.Fatalf("%q: %v", line, err)
		}
		return out
	case len(args) == 3 && args[0] == "cmp":
		if !bytes.Equal(sh.read(args[1]), sh.read(args[2])) {
			sh.tb.Errorf("%q: they differ", line)
		}
		return nil
	}
	sh.tb.Fatalf("cannot run %q", line)
	return nil
}

// field returns a field of a JSON object, as jq -r does: .a, .a.b, or .a[0].b.
func (sh *Shell) field(line, path string, in []byte) []byte {
	sh.tb.Helper()
	var value any
	if err := json.Unmarshal(in, &value); err != nil {
		sh.tb.Fatalf("%q: %v: %s", line, err, in)
	}
	names, ok := strings.CutPrefix(path, ".")
	for name := range strings.SplitSeq(names, ".") {
		name, _, first := strings.Cut(name, "[0]")
		object, isObject := value.(map[string]any)
		value = object[name]
		if list, isList := value.([]any); first && isList && len(list) > 0 {
			value = list[0]
		}
		if !ok || !isObject || value == nil {
			sh.tb.Fatalf("%q: there is no %s in %s", line, path, in)
		}
	}
	return []byte(fmt.Sprint(value) + "\n")
}

// curl sends the request of a command and returns the body of the answer.
func (sh *Shell) curl(line string, args []string) []byte {
	sh.tb.Helper()
	var (
		request = Request{Header: http.Header{}}
		method  string
		to      string
	)
	for i := 0; i < len(args); i++ {
		value := func() string {
			if i++; i == len(args) {
				sh.tb.Fatalf("%q ends too early", line)
			}
			return args[i]
		}
		body := func(content any, kind string) {
			request.Body = content
			if request.Header.Get("Content-Type") == "" {
				request.Header.Set("Content-Type", kind)
			}
			if method == "" {
				method = http.MethodPost
			}
		}
		switch args[i] {
		case "-s", "-i", "-si": // headers are of the Exchange
		case "-X":
			method = value()
		case "-H":
			name, content, _ := strings.Cut(value(), ":")
			request.Header.Set(name, strings.TrimSpace(content))
		case "-d":
			body(value(), "application/x-www-form-urlencoded")
		case "--json":
			body(value(), "application/json")
		case "--data-binary":
			file, ok := strings.CutPrefix(value(), "@")
			if !ok {
				sh.tb.Fatalf("cannot read %q", line)
			}
			body(sh.read(file), "application/x-www-form-urlencoded")
		case "-D":
			if value() != "-" {
				sh.tb.Fatalf("cannot read %q", line)
			}
		case "-o":
			to = value()
		default:
			path, ok := strings.CutPrefix(args[i], shellHost)
			if !ok {
				path, ok = strings.CutPrefix(args[i], sh.server.URL())
			}
			if !ok || request.Path != "" {
				sh.tb.Fatalf("cannot read %q of %q", args[i], line)
			}
			request.Path = path
		}
	}
	if request.Method = method; method == "" {
		request.Method = http.MethodGet
	}
	answer := sh.Send(request)
	sh.Exchanges = append(sh.Exchanges, Exchange{request, answer})
	if to != "" {
		if slices.Contains(args, "-i") || slices.Contains(args, "-si") {
			sh.tb.Fatalf("%q writes headers to a file", line)
		}
		sh.write(to, answer.Body)
		return nil
	}
	return answer.Body
}

// Send sends a request without noting it.
func (sh *Shell) Send(request Request) *Answer {
	sh.tb.Helper()
	answer, err := sh.server.Client().Do(sh.tb.Context(), request)
	if err != nil {
		sh.tb.Fatal(err)
	}
	sh.tb.Logf("%s %s: %d", request.Method, request.Path, answer.Status)
	return answer
}

func (sh *Shell) path(name string) string {
	if name != filepath.Base(name) {
		sh.tb.Fatalf("%s is not in this directory", name)
	}
	return filepath.Join(sh.dir, name)
}

func (sh *Shell) read(name string) []byte {
	sh.tb.Helper()
	b, err := os.ReadFile(sh.path(name))
	if err != nil {
		sh.tb.Fatal(err)
	}
	return b
}

func (sh *Shell) write(name string, content []byte) {
	sh.tb.Helper()
	if err := os.WriteFile(sh.path(name), content, 0o600); err != nil {
		sh.tb.Fatal(err)
	}
}

// word is a word of a command, or an operator between commands.
type word struct {
	text     string
	operator bool
}

// split splits a command as a shell does: '…' is taken as it is, in "…" and
// outside $name is replaced.
func (sh *Shell) split(command string) []word {
	var (
		words []word
		text  strings.Builder
		begun bool
		quote rune
		plain bool // the next character means itself
	)
	end := func() {
		if begun {
			expanded := os.Expand(text.String(), func(name string) string { return sh.Variables[name] })
			words = append(words, word{text: strings.ReplaceAll(expanded, "\x00", "$")})
		}
		text.Reset()
		begun = false
	}
	for _, r := range command + " " {
		switch {
		case plain && r != '$':
			text.WriteRune(r)
			plain, begun = false, true
		case quote != '\'' && r == '\\':
			plain = true
		case quote == 0 && r == ' ':
			end()
		case quote == 0 && (r == '|' || r == '>'):
			end()
			words = append(words, word{string(r), true})
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote != 0 && r == quote:
			quote = 0
		case (quote == '\'' || plain) && r == '$':
			text.WriteByte(0) // not the start of a name
			plain, begun = false, true
		default:
			text.WriteRune(r)
			begun = true
		}
	}
	return words
}
