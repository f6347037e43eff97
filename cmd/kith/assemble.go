package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"kith/actors/cluster"
	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway"
	"kith/gateway/auth"
	"kith/persistence"
	"kith/persistence/disk"
	"kith/persistence/lanes"
	"kith/persistence/memory"
	"kith/persistence/sqlite"
	"kith/streams/effects"
)

const (
	lease          = 10 * time.Second
	maxActivations = 500_000
	cardBytes      = 256 << 20
	photosDir      = "photos" // in the data dir
	// drain is how long requests in flight may take after a SIGTERM; grace is how
	// long everything may take.
	drain = 20 * time.Second
	grace = 28 * time.Second
)

// process is everything that serve runs, wired and not started.
type process struct {
	logger *slog.Logger
	parts  []part
	http   net.Listener
	ops    net.Listener
	closes []func() error // in reverse order
}

// assemble wires all parts of a server. What can go wrong at a start goes wrong
// here: the ports and the data are taken before anything runs.
func assemble(ctx context.Context, s *settings, d *dataDir, logger *slog.Logger) (_ *process, err error) {
	p := &process{logger: logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.listen(ctx, s); err != nil {
		return nil, err
	}
	secret, err := tokenSecret(s, d)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())

	db, err := sqlite.Open(ctx, sqlite.Config{Path: d.file(databaseFile), Logger: logger, Registerer: registry})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	p.closes = append(p.closes, db.Close)
	cards, err := memory.NewCards(memory.Config{Bytes: cardBytes, Registerer: registry})
	if err != nil {
		return nil, fmt.Errorf("make the card cache: %w", err)
	}

	committer, err := p.write(ctx, d, db, cards, registry)
	if err != nil {
		return nil, err
	}
	client, err := p.actors(ctx, db, committer, registry)
	if err != nil {
		return nil, err
	}
	photos, err := disk.New(disk.Config{Dir: d.file(photosDir), Base: p.publicURL(s) + gateway.PathUploads, Secret: secret, Registerer: registry})
	if err != nil {
		return nil, fmt.Errorf("open the photos: %w", err)
	}
	p.closes = append(p.closes, photos.Close)
	tail, err := effects.New(effects.Config{
		Committer: committer, Journal: db, Lanes: db, Directory: db, Cards: cards, Grains: client, Photos: deletedPhotos{db, photos}, Logger: logger, Registerer: registry,
	})
	if err != nil {
		return nil, fmt.Errorf("make the effects tail: %w", err)
	}
	p.add("effects tail", tail.Run)

	tokens, err := auth.New(auth.Config{Secret: secret})
	if err != nil {
		return nil, fmt.Errorf("make tokens: %w", err)
	}
	p.admin(ctx, d, &localOperator{directory: db, audit: db, tokens: tokens, commands: running(client)})
	live, err := lanes.NewLive(ctx, lanes.LiveConfig{Users: db, Journal: db, Committer: committer, Logger: logger, Registerer: registry})
	if err != nil {
		return nil, fmt.Errorf("make the list of users: %w", err)
	}
	p.add("list of users", live.Run)
	server, err := gateway.New(gateway.Config{ //nolint:contextcheck // requests bring their own
		Grains: client, Relations: client, Directory: db, Edges: db, Credentials: db, Cards: cards,
		Activities: db, Search: db, Shuffle: live, Blobs: photos,
		Secret: secret, AccessTTL: s.AccessTTL.duration(), RefreshTTL: s.RefreshTTL.duration(),
		Ready: readiness(committer), Logger: logger, Registerer: registry, Gatherer: registry, Version: version(),
	})
	if err != nil {
		return nil, fmt.Errorf("make the gateway: %w", err)
	}
	p.add("ops listener", serveHTTP(p.ops, gateway.HTTPServer(server.OpsHandler(), logger), logger))
	p.add("http listener", serveHTTP(p.http, gateway.HTTPServer(server.Handler(), logger), logger))
	return p, nil
}

// listen takes the ports.
func (p *process) listen(ctx context.Context, s *settings) error {
	for _, l := range []struct {
		setting, addr string
		to            *net.Listener
	}{{"KITH_HTTP_ADDR", s.HTTPAddr, &p.http}, {"KITH_OPS_ADDR", s.OpsAddr, &p.ops}} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
		if err != nil {
			return fmt.Errorf("cannot listen on %s=%s: %w; choose another address, or stop what uses it", l.setting, l.addr, errors.Unwrap(err))
		}
		*l.to = listener
		p.closes = append(p.closes, func() error { return closeListener(listener) })
	}
	return nil
}

// publicURL is the base of the URLs that the server hands out.
func (p *process) publicURL(s *settings) string {
	if s.PublicURL != "" {
		return strings.TrimSuffix(s.PublicURL, "/")
	}
	return "http://" + p.http.Addr().String()
}

// closeListener closes a listener, unless it is closed.
func closeListener(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close a listener: %w", err)
	}
	return nil
}

// write takes the lanes and makes the committer.
func (p *process) write(ctx context.Context, d *dataDir, db *sqlite.DB, cards persistence.Cards, registry *prometheus.Registry) (*lanes.Committer, error) {
	id, err := d.nodeID()
	if err != nil {
		return nil, err
	}
	node, err := db.Acquire(ctx, id, lease)
	if err != nil {
		return nil, fmt.Errorf("take the lanes: %w", err)
	}
	committer, err := lanes.New(ctx, lanes.Config{Journal: db, Lanes: db, Cards: cards, Lease: lease, Logger: p.logger, Registerer: registry}, node)
	if err != nil {
		return nil, fmt.Errorf("make the committer: %w", err)
	}
	p.add("committer", committer.Run)
	p.add("lease", committer.KeepLease)
	return committer, nil
}

// actors starts the node of grains and returns the client that speaks to them.
func (p *process) actors(ctx context.Context, db *sqlite.DB, committer *lanes.Committer, registry *prometheus.Registry) (*usergrain.Client, error) {
	host, err := usergrain.NewHost(usergrain.Config{Journal: db, Committer: committer, Logger: p.logger, Registerer: registry, MaxActivations: maxActivations})
	if err != nil {
		return nil, fmt.Errorf("make the host of grains: %w", err)
	}
	node, err := cluster.Start(ctx, cluster.Config{Logger: p.logger, Registerer: registry, Kinds: []*pcluster.Kind{usergrain.NewKind()}, MaxActivations: maxActivations})
	if err != nil {
		return nil, fmt.Errorf("start the node of grains: %w", err)
	}
	p.closes = append(p.closes, func() error { return node.Stop(context.WithoutCancel(ctx)) }) // again is harmless
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

// admin serves the operator's commands. A path that is too long for a socket
// costs those commands, and nothing else.
func (p *process) admin(ctx context.Context, d *dataDir, o operator) {
	l, err := listenAdmin(ctx, d)
	if err != nil {
		p.logger.Warn("the admin socket is not there: kith token, kith role and kith verify work only while the server does not run", "error", err)
		return
	}
	p.closes = append(p.closes, func() error { return closeListener(l) })
	server := &http.Server{Handler: adminHandler(o), ReadHeaderTimeout: drain, ErrorLog: slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug)}
	p.add("admin socket", serveHTTP(l, server, p.logger))
}

func (p *process) add(name string, run func(context.Context) error) {
	p.parts = append(p.parts, part{name, run})
}

// run serves until ctx ends, then drains.
func (p *process) run(ctx context.Context) error {
	p.logger.Info("kith is ready", "http", "http://"+p.http.Addr().String(), "ops", "http://"+p.ops.Addr().String(), "version", version())
	err := runParts(ctx, p.logger, grace, p.parts)
	return errors.Join(err, p.close())
}

func (p *process) close() error {
	var errs []error
	for _, f := range slices.Backward(p.closes) {
		errs = append(errs, f())
	}
	p.closes = nil
	return errors.Join(errs...)
}

// serveHTTP serves until the context ends, then finishes what is in flight.
func serveHTTP(l net.Listener, s *http.Server, logger *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		failed := make(chan error, 1)
		go func() { failed <- s.Serve(l) }()
		select {
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		err := s.Shutdown(stop)
		if err != nil {
			logger.Warn("requests were still in flight", "error", err)
			err = s.Close()
		}
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
}

// readiness says whether writes go through: without them nothing else is worth
// much.
func readiness(c *lanes.Committer) func(context.Context) gateway.Readiness {
	return func(context.Context) gateway.Readiness {
		if err := c.Health(); err != nil {
			return gateway.Readiness{Reasons: []string{"the database does not take writes"}}
		}
		return gateway.Readiness{Ready: true}
	}
}

func tokenSecret(s *settings, d *dataDir) ([]byte, error) {
	if s.JWTSecret != "" {
		return []byte(s.JWTSecret), nil
	}
	return d.secret()
}

// version is the version that the binary was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "dev"
	}
	return info.Main.Version
}

// localOperator does the operator's commands on the data itself.
type localOperator struct {
	directory persistence.Directory
	audit     persistence.Audit
	tokens    *auth.Tokens
	commands  commander
}

// Token implements operator. The token belongs to no session: it ends by itself.
func (o *localOperator) Token(ctx context.Context, username string, ttl time.Duration) (string, error) {
	account, err := o.directory.ByUsername(ctx, username)
	if errors.Is(err, persistence.ErrNotFound) {
		return "", fmt.Errorf("no user is called %q", username)
	}
	if err != nil {
		return "", fmt.Errorf("find the user: %w", err)
	}
	return o.tokens.Issue(account.UID, auth.SessionID{}, ttl)
}

// Verify implements operator.
func (o *localOperator) Verify(ctx context.Context, progress func(users int)) (usergrain.Report, error) {
	return usergrain.Verify(ctx, o.audit, progress)
}

// openOperator opens the data of a data dir on which no server runs.
func openOperator(ctx context.Context, s storage, given secret) (_ operator, closeAll func() error, err error) {
	d, err := openDataDir(s.DataDir)
	if err != nil {
		return nil, nil, err
	}
	key := []byte(given)
	if len(key) == 0 {
		if key, err = d.secret(); err != nil {
			return nil, nil, errors.Join(err, d.close())
		}
	}
	tokens, err := auth.New(auth.Config{Secret: key})
	if err != nil {
		return nil, nil, errors.Join(err, d.close())
	}
	db, err := sqlite.Open(ctx, sqlite.Config{Path: d.file(databaseFile)})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the database: %w", err), d.close())
	}
	return &localOperator{directory: db, audit: db, tokens: tokens, commands: starting(d, db)}, func() error { return errors.Join(db.Close(), d.close()) }, nil
}

// deletedPhotos erases photos by the id of their user, who is no more.
type deletedPhotos struct {
	roster persistence.Roster
	blobs  persistence.Blobs
}

// DeletePhoto implements effects.Photos.
func (d deletedPhotos) DeletePhoto(ctx context.Context, id user.ID) error {
	identities, err := d.roster.Identities(ctx, []user.ID{id})
	if err != nil {
		return fmt.Errorf("find a deleted user: %w", err)
	}
	if identities[0] == nil {
		return nil
	}
	if err := d.blobs.Delete(ctx, user.PicturePath(identities[0].UID)); err != nil {
		return fmt.Errorf("delete a photo: %w", err)
	}
	return nil
}
