package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/cluster"
	"kith/actors/usergrain"
	"kith/gateway"
	"kith/gateway/auth"
	"kith/gateway/limits"
	"kith/gateway/live"
	"kith/persistence"
	"kith/persistence/lanes"
	"kith/persistence/memory"
	"kith/persistence/postgres"
	"kith/persistence/redis"
	"kith/streams/effects"
	"kith/streams/index"
)

const (
	lease          = 10 * time.Second
	releaseTime    = 2 * time.Second
	maxActivations = 500_000
	cardBytes      = 256 << 20
)

// server is everything that serve runs.
type server struct {
	*process
	settings *settings
	dir      *dataDir
	secret   []byte

	http      front // of the public listener
	waiting   gateway.Waiting
	addr      string // of the public listener
	serving   []part // the listeners, which are stopped first
	db        database
	cards     persistence.Cards
	counts    persistence.Limits
	doubt     func() // has the cache of cards forget all
	committer *lanes.Committer
	client    *usergrain.Client
	searches  persistence.Search
	indexes   *index.Builder // of a search engine; nil: there is none
	photos    persistence.Blobs
	erase     func(ctx context.Context, path string) error // of a photo, for good
	degraded  []func() string                              // name what does not answer, or ""
}

// assemble wires all parts of a server, from the data up: what is added later runs
// on what was added before, and stops before it. What can go wrong at a start goes
// wrong here: the ports and the data are taken before anything runs.
func assemble(ctx context.Context, s *settings, d *dataDir, logger *slog.Logger) (_ *server, err error) {
	v := &server{process: newProcess(logger), settings: s, dir: d}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	for _, step := range []func(context.Context) error{
		v.takePorts, v.open, v.write, v.actors, v.tails, v.search, v.kafka, v.admin, v.public,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// takePorts takes the ports and answers on them that the server is not ready.
func (v *server) takePorts(ctx context.Context) error {
	public, err := v.listen(ctx, "KITH_HTTP_ADDR", v.settings.HTTPAddr)
	if err != nil {
		return err
	}
	ops, err := v.listen(ctx, "KITH_OPS_ADDR", v.settings.OpsAddr)
	if err != nil {
		return err
	}
	v.addr = public.Addr().String()
	v.shown = append(v.shown, "http", "http://"+v.addr, "ops", "http://"+ops.Addr().String())
	v.http.show(&v.waiting)
	v.serving = []part{
		{"ops listener", v.serveHTTP(ops, gateway.HTTPServer(gateway.OpsHandler(v.registry), v.logger))},
		{"http listener", v.serveHTTP(public, gateway.HTTPServer(&v.http, v.logger))},
	}
	return nil
}

// open opens what is stored, and the caches of it.
func (v *server) open(ctx context.Context) (err error) {
	if v.secret = []byte(v.settings.JWTSecret); len(v.secret) == 0 {
		if v.secret, err = v.dir.secret(); err != nil {
			return err
		}
	}
	v.waiting.Because("the database is away")
	err = patiently(ctx, postgres.Away, func(err error) {
		v.logger.Warn("the database is away; waiting for it", "error", err)
	}, func(ctx context.Context) (err error) {
		v.db, err = v.settings.openDatabase(ctx, v.dir, databaseOptions{quarantine: v.settings.Quarantine.duration(), logger: v.logger, registry: v.registry})
		return err
	})
	if err != nil {
		return err
	}
	v.closing(v.db.Close)
	if err := v.cache(ctx); err != nil {
		return err
	}
	return v.blobs(ctx)
}

// cache makes what remembers cards and counts requests: in Redis, which all nodes
// share, or in this process.
func (v *server) cache(ctx context.Context) (err error) {
	if v.counts, err = memory.NewLimits(memory.LimitsConfig{Registerer: v.registry}); err != nil {
		return fmt.Errorf("make the limits: %w", err)
	}
	if v.settings.RedisURL == "" {
		if v.cards, err = memory.NewCards(memory.Config{Bytes: cardBytes, Registerer: v.registry}); err != nil {
			return fmt.Errorf("make the card cache: %w", err)
		}
		v.doubt = func() {} // it is empty
		return nil
	}
	client, err := redis.Open(ctx, redis.Config{URL: string(v.settings.RedisURL), Logger: v.logger, Registerer: v.registry})
	if err != nil {
		return fmt.Errorf("open Redis (KITH_REDIS_URL=%s): %w", masked(string(v.settings.RedisURL)), err)
	}
	v.closing(client.Close)
	v.cards, v.doubt = redis.NewCards(client), client.Doubt
	if v.counts, err = redis.NewLimits(client, v.counts); err != nil {
		return fmt.Errorf("make the limits: %w", err)
	}
	v.degraded = append(v.degraded, func() string {
		if client.Degraded() {
			return "redis"
		}
		return ""
	})
	return nil
}

// write takes the lanes. While another node has them, this one stands by.
func (v *server) write(ctx context.Context) error {
	leased := func(err error) bool { return errors.Is(err, persistence.ErrLeased) || postgres.Away(err) }
	return patiently(ctx, leased, func(err error) {
		if errors.Is(err, persistence.ErrLeased) {
			v.waiting.Because("another node owns the lanes")
		} else {
			v.waiting.Because("the database is away")
		}
		v.logger.Warn("the lanes cannot be taken yet; waiting for them", "error", err)
	}, func(ctx context.Context) (err error) {
		if v.committer, err = v.takeLanes(ctx, v.dir, v.db, v.cards); err == nil {
			v.doubt()
		}
		return err
	})
}

func (v *server) actors(ctx context.Context) (err error) {
	v.client, err = v.startGrains(ctx, v.db, v.committer)
	return err
}

func (v *server) tails(context.Context) error {
	tail, err := effects.New(effects.Config{
		Committer: v.committer, Journal: v.db, Lanes: v.db, Directory: v.db, Cards: v.cards, Grains: v.client,
		Photos: deletedPhotos{v.db, v.erase}, Logger: v.logger, Registerer: v.registry,
	})
	if err != nil {
		return fmt.Errorf("make the effects tail: %w", err)
	}
	v.add("effects tail", tail.Run)
	return nil
}

// admin serves the operator's commands. A path that is too long for a socket
// costs those commands, and nothing else.
func (v *server) admin(ctx context.Context) error {
	tokens, err := auth.New(auth.Config{Secret: v.secret})
	if err != nil {
		return fmt.Errorf("make tokens: %w", err)
	}
	l, err := listenAdmin(ctx, v.dir)
	if err != nil {
		v.logger.Warn("the admin socket is not there: kith token, kith role and kith verify work only while the server does not run", "error", err)
		return nil
	}
	v.closing(func() error { return closeListener(l) })
	o := &localOperator{db: v.db, indexes: v.indexes, tokens: tokens, commands: running(v.client)}
	v.add("admin socket", func(ctx context.Context) error {
		// A verification can be long: it ends with us, and says so.
		return v.serveHTTP(l, &http.Server{
			BaseContext: func(net.Listener) context.Context { return ctx },
			Handler:     adminHandler(o), ReadHeaderTimeout: drain, ErrorLog: slog.NewLogLogger(v.logger.Handler(), slog.LevelDebug),
		})(ctx)
	})
	return nil
}

// public makes the gateway.
func (v *server) public(ctx context.Context) error {
	listed, err := lanes.NewLive(ctx, lanes.LiveConfig{Users: v.db, Journal: v.db, Committer: v.committer, Logger: v.logger, Registerer: v.registry})
	if err != nil {
		return fmt.Errorf("make the list of users: %w", err)
	}
	v.add("list of users", listed.Run)
	gate, err := v.limits()
	if err != nil {
		return err
	}
	outside, err := v.identities()
	if err != nil {
		return err
	}
	hub, metrics, err := v.hub(ctx)
	if err != nil {
		return err
	}
	origins, err := v.settings.origins()
	if err != nil {
		return err
	}
	if v.settings.PublicURL != "" { // a proxy may send another host
		origins = append(origins, originOf(v.settings.PublicURL))
	}
	g, err := gateway.New(gateway.Config{ //nolint:contextcheck // requests bring their own
		Grains: v.client, Relations: v.client, Directory: v.db, Edges: v.db, Credentials: v.db, Cards: v.cards,
		Activities: v.db, Feeds: v.db, Notifications: v.db, Search: v.searches, Shuffle: listed, Blobs: v.photos, Limits: gate, Provider: outside,
		Hub: hub, HubMetrics: metrics, Origins: origins,
		Secret: v.secret, AccessTTL: v.settings.AccessTTL.duration(), RefreshTTL: v.settings.RefreshTTL.duration(),
		Ready: v.ready, Logger: v.logger, Registerer: v.registry, Version: version(),
	})
	if err != nil {
		return fmt.Errorf("make the gateway: %w", err)
	}
	v.add("gateway", g.Run)
	v.parts = append(v.parts, v.serving...)
	v.http.show(g.Handler())
	return nil
}

// hub makes what pushes to WebSockets.
func (v *server) hub(ctx context.Context) (*live.Hub, *live.Metrics, error) {
	metrics := live.NewMetrics(v.registry)
	hub, err := live.New(ctx, live.Config{
		People: gateway.NewLivePeople(v.db, v.db, v.cards, v.client), Lanes: lanes.NewReader(v.committer, v.db), Feeds: v.db,
		Cursors: live.NewCursors(v.secret), Logger: v.logger, Metrics: metrics,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the hub: %w", err)
	}
	return hub, metrics, nil
}

// publicURL is the base of the URLs that the server hands out.
func (v *server) publicURL() string {
	if v.settings.PublicURL != "" {
		return strings.TrimSuffix(v.settings.PublicURL, "/")
	}
	return "http://" + v.addr
}

// originOf returns the origin of pages of a URL that was checked.
func originOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// publicHost is the host of KITH_PUBLIC_URL, "" when that is not set.
func (v *server) publicHost() string {
	u, err := url.Parse(v.settings.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// ready says whether writes go through: without them nothing else is worth much.
func (v *server) ready(context.Context) gateway.Readiness {
	if v.committer.Health() != nil {
		return gateway.Readiness{Reasons: []string{"the database does not take writes"}}
	}
	r := gateway.Readiness{Ready: true}
	for _, check := range v.degraded {
		if name := check(); name != "" {
			r.Degraded = append(r.Degraded, name)
		}
	}
	return r
}

// limits makes the limits on what clients may ask.
func (v *server) limits() (*limits.Gate, error) {
	cfg, err := v.settings.limitConfig()
	if err != nil {
		return nil, err
	}
	cfg.Limits, cfg.Registerer = v.counts, v.registry
	gate, err := limits.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("make the limits: %w", err)
	}
	return gate, nil
}

// identities makes the outside identity provider, nil when there is none.
func (v *server) identities() (*auth.Provider, error) {
	s := v.settings
	if !s.configured() {
		return nil, nil //nolint:nilnil // the gateway takes it so
	}
	provider, err := auth.NewProvider(auth.ProviderConfig{URL: s.JWKSURL, Issuer: s.Issuer, Audience: s.Audience, Logger: v.logger, Registerer: v.registry})
	if err != nil {
		return nil, fmt.Errorf("make the identity provider: %w", err)
	}
	return provider, nil
}

// takeLanes takes the lanes of a database and makes the committer.
func (p *process) takeLanes(ctx context.Context, d *dataDir, db database, cards persistence.Cards) (*lanes.Committer, error) {
	id, err := d.nodeID()
	if err != nil {
		return nil, err
	}
	node, err := db.Acquire(ctx, id, lease)
	if err != nil {
		return nil, fmt.Errorf("take the lanes: %w", err)
	}
	committer, err := lanes.New(ctx, lanes.Config{Journal: db, Lanes: db, Cards: cards, Lease: lease, Logger: p.logger, Registerer: p.registry}, node)
	if err != nil {
		return nil, fmt.Errorf("make the committer: %w", err)
	}
	p.add("committer", committer.Run)
	p.add("lease", committer.KeepLease)
	p.closing(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer cancel()
		if err := committer.Release(ctx); err != nil {
			p.logger.Warn("the lease runs on until its end", "error", err)
		}
		return nil
	})
	return committer, nil
}

// startGrains starts the node of grains and returns the client that speaks to
// them.
func (p *process) startGrains(ctx context.Context, db database, committer *lanes.Committer) (*usergrain.Client, error) {
	host, err := usergrain.NewHost(usergrain.Config{Journal: db, Committer: committer, Logger: p.logger, Registerer: p.registry, MaxActivations: maxActivations})
	if err != nil {
		return nil, fmt.Errorf("make the host of grains: %w", err)
	}
	node, err := cluster.Start(ctx, cluster.Config{Logger: p.logger, Registerer: p.registry, Kinds: []*pcluster.Kind{usergrain.NewKind()}, MaxActivations: maxActivations})
	if err != nil {
		return nil, fmt.Errorf("start the node of grains: %w", err)
	}
	p.closing(func() error { return node.Stop(context.WithoutCancel(ctx)) }) // again is harmless
	host.Attach(node.System(), node)
	client, err := usergrain.NewClient(usergrain.ClientConfig{Cluster: node.Cluster(), Host: host, Directory: db, Logger: p.logger})
	if err != nil {
		return nil, fmt.Errorf("make the client of grains: %w", err)
	}
	p.add("host of grains", host.Run)
	p.add("node of grains", func(ctx context.Context) error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		return node.Stop(stop)
	})
	p.add("client of grains", client.Run)
	return client, nil
}
