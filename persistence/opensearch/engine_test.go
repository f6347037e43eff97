package opensearch_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/opensearch"
)

func doc(id user.ID, version uint64, name string) persistence.SearchDocument {
	return persistence.SearchDocument{ID: id, Version: version, UID: user.UID{0: byte(id)}, Username: fmt.Sprint("user", id), Name: name}
}

func gone(id user.ID, version uint64) persistence.SearchDocument {
	return persistence.SearchDocument{ID: id, Version: version, Gone: true}
}

// bench is an engine with an index that was built from nothing.
type bench struct {
	t  *testing.T
	at string // the alias
	*opensearch.Engine
}

func newBench(t *testing.T, at string) *bench {
	t.Helper()
	index := "kith-" + strings.ToLower(rand.Text())
	b := &bench{t: t, at: at + "/" + index, Engine: open(t, opensearch.Config{URL: at + "?index=" + index})}
	if has := b.has(); has {
		t.Fatal("there is an index before one was built")
	}
	if _, err := b.Index(t.Context(), []persistence.SearchDocument{doc(1, 1, "Ann")}); !errors.Is(err, persistence.ErrNoIndex) {
		t.Fatalf("without an index, storing says %v", err)
	}
	if _, err := b.Search(t.Context(), persistence.SearchQuery{Word: "ann"}, persistence.SearchCursor{}, 1); !errors.Is(err, persistence.ErrNoIndex) {
		t.Fatalf("without an index, searching says %v", err)
	}
	b.build()
	return b
}

func (b *bench) has() bool {
	b.t.Helper()
	has, err := b.HasIndex(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return has
}

// build switches to an index of these documents.
func (b *bench) build(docs ...persistence.SearchDocument) {
	b.t.Helper()
	build := b.begin()
	b.stored(build.Index(b.t.Context(), docs))
	b.good(build.Switch(b.t.Context()))
}

func (b *bench) begin() persistence.SearchBuild {
	b.t.Helper()
	build, err := b.Build(b.t.Context())
	b.good(err)
	return build
}

func (b *bench) good(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stored(refused []persistence.RefusedDocument, err error) {
	b.t.Helper()
	if err != nil || len(refused) > 0 {
		b.t.Fatal(refused, err)
	}
}

func (b *bench) index(docs ...persistence.SearchDocument) {
	b.t.Helper()
	b.stored(b.Index(b.t.Context(), docs))
}

// finds wants that a word finds these users.
func (b *bench) finds(when, word string, want ...user.ID) {
	b.t.Helper()
	b.good(ask(b.t.Context(), http.MethodPost, b.at+"/_refresh", "", nil))
	hits, err := b.Search(b.t.Context(), persistence.SearchQuery{Word: word}, persistence.SearchCursor{}, 100)
	b.good(err)
	got := []user.ID{}
	for _, h := range hits {
		got = append(got, h.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("%s: %q finds %v, want %v", when, word, got, want)
	}
}

// indexes returns how many indexes there are.
func (b *bench) indexes() int {
	b.t.Helper()
	var all map[string]any
	b.good(ask(b.t.Context(), http.MethodGet, b.at+"-*/_alias", "", &all))
	return len(all)
}

func lateDocuments(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	b.index(doc(1, 5, "Ann"), doc(2, 1, "Bob"))
	b.index(doc(1, 4, "Zed"), doc(1, 5, "Zed"), doc(2, 7, "Bea"))
	b.finds("after a late one", "z")
	b.finds("after a late one", "a", 1)
	b.finds("after a new one", "be", 2)
	b.index(gone(1, 4), gone(2, 8), gone(3, 2))
	b.index(doc(2, 7, "Bea"), doc(3, 1, "Cid"))
	b.finds("after a late removal", "a", 1)
	b.finds("after a removal", "be")
	b.finds("after a removal of one who came later", "c")
}

func documentHolds(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	with := doc(2, 9, "Bob")
	with.ProfilePicture = "https://example.com/b.png"
	b.index(doc(1, 5, "Ann Lee"), with)
	for id, want := range map[int]string{
		1: `{"name":"Ann Lee","profile_picture":"","uid":"01000000000000000000000000000000","username":"user1"} 5`,
		2: `{"name":"Bob","profile_picture":"https://example.com/b.png","uid":"02000000000000000000000000000000","username":"user2"} 9`,
	} {
		var got struct {
			Source  map[string]any `json:"_source"`
			Version int            `json:"_version"`
		}
		b.good(ask(t.Context(), http.MethodGet, fmt.Sprintf("%s/_doc/%d", b.at, id), "", &got))
		source, err := json.Marshal(got.Source)
		b.good(err)
		if is := fmt.Sprintf("%s %d", source, got.Version); is != want {
			t.Errorf("the document is\n%s, want\n%s", is, want)
		}
	}
}

func buildIsSeen(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	b.index(doc(1, 1, "Ann"), doc(2, 1, "Old"))
	build := b.begin()
	b.stored(build.Index(t.Context(), []persistence.SearchDocument{doc(1, 1, "Ann"), doc(3, 4, "Cid")}))
	b.finds("while it is built", "c")
	b.index(doc(3, 5, "Cleo"), doc(4, 1, "Dan")) // goes to both
	b.index(gone(5, 3))
	b.stored(build.Index(t.Context(), []persistence.SearchDocument{doc(3, 4, "Cid"), doc(5, 2, "Eve")})) // read before that
	b.finds("while it is built", "d", 4)
	b.good(build.Switch(t.Context()))
	b.good(build.Switch(t.Context())) // as one whose answer was lost
	for word, want := range map[string][]user.ID{"a": {1}, "o": {}, "ci": {}, "cl": {3}, "d": {4}, "e": {}} {
		b.finds("afterwards", word, want...)
	}
	b.index(doc(4, 2, "Dora"))
	b.finds("and then", "dor", 4)
	b.good(build.Abandon(t.Context()))
	b.finds("after it was given up, too late", "dor", 4)
	if n := b.indexes(); n != 1 {
		t.Errorf("%d indexes are left", n)
	}
}

func buildIsGivenUp(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	b.index(doc(1, 1, "Ann"))
	build := b.begin()
	b.good(build.Abandon(t.Context()))
	b.good(build.Abandon(t.Context()))
	crashed := b.begin()
	next := b.begin()
	b.stored(next.Index(t.Context(), []persistence.SearchDocument{doc(2, 1, "Bob")}))
	if _, err := crashed.Index(t.Context(), []persistence.SearchDocument{doc(4, 1, "Eve")}); !errors.Is(err, persistence.ErrGivenUp) {
		t.Errorf("a build that was given up says %v when it is to store a document", err)
	}
	if err := crashed.Switch(t.Context()); !errors.Is(err, persistence.ErrGivenUp) {
		t.Errorf("a build that was given up says %v when it is to be switched to", err)
	}
	b.good(crashed.Abandon(t.Context()))
	b.finds("meanwhile", "a", 1)
	b.good(next.Switch(t.Context()))
	b.finds("in the end", "b", 2)
	b.finds("of the one that was given up", "e")
	b.begin() // and is never ended
	b.good(b.Tidy(t.Context()))
	if _, err := crashed.Index(t.Context(), []persistence.SearchDocument{doc(3, 1, "Cid")}); !errors.Is(err, persistence.ErrGivenUp) {
		t.Errorf("a build that is over says %v when it is to store a document", err)
	}
	if n := b.indexes(); n != 1 {
		t.Errorf("%d indexes are left", n)
	}
}

// Engines make an index by themselves for a removal that comes first.
func removalMakesNoIndex(t *testing.T, at string) {
	t.Helper()
	index := "kith-" + strings.ToLower(rand.Text())
	e := open(t, opensearch.Config{URL: at + "?index=" + index})
	if _, err := e.Index(t.Context(), []persistence.SearchDocument{gone(1, 2)}); !errors.Is(err, persistence.ErrNoIndex) {
		t.Errorf("without an index, a removal says %v", err)
	}
	b := &bench{t: t, at: at + "/" + index, Engine: e}
	b.build(doc(1, 1, "Ann"), doc(2, 1, "Bob"))
	b.index(gone(1, 2))
	b.finds("after a removal alone", "a")
	b.build(doc(2, 1, "Bob"))
	b.finds("after the next build", "b", 2)
	var names map[string]any
	b.good(ask(t.Context(), http.MethodGet, at+"/"+index+"*/_alias", "", &names))
	if len(names) != 1 {
		t.Errorf("there are indexes %v", names)
	}
}

// An index that has the name of an alias goes when one is built.
func inTheWay(t *testing.T, at string) {
	t.Helper()
	index := "kith-" + strings.ToLower(rand.Text())
	b := &bench{t: t, at: at + "/" + index, Engine: open(t, opensearch.Config{URL: at + "?index=" + index})}
	for _, name := range []string{index, index + "-next"} {
		b.good(ask(t.Context(), http.MethodPut, at+"/"+name+"/_doc/7", `{"odd":1}`, nil))
	}
	if b.has() {
		t.Error("an index that nobody has built is one")
	}
	b.build(doc(1, 1, "Ann"))
	if !b.has() {
		t.Error("the index that was built is none")
	}
	b.index(doc(2, 1, "Anna"))
	b.finds("in the end", "an", 1, 2)
}

func anotherSchema(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	if !b.has() {
		t.Error("the index that was built is none")
	}
	b.good(ask(t.Context(), http.MethodPut, b.at+"/_mapping", `{"_meta":{"kith_schema":1000}}`, nil))
	if b.has() {
		t.Error("an index of another schema is one")
	}
	b.build(doc(1, 1, "Ann"))
	if !b.has() {
		t.Error("the index that was built is none")
	}
	b.finds("in it", "a", 1)
}

// A document that is no JSON that the index can hold is the only one that is lost.
func refusedDocument(t *testing.T, at string) {
	t.Helper()
	b := newBench(t, at)
	b.good(ask(t.Context(), http.MethodPut, at+"/kith-odd-1", `{"mappings":{"dynamic":"strict","properties":{"uid":{"type":"keyword"},"username":{"type":"keyword"},
		"name":{"type":"integer"},"profile_picture":{"type":"keyword"},"prefixes":{"type":"keyword"}}},"aliases":{"kith-odd":{}}}`, nil))
	odd := open(t, opensearch.Config{URL: at + "?index=kith-odd"})
	refused, err := odd.Index(t.Context(), []persistence.SearchDocument{doc(1, 1, "12"), doc(2, 1, "Bob"), doc(3, 1, "34")})
	if err != nil || len(refused) != 1 || refused[0].ID != 2 {
		t.Errorf("refused %v, %v", refused, err)
	}
	if text := fmt.Sprint(refused); strings.Contains(text, "Bob") {
		t.Errorf("the reason tells a name: %s", text)
	}
}

// answers is an engine of which only the answers are there.
func answers(t *testing.T, status int, body string) *opensearch.Engine {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return open(t, opensearch.Config{URL: s.URL})
}

func TestWhatIsSearchedForIsInNoError(t *testing.T) {
	t.Parallel()
	q := persistence.SearchQuery{Word: "secretly"}
	for status, body := range map[int]string{
		http.StatusUnauthorized:        "Unauthorized: secretly",
		http.StatusBadRequest:          `{"error":{"type":"parsing_exception","reason":"no secretly"},"status":400}`,
		http.StatusServiceUnavailable:  "<html>secretly</html>",
		http.StatusOK:                  `{"responses":"secretly"}`,
		http.StatusInternalServerError: "",
	} {
		e := answers(t, status, body)
		_, err := e.Search(t.Context(), q, persistence.SearchCursor{}, 10)
		if err == nil || strings.Contains(err.Error(), "secretly") {
			t.Errorf("%d %s: %v", status, body, err)
		}
		if _, err := e.Index(t.Context(), []persistence.SearchDocument{doc(1, 1, "secretly")}); err == nil || strings.Contains(err.Error(), "secretly") {
			t.Errorf("%d %s: %v", status, body, err)
		}
	}
}

// Part of a list looks like all of it.
func TestPartOfAnAnswerIsNone(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"timed out":    `{"responses":[{"status":200,"timed_out":true,"hits":{"hits":[]}}]}`,
		"shard failed": `{"responses":[{"status":200,"_shards":{"failed":1},"hits":{"hits":[]}}]}`,
		"one missing":  `{"responses":[]}`,
		"odd id":       `{"responses":[{"status":200,"hits":{"hits":[{"_id":"x","sort":["a"]}]}}]}`,
		"no place":     `{"responses":[{"status":200,"hits":{"hits":[{"_id":"1"}]}}]}`,
	} {
		if hits, err := answers(t, http.StatusOK, body).Search(t.Context(), persistence.SearchQuery{Word: "a"}, persistence.SearchCursor{}, 10); err == nil {
			t.Errorf("%s: %v", name, hits)
		}
	}
}

// The URL says where below a host the engine is, and who asks; nobody else hears of it.
func TestTheURLIsUsedWhole(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	e := open(t, opensearch.Config{URL: strings.Replace(s.URL, "http://", "http://kith:hunter2@", 1) + "/below?index=kith-there"})
	_, err := e.Search(t.Context(), persistence.SearchQuery{Word: "a"}, persistence.SearchCursor{}, 1)
	r := <-asked
	if name, password, _ := r.BasicAuth(); name != "kith" || password != "hunter2" || r.URL.Path != "/below/kith-there/_msearch" {
		t.Errorf("asked for %s as %q", r.URL.Path, name)
	}
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error: %v", err)
	}
	s.Close()
	if _, err = e.Search(t.Context(), persistence.SearchQuery{Word: "a"}, persistence.SearchCursor{}, 1); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error: %v", err)
	}
}

// own is the search of a database.
type own struct{ asked int }

func (o *own) Search(context.Context, persistence.SearchQuery, persistence.SearchCursor, int) ([]persistence.SearchHit, error) {
	o.asked++
	return []persistence.SearchHit{{ID: 7}}, nil
}

func TestTheDatabaseAnswersWhenTheEngineDoesNot(t *testing.T) {
	t.Parallel()
	found := `{"responses":[{"status":200,"hits":{"hits":[{"_id":"1","sort":["ann"]}]}}]}`
	for name, c := range map[string]struct {
		engine *opensearch.Engine
		stale  bool
		want   user.ID
	}{
		"answers":  {answers(t, http.StatusOK, found), false, 1},
		"is stale": {answers(t, http.StatusOK, found), true, 7},
		"refuses":  {answers(t, http.StatusServiceUnavailable, `{}`), false, 7},
		"no index": {answers(t, http.StatusOK, `{"responses":[{"status":404,"error":{"type":"index_not_found_exception"}}]}`), false, 7},
		"nobody":   {open(t, opensearch.Config{URL: "http://127.0.0.1:1"}), false, 7},
	} {
		database := &own{}
		hits, err := opensearch.NewFallback(c.engine, database, func() bool { return c.stale }).Search(t.Context(), persistence.SearchQuery{Word: "a"}, persistence.SearchCursor{}, 10)
		if err != nil || len(hits) != 1 || hits[0].ID != c.want || (database.asked == 1) != (c.want == 7) {
			t.Errorf("%s: %v, %v; the database was asked %d times", name, hits, err, database.asked)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	database := &own{}
	if _, err := opensearch.NewFallback(answers(t, http.StatusOK, found), database, func() bool { return false }).Search(gone, persistence.SearchQuery{Word: "a"}, persistence.SearchCursor{}, 10); !errors.Is(err, context.Canceled) || database.asked > 0 {
		t.Errorf("for somebody who has gone: %v; the database was asked %d times", err, database.asked)
	}
}

func TestAnEngineIsWatched(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	e := open(t, opensearch.Config{URL: "http://127.0.0.1:1", Registerer: registry})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for !e.Away() {
		if t.Context().Err() != nil {
			t.Fatal("it is not known that it is away")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "kith_search_away" && f.GetMetric()[0].GetGauge().GetValue() == 1 {
			return
		}
	}
	t.Error("the metrics do not say that the engine is away")
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"http://localhost:9200", "https://kith:secret@search.example.com", "https://search.example.com/es/", "http://[::1]:9200?index=kith_2",
	} {
		if err := opensearch.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "localhost:9200", "ftp://localhost", "http://", "http://localhost?index=", "http://localhost?index=Kith", "http://localhost?index=a*", "http://localhost?index=kith-next",
		"http://localhost?index=a&index=b", "http://localhost?other=a", "http://localhost#x", "http://kith:secret@", "http://localhost?index=a%zz",
	} {
		err := opensearch.CheckURL(bad)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
