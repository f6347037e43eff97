package broker_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/persistence"
	"kith/streams"
	"kith/streams/broker"
	"kith/streams/publish"
	"kith/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a world with a broker and the tail that publishes to it.
type house struct {
	*streamstest.World

	dir      string
	listen   string
	registry *prometheus.Registry
	broker   *broker.Broker
	tail     *publish.Tail
	stops    []func()
}

func newHouse(tb testing.TB) *house {
	tb.Helper()
	h := &house{World: streamstest.NewWorld(tb), dir: filepath.Join(tb.TempDir(), "broker"), listen: "127.0.0.1:0", registry: prometheus.NewRegistry()}
	tb.Cleanup(func() { h.close() })
	return h
}

// open starts broker and tail, on the port of the last time.
func (h *house) open() {
	h.T.Helper()
	h.openBroker()
	tail, err := publish.New(publish.Config{
		Name: persistence.TailBroker, Journal: h.DB, Lanes: h.DB, Directory: h.DB, Committer: h.Committer,
		Client: h.broker.Client(), Topics: h.broker.Topics(), Ends: h.broker, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		h.T.Fatal(err)
	}
	h.tail = tail
	h.stops = append(h.stops, h.Background(tail.Run))
}

func (h *house) openBroker() {
	h.T.Helper()
	h.registry = prometheus.NewRegistry()
	b, err := broker.Open(h.T.Context(), h.config())
	if err != nil {
		h.T.Fatal(err)
	}
	h.broker, h.listen = b, b.Addr().String()
	h.stops = append(h.stops, func() {
		if err := b.Close(); err != nil {
			h.T.Error(err)
		}
	}, h.Background(b.Run))
}

func (h *house) config() broker.Config {
	return broker.Config{
		Dir: h.dir, Listen: h.listen, Ledger: h.DB, Heads: h.DB.Heads, Node: h.Committer.Node,
		Bytes: broker.MinBytes, Logger: slog.New(slog.NewTextHandler(h.T.Output(), nil)), Registerer: h.registry,
	}
}

// close ends broker and tail.
func (h *house) close() {
	for _, stop := range slices.Backward(h.stops) {
		stop()
	}
	h.stops = nil
}

// reopen closes all, does something to the files, and opens all again.
func (h *house) reopen(between func()) {
	h.T.Helper()
	h.close()
	between()
	h.Restart()
	h.open()
}

// published waits until everything is published and its marks are kept.
func (h *house) published() {
	h.T.Helper()
	heads, err := h.DB.Heads(h.T.Context())
	if err != nil {
		h.T.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		marks, err := h.DB.Marks(h.T.Context(), persistence.TailBroker)
		if err != nil {
			h.T.Fatal(err)
		}
		state, err := h.DB.BrokerState(h.T.Context())
		if err != nil {
			h.T.Fatal(err)
		}
		if marks == heads && !state.Refilling {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			h.T.Fatalf("marks %v, want %v; refilling %v", marks, heads, state.Refilling)
		}
	}
}

// restarts returns how often the broker started over at its last opening, for a
// reason or "" for any.
func (h *house) restarts(reason string) int {
	h.T.Helper()
	n := 0
	families, err := h.registry.Gather()
	if err != nil {
		h.T.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "kith_broker_restarts_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if reason == "" || m.GetLabel()[0].GetValue() == reason {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

func view(id string) user.RecordActivity {
	return user.RecordActivity{Activity: user.Activity{EventID: id, Type: user.ActivityView, MovieID: 1, OccurredAt: streamstest.Time()}, At: time.Now()}
}

// fill registers two users and records n events of the first.
func (h *house) fill(n int) {
	h.T.Helper()
	h.Register(1, 2)
	for i := range n {
		h.Do(1, view(fmt.Sprint("e", i)))
	}
}

// events returns the ids of the events that a plain client finds.
func (h *house) events(n int) []string {
	h.T.Helper()
	var ids []string
	for _, r := range streamstest.Consume(h.T, h.broker.Addr().String(), streams.TopicActivity).Await(n) {
		ids = append(ids, streamstest.Header(r, "ce_id"))
	}
	return ids
}

// want returns the ids of n events of user 1, which follow the registration.
func want(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s/%d", streamstest.UID(1), i+2))
	}
	return ids
}

func TestWhatIsPublishedSurvivesARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	h.fill(20)
	h.published()
	h.reopen(func() {})
	h.Do(1, view("last"))
	h.published()
	if got := h.events(21); !slices.Equal(got, want(21)) {
		t.Errorf("events %v", got)
	}
	if n := h.restarts(""); n != 0 {
		t.Errorf("the broker started over %d times", n)
	}
}

// TestFilesThatCannotBeTrustedAreMadeAgain breaks the files of a broker in each
// way that is known to, and finds everything again afterwards.
func TestFilesThatCannotBeTrustedAreMadeAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		breaks func(h *house) error
		reason string
	}{
		"deleted": {func(h *house) error { return os.RemoveAll(h.dir) }, "behind"},
		"empty": {func(h *house) error {
			return errors.Join(os.RemoveAll(h.dir), os.Mkdir(h.dir, 0o700))
		}, "behind"},
		"empty topics":     {func(h *house) error { return os.Truncate(filepath.Join(h.dir, "topics.json"), 0) }, "damaged"},
		"no topics":        {func(h *house) error { return os.Remove(filepath.Join(h.dir, "topics.json")) }, "damaged"},
		"empty meta":       {func(h *house) error { return os.Truncate(filepath.Join(h.dir, "meta.json"), 0) }, "damaged"},
		"no meta":          {func(h *house) error { return os.Remove(filepath.Join(h.dir, "meta.json")) }, "damaged"},
		"torn end":         {func(h *house) error { return os.Truncate(h.segment(), size(h.T, h.segment())-7) }, "behind"},
		"a missing file":   {func(h *house) error { return os.Remove(h.segment()) }, "behind"},
		"a flipped bit":    {func(h *house) error { return flip(h.segment(), 70) }, "behind"},
		"segments missing": {func(h *house) error { return os.RemoveAll(filepath.Join(h.dir, "partitions")) }, "behind"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.open()
			h.fill(30)
			h.published()
			h.reopen(func() { must(t, test.breaks(h)) })
			if got := h.restarts(test.reason); got != 1 {
				t.Errorf("started over %d times because it was %s, want once", got, test.reason)
			}
			h.Do(1, view("last"))
			h.published()
			if got := h.events(31); !slices.Equal(got, want(31)) {
				t.Errorf("events %v", got)
			}
			latest := streamstest.Consume(t, h.broker.Addr().String(), streams.TopicLatestUsers).Await(4)
			if len(latest) != 4 { // from the journal, and the refill
				t.Errorf("%d records of the latest users, want 4", len(latest))
			}
			h.reopen(func() {}) // and all is well
			if n := h.restarts(""); n != 0 {
				t.Errorf("the broker started over again")
			}
		})
	}
}

func TestWhatIsPublishedSurvivesAKill(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	h.fill(20)
	h.published()
	killed := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(killed, os.DirFS(h.dir))) // nothing was closed
	h.reopen(func() {
		must(t, os.RemoveAll(h.dir))
		must(t, os.CopyFS(h.dir, os.DirFS(killed)))
	})
	if n := h.restarts(""); n != 0 {
		t.Errorf("the broker started over %d times", n)
	}
	h.Do(1, view("last"))
	h.published()
	if got := h.events(21); !slices.Equal(got, want(21)) {
		t.Errorf("events %v", got)
	}
}

// TestDamageInTheMiddleIsSeen breaks what is not the end, so that the end offsets
// are as they should be.
func TestDamageInTheMiddleIsSeen(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]func(file string) error{
		"a missing file": os.Remove,
		"a torn file":    func(file string) error { return os.Truncate(file, 300<<10) },
		"a flipped bit":  func(file string) error { return flip(file, 300<<10) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.openBroker()
			client, err := kgo.NewClient(append(h.broker.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
			must(t, err)
			defer client.Close()
			for range 20 { // of 100 KiB, into files of 512 KiB
				must(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: streams.TopicUsers, Value: bytes.Repeat([]byte("x"), 100<<10)}).FirstErr())
			}
			h.close()
			files, err := filepath.Glob(filepath.Join(h.dir, "partitions", streams.TopicUsers+"-0", "*.dat"))
			must(t, err)
			slices.SortFunc(files, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
			if len(files) < 3 {
				t.Fatalf("files %v, want some", files)
			}
			must(t, breaks(files[1]))
			h.Restart()
			h.openBroker()
			if h.restarts("damaged") != 1 {
				t.Error("nobody saw it")
			}
		})
	}
}

func TestFilesOfAnEarlierDayAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	h.fill(10)
	h.published()
	old := filepath.Join(t.TempDir(), "copy")
	h.reopen(func() { must(t, os.CopyFS(old, os.DirFS(h.dir))) })
	for i := range 10 {
		h.Do(1, view(fmt.Sprint("f", i)))
	}
	h.published()
	h.reopen(func() {
		must(t, os.RemoveAll(h.dir))
		must(t, os.CopyFS(h.dir, os.DirFS(old)))
	})
	if h.restarts("behind") != 1 {
		t.Error("old files were taken for the newest")
	}
	h.published()
	if got := h.events(20); !slices.Equal(got, want(20)) {
		t.Errorf("events %v", got)
	}
}

func TestATornLogOfGroupsIsMended(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	h.fill(3)
	h.published()
	commitOffset(t, h, "g1", 3)
	log := filepath.Join(h.dir, "groups.log")
	h.reopen(func() { // a write that a crash cut short
		f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.Write([]byte{200, 0, 0, 0, 1, 2, 3})
		must(t, err)
		must(t, f.Close())
	})
	commitOffset(t, h, "g2", 2)
	h.reopen(func() {})
	if got := offsets(t, h, "g1"); got != 3 {
		t.Errorf("the group before is at %d, want 3", got)
	}
	if got := offsets(t, h, "g2"); got != 2 {
		t.Errorf("the group after is at %d, want 2", got)
	}
	if n := h.restarts(""); n != 0 {
		t.Error("the broker started over")
	}
}

func admin(t *testing.T, h *house) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(h.broker.Addr().String()))
	must(t, err)
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

func commitOffset(t *testing.T, h *house, group string, offset int64) {
	t.Helper()
	var o kadm.Offsets
	o.Add(kadm.Offset{Topic: streams.TopicActivity, Partition: 0, At: offset})
	must(t, admin(t, h).CommitAllOffsets(t.Context(), group, o))
}

func offsets(t *testing.T, h *house, group string) int64 {
	t.Helper()
	fetched, err := admin(t, h).FetchOffsets(t.Context(), group)
	must(t, err)
	o, _ := fetched.Lookup(streams.TopicActivity, 0)
	return o.At
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// segment returns the file of the events of user 1.
func (h *house) segment() string {
	h.T.Helper()
	files, err := filepath.Glob(filepath.Join(h.dir, "partitions", streams.TopicActivity+"-*", "*.dat"))
	must(h.T, err)
	files = slices.DeleteFunc(files, func(f string) bool { return size(h.T, f) == 0 })
	if len(files) != 1 {
		h.T.Fatalf("segments %v, want one", files)
	}
	return files[0]
}

func size(tb testing.TB, path string) int64 {
	tb.Helper()
	info, err := os.Stat(path)
	must(tb, err)
	return info.Size()
}

// flip changes one bit of a file.
func flip(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	b[0] ^= 1
	_, written := f.WriteAt(b, at)
	return errors.Join(err, written, f.Close())
}

func TestTheTopicsForgetBySizeAloneAndKeepTheirOffsets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.openBroker()
	client, err := kgo.NewClient(append(h.broker.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	must(t, err)
	defer client.Close()
	value := bytes.Repeat([]byte("x"), 100<<10)
	old := time.Now().AddDate(-1, 0, 0)
	for range 200 { // 20 MiB into a partition that has 4
		must(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: streams.TopicUsers, Value: value, Timestamp: old}).FirstErr())
	}
	h.broker.Sweep(false)
	adm := kadm.NewClient(client)
	starts, err := adm.ListStartOffsets(t.Context(), streams.TopicUsers)
	must(t, err)
	start, _ := starts.Lookup(streams.TopicUsers, 0)
	if start.Offset < 150 || start.Offset > 190 {
		t.Errorf("the partition begins at %d, want about 160", start.Offset)
	}
	var stored int64
	files, err := filepath.Glob(filepath.Join(h.dir, "partitions", streams.TopicUsers+"-0", "*.dat"))
	must(t, err)
	for _, f := range files {
		stored += size(t, f)
	}
	if stored > 6<<20 {
		t.Errorf("%d bytes are stored, want at most a segment above 4 MiB", stored)
	}
	h.close()
	h.Restart()
	h.openBroker()
	client2, err := kgo.NewClient(h.broker.Client()...)
	must(t, err)
	defer client2.Close()
	ends, err := kadm.NewClient(client2).ListEndOffsets(t.Context(), streams.TopicUsers)
	must(t, err)
	if end, _ := ends.Lookup(streams.TopicUsers, 0); end.Offset != 200 {
		t.Errorf("the partition ends at %d, want 200", end.Offset)
	}
}

func TestTheLatestUsersAreCompacted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	h.Register(1, 3)
	for i := range 20 {
		name := fmt.Sprint("Name", i)
		h.Do(1, user.UpdateProfile{Name: &name, At: time.Now()})
		h.published()
	}
	h.Do(3, user.Delete{At: time.Now()})
	h.published()
	h.broker.Sweep(true)
	byKey := make(map[string][]string)
	consumer := streamstest.Consume(t, h.broker.Addr().String(), streams.TopicLatestUsers)
	consumer.Until(func(all []*kgo.Record) bool {
		clear(byKey)
		for _, r := range all {
			byKey[string(r.Key)] = append(byKey[string(r.Key)], string(r.Value))
		}
		ends := byKey[streamstest.UID(3).String()]
		return len(byKey) == 3 && len(ends) > 0 && ends[len(ends)-1] == "" &&
			strings.Contains(strings.Join(byKey[streamstest.UID(1).String()], ""), "Name19")
	})
	if got := byKey[streamstest.UID(1).String()]; len(got) > 2 { // the newest batch is left alone
		t.Errorf("%d records of a user are left, want at most 2", len(got))
	}
}

func TestGarbageOnThePortHarmsNobody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.open()
	frame := func(size uint32, key, version int16) []byte {
		b := binary.BigEndian.AppendUint32(nil, size)
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		return append(binary.BigEndian.AppendUint16(b, uint16(version)), make([]byte, 64)...)
	}
	for name, garbage := range map[string][]byte{
		"http":            []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"unknown kind":    frame(64, 9999, 0),
		"negative kind":   frame(64, -1, 0),
		"unknown version": frame(64, 0, 999),
		"huge":            frame(1<<31, 0, 9),
		"tiny":            frame(1, 18, 0),
		"nothing":         {},
		"zeroes":          frame(68, 3, 12),
	} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.broker.Addr().String())
		must(t, err)
		_, err = c.Write(garbage)
		must(t, err)
		if name == "nothing" || name == "zeroes" {
			must(t, c.Close())
			continue
		}
		must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		if b, err := io.ReadAll(c); len(b) > 0 || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: answered %d bytes, %v; want the end", name, len(b), err)
		}
		must(t, c.Close())
	}
	h.fill(3)
	h.published()
	if got := h.events(3); !slices.Equal(got, want(3)) {
		t.Errorf("events %v", got)
	}
}

func TestAPortThatIsTakenIsSaid(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close() //nolint:errcheck // of the test alone
	h.listen = l.Addr().String()
	if _, err := broker.Open(t.Context(), h.config()); err == nil || !strings.Contains(err.Error(), h.listen) {
		t.Errorf("error %v, want one that names %s", err, h.listen)
	}
}

func TestABrokerAdvertisesWhatItIsTold(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	cfg := h.config()
	cfg.Listen, cfg.Advertise = "0.0.0.0:0", "kafka.example.com"
	b, err := broker.Open(t.Context(), cfg)
	must(t, err)
	defer b.Close() //nolint:errcheck // always nil
	client, err := kgo.NewClient(b.Client()...)
	must(t, err)
	defer client.Close()
	meta, err := kadm.NewClient(client).BrokerMetadata(t.Context())
	must(t, err)
	if len(meta.Brokers) != 1 || meta.Brokers[0].Host != "kafka.example.com" {
		t.Errorf("brokers %+v", meta.Brokers)
	}
}
