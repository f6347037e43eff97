package opensearch_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kith/persistence"
	"kith/persistence/opensearch"
	"kith/persistence/sqlite"
	"kith/streams/index"
	"kith/test/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// engineAt opens an index of its own in the engine at a URL.
func engineAt(t *testing.T, at string) *opensearch.Engine {
	t.Helper()
	return open(t, opensearch.Config{URL: at + "?index=kith-" + strings.ToLower(rand.Text())})
}

func open(t *testing.T, cfg opensearch.Config) *opensearch.Engine {
	t.Helper()
	cfg.Timeout = stepTime // on a busy machine
	e, err := opensearch.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func database(t *testing.T) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "kith.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// indexed is a database that is searched in an engine, which is told of what was
// committed before it is asked.
type indexed struct {
	*sqlite.DB

	engine *opensearch.Engine
	at     string

	mu   sync.Mutex
	told [persistence.LaneCount]uint64
	has  bool
}

// Search catches up, and searches.
func (x *indexed) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	if err := x.catchUp(ctx); err != nil {
		return nil, err
	}
	return x.engine.Search(ctx, q, after, limit)
}

func (x *indexed) catchUp(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	logger := slog.New(slog.DiscardHandler)
	if !x.has { // so every index is one that was built before anybody registered
		if _, err := index.NewBuilder(x.DB, x.engine, logger).Rebuild(ctx, nil); err != nil {
			return err
		}
		x.has = true
	}
	heads, err := x.Heads(ctx)
	if err != nil || heads == x.told {
		return err
	}
	for lane := range uint8(persistence.LaneCount) {
		records, err := x.ReadLane(ctx, lane, x.told[lane], 1<<20)
		if err != nil {
			return err
		}
		if _, err := index.Apply(ctx, x.DB, x.engine, logger, records); err != nil {
			return err
		}
	}
	x.told = heads
	return refresh(ctx, x.at)
}

// refresh has everything that was stored found.
func refresh(ctx context.Context, at string) error {
	return ask(ctx, http.MethodPost, at+"/_refresh", "", nil)
}

const stepTime = time.Minute

// ask sends the engine a request as others would, and reads the answer into into.
func ask(ctx context.Context, method, at, body string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(a.Body)
	if err := errors.Join(err, a.Body.Close()); err != nil {
		return err
	}
	if a.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, at, a.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// Tests of all engines are under one, which has each engine for all of them: one that
// waited for an engine would take the place of those for whom it waits.
func TestEngines(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		name string
		take func(testing.TB) string
	}{{"OpenSearch", services.Search}, {"Elasticsearch", services.Elastic}} {
		t.Run(e.name, func(t *testing.T) {
			at := e.take(t)
			for name, test := range map[string]func(t *testing.T, at string){
				"conformance": conforms, "it agrees with the database": agrees, "late documents do not win": lateDocuments,
				"a document holds what is shown of a user": documentHolds, "a build is seen when it is switched to": buildIsSeen,
				"a build that is given up leaves nothing": buildIsGivenUp, "an index of another schema is none": anotherSchema,
				"a refused document is named": refusedDocument, "a removal makes no index": removalMakesNoIndex, "what is in the way is replaced": inTheWay,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, at)
				})
			}
		})
	}
}
