package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"kith/persistence/postgres"
	"kith/persistence/redis"
)

// storage are the settings of every command that touches stored data.
type storage struct {
	DataDir      string `name:"data-dir" env:"KITH_DATA_DIR" default:"./kith-data" placeholder:"DIR" help:"Everything embedded lives here: database, generated secret, admin socket."`
	DatabaseURL  secret `name:"database-url" env:"KITH_DATABASE_URL" placeholder:"URL" help:"PostgreSQL, such as postgres://kith:password@db.example.com/kith. Default: SQLite in the data dir."`
	DatabasePool int    `name:"database-pool" env:"KITH_DATABASE_POOL" default:"0" placeholder:"N" help:"Connections to PostgreSQL that read at once. Default: four per processor."`
}

// maxDatabasePool is far above what one server can use.
const maxDatabasePool = 1000

func (s *storage) check() error {
	if s.DataDir == "" {
		return badSetting("KITH_DATA_DIR", s.DataDir, "the path of a directory")
	}
	if s.DatabaseURL != "" {
		if err := postgres.CheckURL(string(s.DatabaseURL)); err != nil {
			return badSetting("KITH_DATABASE_URL", masked(string(s.DatabaseURL)), fmt.Sprintf("postgres://user:password@host:port/database (%v)", err))
		}
	}
	if s.DatabasePool < 0 || s.DatabasePool > maxDatabasePool {
		return badSetting("KITH_DATABASE_POOL", strconv.Itoa(s.DatabasePool), fmt.Sprintf("a number from 0 to %d", maxDatabasePool))
	}
	return nil
}

// signing are the settings of every command that issues tokens.
type signing struct {
	JWTSecret secret `name:"jwt-secret" env:"KITH_JWT_SECRET" placeholder:"KEY" help:"HS256 key of access tokens, at least 32 bytes. Default: generated once into the data dir."`
}

func (s *signing) check() error {
	if s.JWTSecret != "" && len(s.JWTSecret) < minSecret {
		return badSetting("KITH_JWT_SECRET", s.JWTSecret.String(), fmt.Sprintf("at least %d bytes (it has %d); openssl rand -base64 48 makes a good one", minSecret, len(s.JWTSecret)))
	}
	return nil
}

// settings are the settings of serve.
type settings struct {
	storage
	signing
	HTTPAddr   string   `name:"http-addr" env:"KITH_HTTP_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Public listener: REST, WebSockets, health."`
	OpsAddr    string   `name:"ops-addr" env:"KITH_OPS_ADDR" default:"127.0.0.1:9464" placeholder:"HOST:PORT" help:"Private listener: metrics, profiles."`
	PublicURL  string   `name:"public-url" env:"KITH_PUBLIC_URL" placeholder:"URL" help:"Base of the URLs that the server hands out. Default: http:// and the HTTP address."`
	WSOrigins  string   `name:"ws-origins" env:"KITH_WS_ORIGINS" placeholder:"ORIGINS" help:"Browser origins whose pages may open /ws, separated by commas, such as https://app.example.com,https://*.example.org. Default: the host that serves it."`
	AccessTTL  lifetime `name:"access-ttl" env:"KITH_ACCESS_TTL" default:"1h" placeholder:"TIME" help:"How long an access token is good for."`
	RefreshTTL lifetime `name:"refresh-ttl" env:"KITH_REFRESH_TTL" default:"30d" placeholder:"TIME" help:"How long a refresh token is good for."`
	RedisURL   secret   `name:"redis-url" env:"KITH_REDIS_URL" placeholder:"URL" help:"Redis for cached cards and shared limits, such as redis://cache.example.com:6379/0. Default: in this process."`
	Quarantine lifetime `name:"username-quarantine" env:"KITH_USERNAME_QUARANTINE" default:"0" placeholder:"TIME" help:"How long the name of a deleted user stays taken."`
	searchSettings
	kafkaSettings
	s3Settings
	provider
	limitations
	LogLevel  string `name:"log-level" env:"KITH_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error."`
	LogFormat string `name:"log-format" env:"KITH_LOG_FORMAT" default:"text" placeholder:"FORMAT" help:"text or json."`
}

// minSecret is the shortest key that HS256 should be used with (RFC 7518, 3.2).
const minSecret = 32

// check returns the first setting that is wrong, as one line that names it, its
// value and what is allowed.
func (s *settings) check() error {
	if err := s.storage.check(); err != nil {
		return err
	}
	for _, a := range []struct{ name, value string }{{"KITH_HTTP_ADDR", s.HTTPAddr}, {"KITH_OPS_ADDR", s.OpsAddr}} {
		if err := checkAddr(a.value); err != nil {
			return badSetting(a.name, a.value, "host:port with a port from 0 to 65535, such as 127.0.0.1:8080")
		}
	}
	if err := s.signing.check(); err != nil {
		return err
	}
	if s.RedisURL != "" {
		if err := redis.CheckURL(string(s.RedisURL)); err != nil {
			return badSetting("KITH_REDIS_URL", masked(string(s.RedisURL)), "redis://user:password@host:port/number, or rediss:// for TLS")
		}
	}
	if s.PublicURL != "" {
		if u, err := webURL(s.PublicURL); err != nil || u.RawQuery != "" {
			return badSetting("KITH_PUBLIC_URL", redacted(s.PublicURL), "an http(s) URL without user, query and fragment, such as https://api.example.com")
		}
	}
	if _, err := s.origins(); err != nil {
		return badSetting("KITH_WS_ORIGINS", redacted(s.WSOrigins), err.Error())
	}
	for _, l := range []struct {
		name  string
		value lifetime
	}{{"KITH_ACCESS_TTL", s.AccessTTL}, {"KITH_REFRESH_TTL", s.RefreshTTL}} {
		if err := l.value.check(); err != nil {
			return badSetting(l.name, string(l.value), err.Error())
		}
	}
	if err := s.Quarantine.checkOrZero(); err != nil {
		return badSetting("KITH_USERNAME_QUARANTINE", string(s.Quarantine), err.Error())
	}
	if err := s.searchSettings.check(); err != nil {
		return err
	}
	if err := s.kafkaSettings.check(); err != nil {
		return err
	}
	if err := s.s3Settings.check(); err != nil {
		return err
	}
	if err := s.provider.check(); err != nil {
		return err
	}
	if err := s.limitations.check(); err != nil {
		return err
	}
	if _, err := s.level(); err != nil {
		return badSetting("KITH_LOG_LEVEL", s.LogLevel, "debug, info, warn or error")
	}
	if s.LogFormat != "text" && s.LogFormat != "json" {
		return badSetting("KITH_LOG_FORMAT", s.LogFormat, "text or json")
	}
	return nil
}

// webURL reads an http(s) URL without a user and a fragment.
func webURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("url: not an http(s) URL without user and fragment")
	}
	return u, nil
}

// redacted masks what stands before an @ in a URL, also in one that is malformed.
func redacted(s string) string {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		return "***" + s[i:]
	}
	return s
}

// masked is a URL without what may be secret in it: user, password, query. Of what
// is no such URL nothing is shown: it may be all password.
func masked(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	at, query := strings.LastIndexByte(rest, '@'), strings.IndexByte(rest, '?')
	if !found || query >= 0 && at > query {
		return "***"
	}
	if query >= 0 {
		rest = rest[:query]
	}
	if at >= 0 {
		rest = "***" + rest[at:]
	}
	return scheme + "://" + rest
}

func badSetting(name, value, allowed string) error {
	return fmt.Errorf("%w setting %s=%q: allowed is %s", errInvalid, name, value, allowed)
}

func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address: %w", err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port: %w", err)
	}
	return nil
}

func (s *settings) level() (slog.Level, error) {
	var l slog.Level
	switch s.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return l, errors.New("unknown level")
	}
	err := l.UnmarshalText([]byte(s.LogLevel))
	return l, err
}

func (s *settings) logger(w *os.File) *slog.Logger {
	level, err := s.level()
	if err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
