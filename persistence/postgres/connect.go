package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Bounds of one connection. A network that is dead is noticed after five seconds,
// whether anything was under way or not.
const (
	connectTimeout = 5 * time.Second
	keepAliveIdle  = 2 * time.Second
	keepAliveEvery = 1 * time.Second
	keepAliveCount = 3
	userTimeout    = 5 * time.Second // of what was sent and not acknowledged
	poolIdle       = 10 * time.Minute
)

// purpose is what a connection is for.
type purpose int

const (
	forReads purpose = iota
	forWrites
	forLeases
	forCommits
	forMigrations
)

// settings returns what is set on a connection for a purpose.
//
// Tables are young at first, and a plan that was made on a young table scans it
// for ever; so nothing may scan or hash a whole table where an index would do.
// That takes planning of a commit each time, since its arrays differ in length.
// Compiling a plan costs more than running it. Whoever reads for longer than the
// timeouts, or reads whole tables, sets that within its transaction.
func (p purpose) settings() map[string]string {
	if p == forMigrations { // takes as long as it takes
		return map[string]string{"synchronous_commit": "on", "statement_timeout": "0", "lock_timeout": "0"}
	}
	s := map[string]string{
		"synchronous_commit":                  "on",
		"jit":                                 "off",
		"enable_seqscan":                      "off",
		"enable_hashjoin":                     "off",
		"enable_mergejoin":                    "off",
		"max_parallel_workers_per_gather":     "0", // a page is not worth starting processes
		"idle_in_transaction_session_timeout": "20s",
		// The server gives a client up as fast as the client gives the server up.
		"tcp_keepalives_idle":     "2",
		"tcp_keepalives_interval": "1",
		"tcp_keepalives_count":    "3",
		"tcp_user_timeout":        "5s",
		// Less than a lease lasts: the server says that it gave up before its client
		// has to guess.
		"statement_timeout": "8s",
	}
	switch p {
	case forCommits:
		s["plan_cache_mode"] = "force_custom_plan"
	case forWrites:
		s["lock_timeout"] = "4s"
	case forReads, forLeases, forMigrations:
	}
	return s
}

// CheckURL returns why a URL cannot be that of a database, or nil. The error does
// not repeat the URL, which may hold a password.
func CheckURL(databaseURL string) error {
	_, err := parse(databaseURL)
	return err
}

func parse(databaseURL string) (*pgxpool.Config, error) {
	if !strings.HasPrefix(databaseURL, "postgres://") && !strings.HasPrefix(databaseURL, "postgresql://") {
		return nil, errors.New("postgres: the URL does not begin with postgres://")
	}
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("postgres: the URL cannot be read%s", reason(databaseURL, err)) // without the error, which may hold the password
	}
	c := cfg.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "kith"
	}
	c.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveEvery, Count: keepAliveCount},
		Control:         limitUnacknowledged,
	}).DialContext
	if c.ValidateConnect == nil && manyHosts(c) {
		// After a failover the old primary may be back, as a standby.
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.MaxConnIdleTime, cfg.PingTimeout = poolIdle, connectTimeout
	return cfg, nil
}

// reason is what the parser says is wrong, unless that could hold a part of the
// URL that is secret.
func reason(databaseURL string, err error) string {
	text := err.Error()
	i := strings.LastIndex(text, "`: ")
	u, parsed := url.Parse(databaseURL)
	if i < 0 || parsed != nil {
		return ": an unescaped character, or a port that is no number?"
	}
	text = text[i+2:]
	secrets := slices.Concat(slices.Collect(maps.Values(u.Query()))...)
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			return ": an option has a value that it cannot have"
		}
	}
	return ":" + text
}

func manyHosts(c *pgx.ConnConfig) bool {
	return slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.Host != c.Host || f.Port != c.Port })
}

// target is a database that was reached once.
type target struct {
	base *pgxpool.Config // as the URL says
	// bouncer is set when a session keeps nothing, neither settings nor
	// statements.
	bouncer bool
}

// reach connects once, to learn whether the database is there and what stands in
// between.
func reach(ctx context.Context, databaseURL string) (*target, error) {
	base, err := parse(databaseURL)
	if err != nil {
		return nil, err
	}
	t := &target{base: base}
	conn, err := t.connect(ctx, forCommits)
	if unsupportedParameter(err) {
		t.bouncer = true
		conn, err = t.connect(ctx, forCommits)
	}
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	defer func() { closeConn(ctx, conn) }()
	// A pgbouncer that was told to ignore what it does not know says nothing.
	// This asks without a statement of its own, which one like that would lose.
	var mode, synchronous string
	if err := conn.QueryRow(ctx, `SELECT current_setting('plan_cache_mode'), current_setting('synchronous_commit')`, pgx.QueryExecModeSimpleProtocol).Scan(&mode, &synchronous); err != nil {
		return nil, fmt.Errorf("postgres: read the settings: %w", err)
	}
	t.bouncer = t.bouncer || mode != forCommits.settings()["plan_cache_mode"]
	if synchronous == "off" || synchronous == "local" {
		return nil, fmt.Errorf("postgres: %w", ErrAsync)
	}
	return t, nil
}

func closeConn(ctx context.Context, c *pgx.Conn) {
	// It says goodbye; that the server hears it is not needed.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}

// config returns the configuration of a connection for a purpose. What the URL
// sets itself stays, except where commits depend on it.
func (t *target) config(p purpose) *pgx.ConnConfig {
	c := t.base.ConnConfig.Copy()
	if t.bouncer {
		c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		return c
	}
	for name, value := range p.settings() {
		if _, set := c.RuntimeParams[name]; !set || p == forCommits || name == "synchronous_commit" {
			c.RuntimeParams[name] = value
		}
	}
	return c
}

func (t *target) connect(ctx context.Context, p purpose) (*pgx.Conn, error) {
	return pgx.ConnectConfig(ctx, t.config(p)) //nolint:wrapcheck // the caller does
}

func (t *target) pool(ctx context.Context, p purpose, maxConns int) (*pgxpool.Pool, error) {
	cfg := t.base.Copy()
	cfg.ConnConfig = t.config(p)
	cfg.MaxConns = int32(maxConns) //nolint:gosec // small
	if p == forLeases {
		// What settles a lost connection should not have to find out that it lost its
		// own.
		cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return true }
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: make a pool: %w", err)
	}
	return pool, nil
}
