// Package main_test runs the example against a real kith.
package main_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

const (
	topic = "kith.activity.v1"
	// tableTime bounds what has to show, on a busy machine.
	tableTime = time.Minute
	pollTime  = 20 * time.Millisecond
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

// table is the views by movie.
type table map[int64]int

// process is one run of the example.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	tables chan table // closed at the end
	said   strings.Builder
	kill   func()
}

// build builds the example.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trending")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// start runs the example. The end of the test ends it.
func start(t *testing.T, program, broker string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), program, args...), tables: make(chan table)}
	p.cmd.Env = append(os.Environ(), "TRENDING_BROKERS="+broker, "TRENDING_INTERVAL=50ms")
	p.cmd.Stderr = &p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(bufio.NewScanner(out))
	p.kill = sync.OnceFunc(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		p.drain()
		_ = p.cmd.Wait() // that it was killed is no news
	})
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("it says:\n%s", p.said.String())
		}
	})
	return p
}

// read reads tables: a title, the heading, rows, and an empty line.
func (p *process) read(lines *bufio.Scanner) {
	defer close(p.tables)
	now := table{}
	for lines.Scan() {
		var rank, views, viewers int
		var movie int64
		if lines.Text() == "" {
			p.tables <- now
			now = table{}
			continue
		}
		if _, err := fmt.Sscanf(lines.Text(), "%d%d%d%d", &rank, &movie, &views, &viewers); err == nil && rank > 0 && movie > 0 {
			now[movie] = views
		}
	}
}

func (p *process) drain() {
	for range p.tables { // until its end
	}
}

// shows waits for a table.
func (p *process) shows(want table) {
	p.t.Helper()
	timer := time.NewTimer(tableTime)
	defer timer.Stop()
	var last table
	for !maps.Equal(last, want) {
		select {
		case now, ok := <-p.tables:
			if !ok {
				p.t.Fatalf("it has ended:\n%s", p.said.String())
			}
			last = now
		case <-timer.C:
			p.t.Fatalf("it shows %v, not %v", last, want)
		}
	}
}

// keeps wants that the next tables are all the same.
func (p *process) keeps(want table) {
	p.t.Helper()
	for range 5 {
		if now := <-p.tables; !maps.Equal(now, want) {
			p.t.Errorf("it shows %v, not %v", now, want)
		}
	}
}

// stop ends it as an operator does.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.drain()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("it ends with %v:\n%s", err, p.said.String())
	}
}

// person is a user of the server.
type person struct {
	t      *testing.T
	client *kithtest.Client
	events int
}

func register(t *testing.T, s *kithtest.Server, username string) *person {
	t.Helper()
	a, err := s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: username, Password: "correct horse battery"})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("register: %v %s", err, a)
	}
	return &person{t: t, client: s.Client().As(a.Token)}
}

func (p *person) send(method, path string, body any, status int) {
	p.t.Helper()
	a, err := p.client.Do(p.t.Context(), kithtest.Request{Method: method, Path: path, Body: body})
	if err != nil || a.Status != status {
		p.t.Fatalf("%s %s: %v %s", method, path, err, a)
	}
}

// views records that movies were watched, and returns the id of the last event.
func (p *person) views(movies ...int64) (event string) {
	p.t.Helper()
	for _, m := range movies {
		p.events++
		event = fmt.Sprintf("view-%d", p.events)
		p.send(http.MethodPost, "/users/self/events", map[string]any{"event_id": event, "type": "view", "movie_id": m}, http.StatusCreated)
	}
	return event
}

func (p *person) deletes(event string) {
	p.t.Helper()
	p.send(http.MethodDelete, "/users/self/events/"+event, nil, http.StatusOK)
}

// plain returns a Kafka client.
func plain(t *testing.T, broker string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(broker))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestTrending(t *testing.T) {
	t.Parallel()
	program := build(t)
	for name, test := range map[string]func(t *testing.T, program string){
		"views count once through stops and crashes":         countOnce,
		"reading goes on from the offsets of the group":      goOn,
		"settings that make no sense are refused at a start": refuse,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

func countOnce(t *testing.T, program string) {
	t.Helper()
	broker := kithtest.FreePort(t)
	s := kith.Start(t, kithtest.Options{Env: []string{"KITH_KAFKA_LISTEN=" + broker}})
	ada, bob := register(t, s, "trending_ada"), register(t, s, "trending_bob")
	first := ada.views(603)
	ada.views(603)
	ada.deletes(ada.views(604))
	bob.views(603)
	bob.send(http.MethodPost, "/users/self/events", map[string]any{"type": "rating", "movie_id": 605, "rating": 8}, http.StatusCreated)

	p := start(t, program, broker)
	p.shows(table{603: 3})
	p.stop()
	bob.views(604, 604)
	ada.deletes(first)
	p = start(t, program, broker) // what it had counted counts, and what came meanwhile
	p.shows(table{603: 2, 604: 2})
	p.kill()
	p = start(t, program, broker)
	p.shows(table{603: 2, 604: 2})

	again(t, broker)
	ada.views(606) // behind all that came again
	bob.views(606)
	p.shows(table{603: 2, 604: 2, 606: 2})
	p.keeps(table{603: 2, 604: 2, 606: 2})

	// The broker lost its files: everything is published again, with the same ids and
	// other offsets.
	s.Stop()
	if err := os.RemoveAll(s.File("broker")); err != nil {
		t.Fatal(err)
	}
	s.Launch()
	s.AwaitReady()
	bob.views(607)
	p.shows(table{603: 2, 604: 2, 606: 2, 607: 1})
	p.keeps(table{603: 2, 604: 2, 606: 2, 607: 1})
	p.stop()
}

// again publishes all records of the topic a second time, as a crash of the server can.
func again(t *testing.T, broker string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), tableTime)
	defer cancel()
	client := plain(t, broker, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var records []*kgo.Record
	for int64(len(records)) < ends(t, broker) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records = append(records, &kgo.Record{Topic: topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
		})
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// ends returns how many records the topic ever got.
func ends(t *testing.T, broker string) (n int64) {
	t.Helper()
	listed, err := kadm.NewClient(plain(t, broker)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	listed.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

// goOn: what has left the window is never read again.
func goOn(t *testing.T, program string) {
	t.Helper()
	s := kith.Start(t, kithtest.Options{})
	broker := s.KafkaAddr()
	ada := register(t, s, "trending_ada")
	ada.views(603, 604)
	p := start(t, program, broker, "-window", "1s", "-group", "short")
	adm := kadm.NewClient(plain(t, broker))
	ctx, cancel := context.WithTimeout(t.Context(), tableTime)
	defer cancel()
	if !kithtest.Poll(ctx, pollTime, func() bool {
		<-p.tables // or it would wait for somebody to read them
		read := int64(0)
		offsets, err := adm.FetchOffsets(ctx, "short")
		if err != nil {
			t.Fatal(err)
		}
		offsets.Each(func(o kadm.OffsetResponse) { read += o.At })
		return read == 2
	}) {
		t.Fatal("it does not say how far it is")
	}
	p.stop()
	ada.views(605)
	p = start(t, program, broker, "-window", "1h", "-group", "short")
	p.shows(table{605: 1})
	p.stop()
}

func refuse(t *testing.T, program string) {
	t.Helper()
	for _, args := range [][]string{{"-window", "soon"}, {"-interval", "0s"}, {"-group", ""}, {"-top", "0"}, {"more"}} {
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "trending: ") {
			t.Errorf("%q: %v %s", args, err, out)
		}
	}
}
