package clients_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// lineTime bounds the wait for a line of a client.
const (
	lineTime = 30 * time.Second
	pollTime = 20 * time.Millisecond
)

// client is one run of a script.
type client struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // of standard output; closed at its end
	err   chan error  // of reading
	said  *complaints
}

// complaints is what a client writes to standard error.
type complaints struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

// String returns all of it.
func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// run starts a program. The end of the test ends it.
func run(t *testing.T, program string, args ...string) *client {
	t.Helper()
	c := &client{
		t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), program, args...),
		lines: make(chan string, 1000), err: make(chan error, 1), said: new(complaints),
	}
	var (
		out io.ReadCloser
		err error
	)
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if out, err = c.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = c.said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			c.lines <- lines.Text()
		}
		c.err <- lines.Err()
	}()
	t.Cleanup(c.kill)
	return c
}

// kill ends the client as a crash does: nothing is said to the server.
func (c *client) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Kill() // it may have ended
	for range c.lines {      // until all is read
	}
	_ = c.cmd.Wait() // that it was killed is no news
}

// line returns the next line.
func (c *client) line() string {
	c.t.Helper()
	timer := time.NewTimer(lineTime)
	defer timer.Stop()
	select {
	case line, ok := <-c.lines:
		if ok {
			return line
		}
		c.t.Fatalf("the client has ended: %v", <-c.err)
	case <-timer.C:
		c.t.Fatal("the client says nothing")
	}
	return ""
}

// frame is a frame of the server.
type frame struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Data struct {
		Cursor    string `json:"cursor"`
		Resumed   bool   `json:"resumed"`
		Code      string `json:"code"`
		Followers int    `json:"followers"`
		User      struct {
			Username string `json:"username"`
		} `json:"user"`
		Event struct {
			EventID string `json:"event_id"`
			Review  string `json:"review"`
		} `json:"event"`
	} `json:"data"`
}

// next returns the next frame of one of some types; others are passed over.
func (c *client) next(types ...string) frame {
	c.t.Helper()
	for {
		line := c.line()
		text, ok := strings.CutPrefix(line, "frame ")
		if !ok {
			c.t.Fatalf("instead of a frame of type %v: %s", types, line)
		}
		var f frame
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			c.t.Fatalf("%s: %v", text, err)
		}
		if slices.Contains(types, f.Type) {
			return f
		}
	}
}

// end wants that the client ends with a line, after frames.
func (c *client) end(want string) {
	c.t.Helper()
	for {
		line := c.line()
		if strings.HasPrefix(line, "frame ") {
			continue
		}
		if line != want {
			c.t.Errorf("it ends with %q, want %q", line, want)
		}
		return
	}
}

// send sends a text frame.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, text+"\n"); err != nil {
		c.t.Fatal(err)
	}
}
