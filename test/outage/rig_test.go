package outage_test

import (
	"context"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"kith/test/kithtest"
	"kith/test/services"
)

var kith kithtest.Binary

// TestMain runs the tests once: they bring stores of their own.
func TestMain(m *testing.M) {
	if err := os.Setenv(services.StoresVariable, services.Embedded); err != nil {
		panic(err)
	}
	kithtest.Main(m, &kith)
}

// rig is a server whose stores can be made to fail.
type rig struct {
	t        *testing.T
	postgres *services.Postgres
	redis    *services.RedisServer
	toPG     *wire
	toRedis  *wire
	server   *kithtest.Server
}

// setUp starts the stores, and a server on them that nobody waits for.
func setUp(t *testing.T, cfg services.PostgresConfig) *rig {
	t.Helper()
	r := &rig{t: t, postgres: services.StartPostgres(t, cfg), redis: services.StartRedis(t)}
	var database, cache string
	r.toPG, database = newWire(t, "postgres", r.postgres.URL())
	r.toRedis, cache = newWire(t, "redis", r.redis.URL())
	r.launch(database, cache)
	return r
}

func (r *rig) launch(database, cache string) {
	r.t.Helper()
	r.server = kith.Launch(r.t, kithtest.Options{Embedded: true, Env: []string{"KITH_DATABASE_URL=" + database, "KITH_REDIS_URL=" + cache}})
}

// ask asks PostgreSQL directly.
func (r *rig) ask(sql string) {
	r.t.Helper()
	ctx := r.t.Context()
	c, err := pgx.Connect(ctx, r.postgres.AdminURL())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }() // what matters was done
	if _, err := c.Exec(ctx, sql); err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// wire is a connection that can be cut, slowed and silenced.
type wire struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

// newWire stands between whoever uses the URL it returns and the store of another.
func newWire(t *testing.T, name, upstream string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal("the URL of a store cannot be read")
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.New(io.Discard))
	w := &wire{t: t, proxy: toxiproxy.NewProxy(api, name, "127.0.0.1:0", u.Host)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	u.Host = w.proxy.Listen
	return w, u.String()
}

// cut ends all connections and refuses new ones, until mend.
func (w *wire) cut() { w.proxy.Stop() }

// mend undoes cut.
func (w *wire) mend() {
	w.t.Helper()
	// The port may be taken for a moment by somebody's outgoing connection.
	if !kithtest.Poll(w.t.Context(), 10*time.Millisecond, func() bool { return w.proxy.Start() == nil }) {
		w.t.Fatal("the proxy does not start again")
	}
}

// toxic adds a fault to what passes. Its kinds are those of toxiproxy.
func (w *wire) toxic(kind, stream string, attributes map[string]any) {
	w.t.Helper()
	b, err := json.Marshal(map[string]any{"name": kind + stream, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(string(b))); err != nil {
		w.t.Fatal(err)
	}
}

// clean takes all toxics away.
func (w *wire) clean() { w.proxy.Toxics.ResetToxics(context.Background()) }
