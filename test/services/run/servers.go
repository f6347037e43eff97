package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"kith/test/services"
	"kith/test/services/server"
)

// missing returns the kinds of servers that are not installed, after installing
// what may be.
func (r *runner) missing(ctx context.Context, mayInstall bool) ([]server.Kind, error) {
	missing, err := r.absent()
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	if mayInstall {
		r.say("installing %s: %s", names(missing), advice(missing))
		if err := r.install(ctx, missing, r.stderr); err != nil {
			// Without -require the rest can be tested all the same.
			r.say("%v", err)
		}
		if missing, err = r.absent(); err != nil {
			return nil, err
		}
	}
	if len(missing) > 0 && r.require {
		return nil, fmt.Errorf("%s: not installed, and required; %s", names(missing), advice(missing))
	}
	return missing, nil
}

// absent returns the kinds of servers that are not installed.
func (r *runner) absent() ([]server.Kind, error) {
	var absent []server.Kind
	for _, k := range server.Kinds() {
		_, err := r.find(k)
		var missing *server.MissingError
		switch {
		case errors.As(err, &missing):
			absent = append(absent, k)
		case err != nil:
			return nil, fmt.Errorf("look for %s: %w", k, err)
		}
	}
	return absent, nil
}

func names(kinds []server.Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// shared is a server that all tests share.
type shared struct {
	kind     server.Kind
	variable string // that names it
	version  func(ctx context.Context, url string) (string, error)
	start    func(ctx context.Context, yard *server.Yard) (url string, err error)
}

// sharedServers returns those that all tests share.
func sharedServers() []shared {
	return []shared{
		{server.KindPostgres, services.DatabaseVariable, postgresVersion, func(ctx context.Context, yard *server.Yard) (string, error) {
			p, err := yard.Postgres(ctx, server.PostgresConfig{Settings: server.Careless()})
			if err != nil {
				return "", err //nolint:wrapcheck // says all
			}
			return p.URL("postgres"), nil
		}},
		{server.KindRedis, services.RedisVariable, redisVersion, func(ctx context.Context, yard *server.Yard) (string, error) {
			s, err := yard.Redis(ctx)
			if err != nil {
				return "", err //nolint:wrapcheck // says all
			}
			return s.URL(0), nil
		}},
		{server.KindSearch, services.SearchVariable, searchVersion, func(ctx context.Context, yard *server.Yard) (string, error) {
			s, err := yard.Search(ctx, server.SearchConfig{})
			if err != nil {
				return "", err //nolint:wrapcheck // says all
			}
			return s.URL(), nil
		}},
	}
}

// running is where a shared server is, and what it is.
type running struct {
	at, how, version string
	err              error
}

// start makes sure that the servers that are shared run, as far as they are there,
// and returns what the environment of tests has to hold, and what turned out to be
// missing, too.
func (r *runner) start(ctx context.Context, yard *server.Yard, missing []server.Kind) (env []string, _ []server.Kind, err error) {
	found := make([]running, len(r.shared))
	var starts sync.WaitGroup // all at once: it is the slowest that one waits for
	for i, s := range r.shared {
		starts.Go(func() { found[i] = r.begin(ctx, yard, s, missing) })
	}
	starts.Wait()
	for i, s := range r.shared {
		f := found[i]
		var absent *server.MissingError
		switch {
		case errors.As(f.err, &absent) && !r.require:
			r.say("%v", f.err)
			missing = append(missing, s.kind)
		case f.err != nil:
			return nil, nil, fmt.Errorf("%s: %w", s.kind, f.err)
		case f.at != "":
			env = append(env, s.variable+"="+f.at)
			r.say("%s %s at %s, %s", s.kind, f.version, host(f.at), f.how)
		}
	}
	for _, k := range []server.Kind{server.KindPgBouncer, server.KindKafka, server.KindElastic, server.KindS3} {
		if !slices.Contains(missing, k) {
			r.say("%s is installed; tests start their own", k)
		}
	}
	if r.require {
		env = append(env, services.RequireVariable+"=1")
	}
	return env, missing, nil
}

// begin returns where a shared server is, after starting it where nobody else has;
// the zero value when it is missing.
func (r *runner) begin(ctx context.Context, yard *server.Yard, s shared, missing []server.Kind) (f running) {
	f.at, f.how = r.getenv(s.variable), "of "+s.variable
	switch {
	case f.at != "":
	case slices.Contains(missing, s.kind):
		return running{}
	default:
		f.how = "started"
		if f.at, f.err = s.start(ctx, yard); f.err != nil {
			return f
		}
	}
	if f.version, f.err = s.version(ctx, f.at); f.err != nil {
		f.err = fmt.Errorf("%s: %w", f.how, f.err)
	}
	return f
}

// askTime bounds asking a server that somebody else runs.
const askTime = 10 * time.Second

func postgresVersion(ctx context.Context, at string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	c, err := pgx.Connect(ctx, at)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	var (
		version string
		may     bool
	)
	err = c.QueryRow(ctx, `SELECT split_part(current_setting('server_version'), ' ', 1), rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&version, &may)
	if err == nil && !may {
		err = errors.New("the role may not create databases")
	}
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	return version, nil
}

func redisVersion(ctx context.Context, at string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	options, err := redis.ParseURL(at)
	if err != nil {
		return "", errors.New("its URL cannot be read") // which may hold a password
	}
	c := redis.NewClient(options)
	info, err := c.InfoMap(ctx, "server").Result()
	if err := errors.Join(err, c.Close()); err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	return info["Server"]["redis_version"], nil
}

func searchVersion(ctx context.Context, at string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := server.AskSearch(ctx, http.MethodGet, at, "/")
	if err != nil {
		return "", err //nolint:wrapcheck // says all
	}
	var says struct{ Version struct{ Number string } }
	if err := json.Unmarshal(answer, &says); err != nil {
		return "", fmt.Errorf("ask for the version: %w", err)
	}
	return says.Version.Number, nil
}

// host returns where a URL points, without the password.
func host(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "an unknown place"
	}
	return u.Host
}
