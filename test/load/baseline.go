package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
)

// baselineConfig is what the baseline's process is told.
type baselineConfig struct {
	Addr     string
	Database string // path of a file that fillBaseline made; "": PostgreSQL
	URL      string // of PostgreSQL
	Schema   string // of the tables there
	Conns    int    // to PostgreSQL
	Secret   []byte
}

// baseline is what Kith is compared with: a plain handler on net/http, SQLite
// through database/sql or PostgreSQL through pgx, with prepared statements, tokens
// by golang-jwt, answers by encoding/json. It does what a careful service of that
// kind does, and nothing that would hold it up: no router, no middleware, no
// metrics, no log.
type baseline struct {
	store  bareStore
	secret []byte
	parser *jwt.Parser
}

// bareStore is the database of a baseline.
type bareStore interface {
	// lookup returns the id of the caller, the user who bears a name, and whether
	// the caller follows them; sql.ErrNoRows when one of them does not exist.
	lookup(ctx context.Context, caller user.UID, username string) (id user.ID, c user.Card, following bool, err error)
	exists(ctx context.Context, uid user.UID) (bool, error)
	// follow inserts the edge and counts it on both sides in one transaction, and
	// reports whether it is new. target gets its new counters.
	follow(ctx context.Context, caller user.ID, target *user.Card) (created bool, err error)
	close() error
}

func (c *baselineConfig) open(ctx context.Context) (bareStore, error) {
	if c.Database == "" {
		return openBarePostgres(ctx, c)
	}
	return openBaseline(ctx, c.Database)
}

// serveBaseline is the baseline's process: it serves until ctx ends.
func serveBaseline(ctx context.Context, in io.Reader) (err error) {
	var cfg baselineConfig
	if err := json.NewDecoder(in).Decode(&cfg); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	store, err := cfg.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	b := &baseline{
		store: store, secret: cfg.Secret,
		parser: jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired()),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /users/{username}", b.lookup)
	mux.HandleFunc("PUT /users/self/following/{username}", b.follow)
	server := &http.Server{
		Addr: cfg.Addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    slog.NewLogLogger(slog.NewTextHandler(os.Stderr, nil), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// The answers have the fields of Kith's, in Kith's order.
type baselineUser struct {
	ID        user.ID   `json:"id"`
	UID       string    `json:"uid"`
	Username  string    `json:"username"`
	Name      string    `json:"name"`
	Role      user.Role `json:"role"`
	Picture   string    `json:"profile_picture"`
	Followers int64     `json:"followers"`
	Following int64     `json:"following"`
	Streams   int64     `json:"total_streams"`
	Videos    int64     `json:"total_videos"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

type baselineAnswer struct {
	Status    string       `json:"status"`
	User      baselineUser `json:"user"`
	Following bool         `json:"following"`
}

func (b *baseline) lookup(w http.ResponseWriter, r *http.Request) {
	caller, ok := b.authenticate(r)
	if !ok {
		unauthorized(w)
		return
	}
	_, c, following, err := b.store.lookup(r.Context(), caller, strings.ToLower(r.PathValue("username")))
	if err != nil {
		b.fail(w, r, caller, err)
		return
	}
	answer(w, http.StatusOK, c, following)
}

func (b *baseline) follow(w http.ResponseWriter, r *http.Request) {
	uid, ok := b.authenticate(r)
	if !ok {
		unauthorized(w)
		return
	}
	caller, target, following, err := b.store.lookup(r.Context(), uid, strings.ToLower(r.PathValue("username")))
	if err != nil {
		b.fail(w, r, uid, err)
		return
	}
	if caller == target.ID {
		refuse(w, http.StatusUnprocessableEntity, "You cannot follow yourself")
		return
	}
	if following {
		answer(w, http.StatusOK, target, true)
		return
	}
	created, err := b.store.follow(r.Context(), caller, &target)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, "Internal server error")
	case created:
		answer(w, http.StatusCreated, target, true)
	default:
		answer(w, http.StatusOK, target, true)
	}
}

// authenticate verifies the token of a request and returns whose it is.
func (b *baseline) authenticate(r *http.Request) (user.UID, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return user.UID{}, false
	}
	var claims struct {
		jwt.RegisteredClaims
		Session string `json:"sid"`
	}
	if _, err := b.parser.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return b.secret, nil }); err != nil {
		return user.UID{}, false
	}
	uid, err := user.ParseUID(claims.Subject)
	return uid, err == nil
}

func answer(w http.ResponseWriter, status int, c user.Card, following bool) {
	body, err := json.Marshal(baselineAnswer{Status: "success", Following: following, User: baselineUser{
		ID: c.ID, UID: c.UID.String(), Username: c.Username, Name: c.Name, Role: c.Role, Picture: c.Picture,
		Followers: c.Followers, Following: c.Following, Streams: c.Streams, Videos: c.Videos,
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}})
	if err != nil {
		refuse(w, http.StatusInternalServerError, "Internal server error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "message": message}) // the client is gone
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	refuse(w, http.StatusUnauthorized, "Unauthorized")
}

// fail answers a lookup that found nothing, or could not look.
func (b *baseline) fail(w http.ResponseWriter, r *http.Request, caller user.UID, err error) {
	if !errors.Is(err, sql.ErrNoRows) {
		refuse(w, http.StatusInternalServerError, "Internal server error")
		return
	}
	switch exists, err := b.store.exists(r.Context(), caller); {
	case err != nil:
		refuse(w, http.StatusInternalServerError, "Internal server error")
	case !exists:
		unauthorized(w)
	default:
		refuse(w, http.StatusNotFound, "User not found")
	}
}
