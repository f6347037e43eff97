package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/client"
	"kith/test/kithtest"
)

// Members of the storm write and follow each other, and each has as many streams;
// idols are only followed.
const (
	members, streamsOf, idols = 10, 3, 12
	// Between two cuts there are so many writes, and at most so much time more.
	writesCut, restCut = 5, 24 * time.Millisecond
	// catchUp bounds how long the streams may need for what is left at the end.
	catchUp = time.Minute
	// leastJudged is how much there must be to judge.
	leastJudged = 500
	// lastName is what members are called at the end.
	lastName = "The end"
)

// size returns how often a connection is cut and how often the server is killed.
func size() (cuts, kills int) {
	if raced || testing.Short() {
		return 150, 3
	}
	return 1000, 10
}

// storm is many who write to one server and follow each other, while connections
// are cut and the server is killed.
type storm struct {
	w       *world
	ctx     context.Context //nolint:containedctx // of the writers and streams, which end together
	stop    context.CancelFunc
	members []*member
	idols   []*member
	streams []*stream
	acks    atomic.Int64 // answered writes
	end     time.Time    // all streams had seen all

	byID       map[string]*deed
	complaints int

	mu  sync.Mutex
	ids map[[2]string]string // of records, by what they tell: the same for everybody
}

func (s *storm) everybody() []*member { return append(append([]*member{}, s.members...), s.idols...) }

func (s *storm) deeds() (all []*deed) {
	for _, m := range s.everybody() {
		all = append(all, m.deeds...)
	}
	return all
}

// fail fails the test and ends the storm.
func (s *storm) fail(format string, args ...any) {
	if s.ctx.Err() == nil {
		s.w.t.Errorf(format, args...)
	}
	s.stop()
}

// seed returns the seed of a test's choices.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := rand.Uint64()
	if given := os.Getenv("KITH_LIVE_SEED"); given != "" {
		var err error
		if s, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KITH_LIVE_SEED: %v", err)
		}
	}
	t.Logf("KITH_LIVE_SEED=%d", s)
	return s
}

// stream is a client of a member, over all its connections.
type stream struct {
	name   string
	storm  *storm
	member *member

	mu    sync.Mutex
	conn  net.Conn // of now
	told  []told
	begun bool
	ready chan struct{}   // closed when it was connected once
	ends  map[string]bool // the names of those who were seen at their end
}

// client returns what connects, and notes the connection.
func (f *stream) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.conn = c
			return c, err //nolint:wrapcheck // it is the dialer's
		},
	}}
}

// cut ends the connection without a goodbye, and reports whether there was one.
func (f *stream) cut(reset bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, _ := f.conn.(*net.TCPConn)
	if c == nil {
		return false
	}
	if reset {
		_ = c.SetLinger(0)
	}
	f.conn = nil
	return c.Close() == nil
}

// run follows the stream until the storm ends.
func (f *stream) run() {
	s, err := client.New(client.Config{
		BaseURL: f.storm.w.URL(), Token: f.member.Token(), HTTPClient: f.client(), First: 5 * time.Millisecond, Most: 100 * time.Millisecond,
	})
	if err != nil {
		f.storm.fail("%v", err)
		return
	}
	if err := s.Run(f.storm.ctx, f.take); err != nil {
		f.storm.fail("%s ends: %v", f.name, err)
	}
}

// take notes a frame.
func (f *stream) take(in client.Frame) error {
	one := frame{Type: in.Type, ID: in.ID, raw: string(in.Raw)}
	if len(in.Data) > 0 {
		if err := json.Unmarshal(in.Data, &one.Data); err != nil {
			return err //nolint:wrapcheck // it is shown with the frame
		}
	}
	switch in.Type {
	case "ready":
		if f.begun && one.Data["resumed"] != true {
			f.storm.fail("%s is not resumed: %s", f.name, one.raw)
		}
		if !f.begun {
			f.begun = true
			close(f.ready)
		}
	case "gap", "error":
		f.storm.fail("%s is told of %s", f.name, one.raw)
	}
	if one.ID == "" {
		return nil
	}
	if !recordID.MatchString(one.ID) {
		f.storm.fail("%s is told of %s", f.name, one.raw)
		return nil
	}
	note := told{kind: one.Type, uid: one.ID[:32], about: one.event(), at: time.Now()}
	note.seq, _ = strconv.ParseUint(one.ID[33:], 10, 64)
	if note.about == "" {
		note.about = one.username()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if u, _ := one.Data["user"].(map[string]any); one.Type == "profile.updated" && u["name"] == lastName {
		f.ends[note.about] = true
	}
	f.told = append(f.told, note)
	if one.event() != "" {
		f.storm.stable(one.Type, note.about, one.ID)
	}
	return nil
}

// stable wants that everybody is told of the same by the same id.
func (s *storm) stable(kind, about, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{kind, about}
	if was, there := s.ids[key]; there && was != id {
		s.w.t.Errorf("%s %s is %s and %s", kind, about, was, id)
	}
	s.ids[key] = id
}

// complete reports whether the stream was told of the end of all whom its member
// follows, and of its own.
func (f *stream) complete() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, other := range f.storm.everybody() {
		if (other == f.member || f.member.edge(other).now()) && !f.ends[other.username] {
			return false
		}
	}
	return true
}

// Members follow each other live, from many streams, while they write, follow,
// unfollow and hide. Connections are cut a thousand times without a goodbye, and the
// server is killed ten times. Every stream is told of everything that its user was
// allowed to see, in the order of each journal, by the same ids, and of nothing that
// they were not.
func TestNothingIsLostInAStorm(t *testing.T) {
	t.Parallel()
	w := lasting(t)
	rng := rand.New(rand.NewPCG(seed(t), 0))
	s := &storm{w: w, ids: make(map[[2]string]string), byID: make(map[string]*deed)}
	s.ctx, s.stop = context.WithCancel(t.Context())
	for i := range members {
		s.members = append(s.members, s.member(fmt.Sprintf("member_%d", i), rng.Uint64()))
	}
	for i := range idols {
		s.idols = append(s.idols, s.member(fmt.Sprintf("idol_%d", i), rng.Uint64()))
	}
	for _, i := range s.idols { // shows all
		i.privacy(map[string]any{"watch_history_public": true})
		i.views.first = true
	}
	for _, m := range s.everybody() {
		for _, other := range s.everybody() {
			m.follows[other] = &history[bool]{}
		}
	}
	var following sync.WaitGroup
	defer following.Wait()
	defer s.stop()
	for _, m := range s.members {
		for n := range streamsOf {
			f := &stream{name: fmt.Sprintf("stream %d of %s", n, m.username), storm: s, member: m, ready: make(chan struct{}), ends: make(map[string]bool)}
			s.streams = append(s.streams, f)
			following.Go(f.run)
		}
	}
	for _, f := range s.streams {
		select {
		case <-f.ready:
		case <-s.ctx.Done():
			return
		}
	}
	s.blow(rng)
	if s.ctx.Err() == nil {
		s.settle()
	}
	s.stop()
	following.Wait()
	if !t.Failed() {
		s.judgeAll()
	}
}

// blow lets members write while it cuts and kills.
func (s *storm) blow(rng *rand.Rand) {
	var writing sync.WaitGroup
	calm, over := make(chan struct{}), make(chan struct{})
	for _, m := range s.members {
		writing.Go(func() { m.write(calm, over) })
	}
	cuts, kills := size()
	calming, ending := sync.OnceFunc(func() { close(calm) }), sync.OnceFunc(func() { close(over) })
	defer writing.Wait()
	defer ending()
	for done, killed := 0, 0; done < cuts && s.ctx.Err() == nil; {
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(restCut)))):
		case <-s.ctx.Done():
		}
		if s.acks.Load() < int64(done*writesCut) {
			continue
		}
		if s.streams[rng.IntN(len(s.streams))].cut(rng.IntN(2) == 0) {
			done++
		}
		if done >= cuts/2 {
			calming()
		}
		if done >= (2*killed+1)*cuts/(2*kills) && killed < kills {
			s.w.Restart()
			killed++
		}
	}
}

// settle has everybody say that they have ended, and waits until every stream has
// heard it of all whom its member follows.
func (s *storm) settle() {
	if !s.w.eventually(func() bool { return s.w.Metric(`kith_tail_lag_records{tail="effects"}`) == 0 }) {
		s.w.t.Fatal("effects stay on their way")
	}
	for _, m := range s.everybody() {
		m.send(http.MethodPut, "/users/self", map[string]string{"name": lastName}, http.StatusOK)
	}
	ctx, cancel := context.WithTimeout(s.ctx, catchUp)
	defer cancel()
	for _, f := range s.streams {
		if !kithtest.Poll(ctx, retry, f.complete) {
			s.w.t.Errorf("%s never hears of the end of all whom its user follows: %v", f.name, f.ends)
			return
		}
	}
	s.end = time.Now()
}

// judgeAll judges every stream, and wants that there was enough to judge.
func (s *storm) judgeAll() {
	for _, d := range s.deeds() {
		s.byID[d.id] = d
	}
	due, never, frames := 0, 0, 0
	for _, f := range s.streams {
		d, n := s.judge(f)
		due, never, frames = due+d, never+n, frames+len(f.told)
	}
	s.w.t.Logf("%d events, %d frames; %d were due and %d were not to be shown", len(s.deeds()), frames, due, never)
	if due < leastJudged || never < leastJudged {
		s.w.t.Error("there was too little to judge")
	}
}
