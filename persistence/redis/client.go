package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	defaultTimeout = 100 * time.Millisecond
	// connections are more than the batches that are under way at once.
	connections = 16
)

// ErrAway says that Redis was not asked, because it is away or its cards may not
// be used yet.
var ErrAway = errors.New("redis: away")

var errURL = errors.New("redis: the URL must look like redis://user:password@host:6379/0, rediss:// with TLS, or unix:///path")

// Config is what a Client needs.
type Config struct {
	// URL is redis[s]://[[user]:password@]host[:port][/database].
	URL string
	// Timeout bounds every call. Default 100 ms.
	Timeout time.Duration
	// Logger is told when Redis goes and comes. Default: nobody is.
	Logger *slog.Logger
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Client is a connection to Redis. A call to a Redis that is away costs Timeout
// three times in a row, and then once a second to one caller; all others are
// refused at once.
type Client struct {
	rdb     *redis.Client
	timeout time.Duration
	logger  *slog.Logger
	now     func() time.Time
	breaker *breaker
	metrics *metrics

	generations
}

// CheckURL reports whether a URL can be understood, without showing it.
func CheckURL(from string) error {
	_, err := parse(from)
	return err
}

// parse does not wrap what it is told: that shows the URL, with its password.
func parse(from string) (*redis.Options, error) {
	o, err := redis.ParseURL(from)
	if err != nil || o.Addr == "" {
		return nil, errURL
	}
	// The library takes what names no host to mean this machine.
	if u, err := url.Parse(from); err != nil || u.Scheme != "unix" && u.Host == "" {
		return nil, errURL
	}
	return o, nil
}

// Open makes a Client. A Redis that is away is no error: the client waits for it
// as for one that went away.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	o, err := parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Timeout < 0 {
		return nil, fmt.Errorf("redis: timeout %s", cfg.Timeout)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Client{timeout: cfg.Timeout, logger: cfg.Logger, now: cfg.Now, breaker: &breaker{now: cfg.Now}, metrics: newMetrics()}
	if err := c.metrics.register(cfg.Registerer, c); err != nil {
		return nil, err
	}
	quiet()
	// One try, in the time that is given: the caller has a database to go to.
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = cfg.Timeout, cfg.Timeout, cfg.Timeout, cfg.Timeout
	o.PoolSize, o.MaxActiveConns, o.MinIdleConns, o.PipelinePoolSize = connections, connections, 0, -1
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.OnConnect = c.connected
	c.rdb = redis.NewClient(o)
	c.begin()
	first, cancel := c.bound(ctx)
	defer cancel()
	if c.settled(first) == nil {
		c.logger.Warn("redis is away; cards come from the database, and limits count in this process")
	}
	return c, nil
}

// quiet keeps the library from writing to the standard error: what it would say
// there comes back as errors, and is logged and counted.
//
//nolint:gochecknoglobals // so is the logger of the library
var quiet = sync.OnceFunc(logging.Disable)

// Close closes the connections.
func (c *Client) Close() error {
	if err := c.rdb.Close(); err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}

// Degraded reports whether Redis is away, so far as the last calls know.
func (c *Client) Degraded() bool { return c.breaker.isOpen() }

// bound gives a batch its time, whatever becomes of the caller who flushes it.
func (c *Client) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
}

// do makes a call to Redis, if the breaker lets it. ctx is of bound.
func (c *Client) do(ctx context.Context, op string, call func(context.Context) error) error {
	probe, ok := c.breaker.enter()
	if !ok {
		return ErrAway
	}
	start := c.now()
	err := call(ctx)
	c.metrics.seconds.WithLabelValues(op).Observe(c.now().Sub(start).Seconds())
	switch c.breaker.leave(probe, err == nil) {
	case opened:
		c.logger.Warn("redis is away", "error", err)
	case closed:
		c.logger.Info("redis is back")
	case unchanged:
	}
	if err != nil {
		c.metrics.failures.WithLabelValues(op).Inc()
		return fmt.Errorf("redis: %s: %w", op, err)
	}
	return nil
}

// The calls, as the metrics name them.
const (
	opGet        = "get"
	opPut        = "put"
	opLimit      = "limit"
	opGeneration = "generation"
)

type metrics struct {
	failures    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	generations prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_redis_failures_total", Help: "Calls to Redis that failed or took too long, by call.",
		}, []string{"call"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kith_redis_seconds", Help: "How long calls to Redis took, by call.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25},
		}, []string{"call"}),
		generations: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_redis_generations_total", Help: "Generations of cards that this process began: each left the cards in Redis unused.",
		}),
	}
}

func (m *metrics) register(r prometheus.Registerer, c *Client) error {
	if r == nil {
		return nil
	}
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kith_redis_breaker_open", Help: "1 while Redis is away and not asked, 0 else.",
	}, func() float64 {
		if c.Degraded() {
			return 1
		}
		return 0
	})
	for _, collector := range []prometheus.Collector{m.failures, m.seconds, m.generations, open} {
		if err := r.Register(collector); err != nil {
			return fmt.Errorf("redis: register the metrics: %w", err)
		}
	}
	return nil
}
