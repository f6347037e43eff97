package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A request at a rate waits until it is due, and one that comes late counts from then.
func TestPacedRequestsAreDueInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, start := job{Rate: 250}, time.Now()
		if late := j.await(t.Context(), start, 25); !late.IsZero() || time.Since(start) != 100*time.Millisecond {
			t.Errorf("the 25th begins after %s, late since %s", time.Since(start), late)
		}
		if late := j.await(t.Context(), start, 5); !late.Equal(start.Add(20*time.Millisecond)) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("one due after 20 ms begins after %s, late since %s", time.Since(start), late)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if j.await(ctx, start, 1000); time.Since(start) != 100*time.Millisecond {
			t.Error("it waits although it is over")
		}
		unpaced := job{}
		if late := unpaced.await(t.Context(), start, 1000); !late.IsZero() || time.Since(start) != 100*time.Millisecond {
			t.Error("without a rate it waits")
		}
	})
}

// A paced job ends when it is told to, and what it asks at first does not count.
func TestPacedJobIsStopped(t *testing.T) {
	t.Parallel()
	const warm, enough = 5, 20
	people := newPeople(t, 500)
	if err := people.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 10_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if sent, err := sentOf(body); err != nil || time.Since(sent) < 0 {
			t.Errorf("an event was sent %s (%v)", sent, err)
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"event":{}}`)
		asked <- struct{}{}
	}))
	t.Cleanup(server.Close)
	j := job{
		Kind: loadEvent, Addr: strings.TrimPrefix(server.URL, "http://"), People: filepath.Join(t.TempDir(), "people"),
		Connections: 4, Rate: 2_000, Warm: warm, Timed: true,
	}
	if err := people.save(j.People); err != nil {
		t.Fatal(err)
	}
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := generate(t.Context(), in, out)
		ended <- errors.Join(err, in.Close(), out.Close())
	}()
	if err := json.NewEncoder(orders).Encode(&j); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(answers)
	if line, err := lines.ReadString('\n'); err != nil || line != readyLine {
		t.Fatalf("%q (%v)", line, err)
	}
	if _, err := io.WriteString(orders, goLine); err != nil {
		t.Fatal(err)
	}
	for range enough {
		<-asked
	}
	if _, err := io.WriteString(orders, stopLine); err != nil {
		t.Fatal(err)
	}
	var o outcome
	if err := json.NewDecoder(lines).Decode(&o); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // the end of the line
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if want := enough + len(asked) - warm; o.Done != want || o.Latency.total != uint64(want) {
		t.Errorf("%d requests count, %d durations, want %d", o.Done, o.Latency.total, want)
	}
}
