// Package search_test looks at the real binary with a real search engine beside its
// database.
//
//   - follow_test.go: documents follow their users, and are found.
//   - hidden_test.go: who is gone is not shown, whatever the engine still has.
//   - agree_test.go: the engine and the database give the same answers.
//   - killed_test.go: an engine that is killed under load, and a server with it.
//   - away_test.go: engines that say nothing, or take no documents.
//   - build_test.go: the first index, and one that was lost.
//   - reindex_test.go: `kith reindex`, beside a server and without one.
//   - world_test.go: a server with its people; load_test.go: people who do things all
//     the time; index_test.go: an engine, seen past the server; gate_test.go: what
//     stands between the two and can be told to do harm.
//
// All but those that kill it share one engine, each with an index of its own. Those
// that both kinds of databases could answer differently run on both.
package search_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"kith/test/kithtest"
	"kith/test/services"
)

var kith kithtest.Binary

// TestMain runs the tests once: each says on which databases it is. They wait more
// than they work, so more of them run at a time than there are processors.
func TestMain(m *testing.M) {
	if err := os.Setenv(services.StoresVariable, services.Embedded); err != nil {
		panic(err)
	}
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	kithtest.Main(m, &kith)
}

const (
	password = "correct horse battery"
	// patience bounds what has to happen soon, on a machine that is busy, and often
	// is how often it is looked for.
	patience = 90 * time.Second
	often    = 40 * time.Millisecond
	// engineTimeout is how long the server waits for the engine in a search.
	engineTimeout = time.Second
)

// trial is one test, on an engine.
type trial struct {
	name string
	on   []stores
	run  func(t *testing.T, at string, o kithtest.Options)
}

// stores make the options of a server on one kind of databases.
type stores struct {
	name string
	make func(t *testing.T) kithtest.Options
}

var (
	embedded = stores{"embedded", func(*testing.T) kithtest.Options { return kithtest.Options{Embedded: true} }}
	postgres = stores{"Postgres and Redis", func(t *testing.T) kithtest.Options {
		t.Helper()
		return kithtest.Options{Place: &services.Place{Database: services.Database(t), Redis: services.Redis(t)}}
	}}
	alone = []stores{embedded}
	both  = []stores{embedded, postgres}
)

func TestSearch(t *testing.T) { //nolint:paralleltest // whoever waits for the engine must not keep others from ending
	at := services.Search(t)
	for _, tt := range []trial{
		{"killed", alone, killed}, // first, since it is the longest
		{"follows on Elasticsearch", alone, followsElastic},
		{"agrees", both, agrees},
		{"reindex under load", both, reindexes},
		{"reindex without a server", alone, reindexesAlone},
		{"silent", alone, silent},
		{"refuses", alone, refuses},
		{"follows", alone, follows},
		{"hides", both, hides},
		{"first index", alone, builds},
		{"lost index", alone, rebuilds},
	} {
		for _, on := range tt.on {
			t.Run(fmt.Sprintf("%s, %s", tt.name, on.name), func(t *testing.T) {
				t.Parallel()
				tt.run(t, at, on.make(t))
			})
		}
	}
}
