package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/auth"
	"kith/gateway/limits"
	"kith/gateway/live"
	"kith/persistence"
)

// Grains is what the gateway asks of user grains. *usergrain.Client is it.
type Grains interface {
	// Register makes an account and claims its names.
	Register(ctx context.Context, r usergrain.Registration) (usergrain.Result, error)
	// Do sends a command to a user. Sending it again is safe.
	Do(ctx context.Context, id user.ID, c user.Command) (usergrain.Result, error)
	// RecordActivities records behaviour events of a user, each refused for itself.
	RecordActivities(ctx context.Context, id user.ID, activities []user.Activity) ([]usergrain.ActivityResult, error)
}

// Relations says who follows whom, as far as is known here without asking
// anybody. *usergrain.Client is it.
type Relations interface {
	Follows(caller, target user.ID) (follows, known bool)
	// Warm asks for an activation, after which Follows knows. It never blocks.
	Warm(id user.ID)
}

// Config is what a Server needs. Fields without a default must be set.
type Config struct {
	Grains      Grains
	Relations   Relations
	Directory   persistence.Directory
	Edges       persistence.Edges
	Credentials persistence.Credentials
	Cards       persistence.Cards
	Activities  persistence.Activities
	Feeds       persistence.Feeds
	// Notifications keeps how far they were seen.
	Notifications persistence.Notifications
	Search        persistence.Search
	Shuffle       Shuffle
	// Blobs keeps photos. One that is a persistence.HostedBlobs is served here, and
	// its upload URLs must lead to PathUploads.
	Blobs persistence.Blobs

	// Secret signs tokens and cursors: at least auth.MinSecret bytes.
	Secret []byte
	// AccessTTL and RefreshTTL are the lifetimes of tokens. Default 1 hour and 30
	// days.
	AccessTTL, RefreshTTL time.Duration
	// PasswordCost is what new hashes cost. Default auth.DefaultCost.
	PasswordCost auth.Cost

	// Provider verifies tokens of an outside identity provider; nil: there is none.
	// Run of the Server runs it.
	Provider *auth.Provider
	// Hub pushes to WebSockets; nil: there are none. Run of the Server runs it.
	Hub *live.Hub
	// HubMetrics counts what sockets do; nil: nothing does.
	HubMetrics *live.Metrics
	// Origins are the browser origins whose pages may open WebSockets, as scheme and
	// host, beside the host that the request names.
	Origins []string

	// Limits says how often clients may ask; nil: as often as they like.
	Limits *limits.Gate

	// Ready says whether the parts that the server cannot do without are there.
	Ready func(ctx context.Context) Readiness

	Logger *slog.Logger
	// Registerer of the metrics; nil: not registered.
	Registerer prometheus.Registerer
	// Version is what the API description says.
	Version string
	// Now is the clock, time.Now when nil. Rand is where tokens, salts and ids
	// come from, crypto/rand when nil.
	Now  func() time.Time
	Rand io.Reader
}

// Server answers HTTP. It may be used concurrently. Only Run starts goroutines,
// and waits for them.
type Server struct {
	cfg       Config
	router    *chi.Mux
	api       api
	metrics   *metrics
	unmatched map[string]*routeMetrics // by method
	tokens    *auth.Tokens
	ended     *auth.Ended
	passwords *auth.Passwords
	cursors   *cursors
	people    *people
	sockets   *live.Sockets          // nil: there are none
	described func() ([]byte, error) // the description, encoded once

	// Of requests that could not be served: when one was last logged, and how many
	// were not since.
	unservedAt, unserved atomic.Int64

	idPrefix string
	idNext   atomic.Uint64
	states   sync.Pool // of *chi.Context
}

// New makes a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Grains == nil || cfg.Relations == nil || cfg.Directory == nil || cfg.Edges == nil || cfg.Credentials == nil || cfg.Cards == nil {
		return nil, errors.New("gateway: a server needs grains, relations, a directory, edges, credentials and cards")
	}
	if cfg.Activities == nil || cfg.Feeds == nil || cfg.Notifications == nil {
		return nil, errors.New("gateway: a server needs activities, feeds and notifications")
	}
	if cfg.Search == nil || cfg.Shuffle == nil || cfg.Blobs == nil {
		return nil, errors.New("gateway: a server needs a search, a shuffle and blobs")
	}
	if cfg.Ready == nil || cfg.Logger == nil {
		return nil, errors.New("gateway: a server needs a readiness and a logger")
	}
	if cfg.AccessTTL == 0 {
		cfg.AccessTTL = time.Hour
	}
	if cfg.RefreshTTL == 0 {
		cfg.RefreshTTL = 30 * 24 * time.Hour
	}
	if cfg.AccessTTL < time.Second || cfg.RefreshTTL < time.Second {
		return nil, errors.New("gateway: tokens live at least one second")
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	var s *Server // of OnEnd, which is not called before it is there
	tokens, err := auth.New(auth.Config{Secret: cfg.Secret, Provider: cfg.Provider, Now: cfg.Now, Rand: cfg.Rand})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	ended, err := auth.NewEnded(auth.EndedConfig{
		Store: cfg.Credentials, Logger: cfg.Logger, Registerer: cfg.Registerer, Now: cfg.Now,
		OnEnd: func(ids []auth.SessionID) { s.endLogins(ids) },
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	passwords, err := auth.NewPasswords(auth.PasswordConfig{Cost: cfg.PasswordCost, Rand: cfg.Rand})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	prefix := make([]byte, 6)
	if _, err := io.ReadFull(cfg.Rand, prefix); err != nil {
		return nil, fmt.Errorf("gateway: make a prefix of request ids: %w", err)
	}
	m := newMetrics(cfg.Registerer)
	s = &Server{
		cfg: cfg, router: chi.NewMux(), metrics: m, unmatched: make(map[string]*routeMetrics),
		tokens: tokens, ended: ended, passwords: passwords, cursors: newCursors(cfg.Secret),
		people:   newPeople(cfg.Directory, cfg.Cards, m),
		idPrefix: hex.EncodeToString(prefix) + "-",
		states:   sync.Pool{New: func() any { return chi.NewRouteContext() }},
	}
	for _, method := range append(methods(), otherMethod) {
		s.unmatched[method] = m.route("unmatched", method)
	}
	s.router.NotFound(s.refuseRoute)
	s.router.MethodNotAllowed(s.refuseRoute)
	s.api = newAPI(s.router, cfg.Version)
	s.addHealth()
	s.addAccounts()
	s.addSessions()
	s.addUsers()
	s.addAvailability()
	s.addRoster()
	s.addSearch()
	s.addPhotos()
	s.addProfile()
	s.addFollows()
	s.addFollowed()
	s.addRelationships()
	s.addEvents()
	s.addFeed()
	s.addNotifications()
	if err := s.addLive(); err != nil {
		return nil, err
	}
	s.addDocs()
	s.addAsyncAPI()
	s.described = sync.OnceValues(s.encodeDescription)
	if err := s.complete(); err != nil {
		return nil, err
	}
	return s, nil
}

// Handler returns what the public listener serves.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Run keeps up to date what is known of callers until ctx ends: which sessions
// have ended, and the keys of an outside provider. Without it, sessions that end
// elsewhere are not heard of.
func (s *Server) Run(ctx context.Context) error {
	runs := []func(context.Context) error{s.ended.Run}
	if s.sockets != nil {
		runs = append(runs, s.sockets.Run)
	}
	if s.cfg.Provider != nil {
		runs = append(runs, s.cfg.Provider.Run)
	}
	errs := make([]error, len(runs))
	var wg sync.WaitGroup
	for i, run := range runs {
		wg.Go(func() { errs[i] = run(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// OpenAPI returns the description of the API, to be read only.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// HTTPServer returns a net/http server for a handler with timeouts that bound
// what a slow or silent client can hold. logger gets what net/http has to say.
//
// It speaks HTTP/1.1, and HTTP/2 to clients that begin with it: TLS, with which
// the two are negotiated, is the business of a proxy in front.
func HTTPServer(h http.Handler, logger *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols:         &protocols,
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// OPTIONS * is answered like what else no route matches.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

const (
	levelAccess  = slog.LevelDebug
	levelRefused = slog.LevelWarn
	levelFault   = slog.LevelError

	headerRequestID = "X-Request-Id"
)

// serve is the frame around every route: the exchange, the router, and then
// metrics, the log, and a panic made a 500. The rest of the order is per route:
// authentication, limits of the body, the body, the handler.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	x := &exchange{Context: r.Context(), id: s.requestID(r), start: s.cfg.Now(), route: s.unmatchedRoute(r.Method)}
	x.w.ResponseWriter = w
	x.router, _ = s.states.Get().(*chi.Context)
	x.router.Reset()
	x.router.Routes = s.router
	if r.Method == http.MethodHead {
		x.router.RouteMethod = http.MethodGet // net/http drops the body
	}
	x.r = r.WithContext(x) //nolint:contextcheck // x is the context of r, and more
	w.Header()[headerRequestID] = []string{x.id}
	s.metrics.inFlight.Inc()
	defer s.finish(x) //nolint:contextcheck // x is a context
	s.router.ServeHTTP(&x.w, x.r)
}

// finish ends an exchange, also one whose handler panicked.
func (s *Server) finish(x *exchange) {
	cut := false
	if p := recover(); p != nil {
		cut = x.w.status != 0 // too late for another answer: cut the connection
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			cut = true
		} else {
			s.metrics.panics.Inc()
			s.cfg.Logger.LogAttrs(x, levelFault, "handler panicked", append(x.attrs(nil), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
		}
		if !cut {
			x.write(newFailure(x, errInternal))
		}
	}
	if x.w.status == 0 {
		x.w.status = http.StatusOK // net/http writes it after us
	}
	took := s.cfg.Now().Sub(x.start)
	x.route.observe(x.w.status, took)
	s.metrics.inFlight.Dec()
	if s.cfg.Logger.Enabled(x, levelAccess) {
		s.cfg.Logger.LogAttrs(x, levelAccess, "request", append(x.attrs(nil), slog.Int("status", x.w.status), slog.Duration("took", took))...)
	}
	s.states.Put(x.router)
	if cut {
		panic(http.ErrAbortHandler)
	}
}

// requestID returns the client's id for a request if it is a plain one, or makes
// one.
func (s *Server) requestID(r *http.Request) string {
	if given := r.Header[headerRequestID]; len(given) == 1 && plainID(given[0]) {
		return given[0]
	}
	return s.idPrefix + strconv.FormatUint(s.idNext.Add(1), 36)
}

func plainID(id string) bool {
	return id != "" && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}

const otherMethod = "other"

func methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
}

func (s *Server) unmatchedRoute(method string) *routeMetrics {
	if m := s.unmatched[method]; m != nil {
		return m
	}
	return s.unmatched[otherMethod]
}

// refuseRoute answers what no route matches: 405 with Allow when another method
// would, else 404.
func (s *Server) refuseRoute(_ http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if r.URL.RawPath != "" {
		path = r.URL.RawPath
	}
	var allow []string
	for _, method := range methods() {
		routed := method
		if method == http.MethodHead {
			routed = http.MethodGet
		}
		if s.router.Match(chi.NewRouteContext(), routed, path) {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		s.refuse(r.Context(), errNotFound)
		return
	}
	s.refuse(r.Context(), &refusal{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "Method not allowed", allow: strings.Join(allow, ", "),
	})
}
