package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	osearch "github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"
	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/away"
)

const (
	defaultTimeout = time.Second
	// connections are kept for the next searches.
	connections = 64
)

const (
	// maxError is as much of an error as is read.
	maxError = 64 << 10
	// kindNoIndex is the kind of a refusal for want of an index or an alias.
	kindNoIndex = "index_not_found_exception"
)

// The calls, as the metrics name them.
const (
	callSearch = "search"
	callIndex  = "index"
	callBuild  = "build"
	callProbe  = "probe"
)

// Config is what an Engine needs.
type Config struct {
	// URL is http[s]://[user:password@]host[:port][/path][?index=name].
	URL string
	// Timeout bounds a search. 0: 1 s.
	Timeout time.Duration
	// Logger is told when the engine goes and comes. nil: nobody is.
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
	Now        func() time.Time      // nil: time.Now
}

// Engine is an index of users in a search engine.
type Engine struct {
	client  *osearch.Client
	index   string // the alias
	timeout time.Duration
	logger  *slog.Logger
	now     func() time.Time
	metrics *metrics
	watch   *away.Watch
}

var _ persistence.SearchIndex = (*Engine)(nil)

// New makes an Engine. It asks nothing of the server: Run does.
func New(cfg Config) (*Engine, error) {
	address, index, err := parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("opensearch: need %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	e := &Engine{index: index, timeout: cfg.Timeout, logger: cfg.Logger, now: cfg.Now, metrics: newMetrics()}
	if e.client, err = connect(address); err != nil {
		return nil, err
	}
	e.watch = away.New(e.timeout, e.probe, e.told)
	if err := e.metrics.register(cfg.Registerer, e); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// connect makes a client that does what it is told, once: who is away is asked again
// by those who know what for.
func connect(address string) (*osearch.Client, error) {
	u, err := url.Parse(address)
	if err != nil { // without the error, which may show the URL
		return nil, fmt.Errorf("opensearch: need %w", errURL)
	}
	password, _ := u.User.Password()
	t, err := opensearchtransport.New(opensearchtransport.Config{
		URLs: []*url.URL{u}, Username: u.User.Username(), Password: password,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute,
		},
		// It would ask for what a user of one index has no right to.
		DisableRetry: true, HealthCheckMaxRetries: -1, MaxRetryClusterHealth: -1, NodeStatsInterval: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("opensearch: need %w", errURL)
	}
	return &osearch.Client{Transport: t}, nil
}

// Close closes the connections.
func (e *Engine) Close() error {
	if err := e.client.Close(); err != nil {
		return fmt.Errorf("opensearch: close: %w", err)
	}
	return nil
}

// Run looks at the engine until ctx ends: at once, every so often, and after a
// search that failed.
func (e *Engine) Run(ctx context.Context) error { return e.watch.Run(ctx) } //nolint:wrapcheck // there is none

// Away reports whether the engine did not answer when it was last looked at.
func (e *Engine) Away() bool { return e.watch.Away() }

// probe searches, for anybody.
func (e *Engine) probe(ctx context.Context) error {
	_, err := e.ask(ctx, callProbe, []object{byUsername("", "", 1)})
	if errors.Is(err, persistence.ErrNoIndex) { // it answers, and will have one
		return nil
	}
	return err
}

func (e *Engine) told(err error) {
	if err != nil {
		e.logger.Warn("the search engine does not answer; the database does what it can", "error", err)
		return
	}
	e.logger.Info("the search engine is back")
}

// call makes a request and reads the answer into a T. What goes wrong is told
// without what was asked and answered, which may be personal.
func call[T any](ctx context.Context, e *Engine, name, method string, request osearch.Request) (answer T, err error) {
	start := e.now()
	defer func() {
		e.metrics.seconds.WithLabelValues(name).Observe(e.now().Sub(start).Seconds())
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) && !errors.Is(err, persistence.ErrNoIndex) {
			e.metrics.failures.WithLabelValues(name).Inc()
		}
	}()
	r, err := osearch.Do(ctx, e.client, method, request, &answer)
	switch {
	case r == nil:
		return answer, fmt.Errorf("ask the search engine: %w", err)
	case r.IsError():
		return answer, refused(r)
	case ctx.Err() != nil:
		return answer, fmt.Errorf("read what the search engine answers: %w", ctx.Err())
	case err != nil:
		return answer, errAnswer
	}
	return answer, nil
}

var errAnswer = errors.New("the search engine does not answer as one does")

// refusal is an answer that is no success.
type refusal struct {
	status int
	kind   string // such as index_not_found_exception; "" when the engine does not say
}

// refused reads an answer that is no success. Its reason is not kept.
func refused(r *osearch.Response) error {
	var body struct {
		Error struct {
			Type string `json:"type"`
		} `json:"error"`
	}
	// What is in between, a proxy for one, answers in other ways.
	_ = json.NewDecoder(io.LimitReader(r.Body, maxError)).Decode(&body)
	return &refusal{r.StatusCode, body.Error.Type}
}

// Error implements error.
func (r *refusal) Error() string {
	if r.kind == "" {
		return fmt.Sprintf("the search engine answers %d %s", r.status, http.StatusText(r.status))
	}
	return fmt.Sprintf("the search engine answers %d, %s", r.status, r.kind)
}

// Is makes the lack of an index what the contract calls it.
func (r *refusal) Is(target error) bool {
	return target == persistence.ErrNoIndex && r.kind == kindNoIndex
}

// jsonBody returns JSON values, each in a line, as the body of a request.
func jsonBody(values ...any) (io.Reader, error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, v := range values {
		if err := lines.Encode(v); err != nil {
			return nil, fmt.Errorf("encode a request: %w", err)
		}
	}
	return &body, nil
}
