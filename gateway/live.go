package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"kith/actors/user"
	"kith/gateway/auth"
	"kith/gateway/demopage"
	"kith/gateway/live"
	"kith/persistence"
)

const tagLive = "live"

// The refusals of GET /ws.
var (
	errUpgrade     = &refusal{status: http.StatusUpgradeRequired, code: "upgrade_required", message: "This is a WebSocket"}
	errHandshake   = &refusal{status: http.StatusBadRequest, code: "invalid_handshake", message: "Sec-WebSocket-Key must be 16 bytes in base64"}
	errOrigin      = &refusal{status: http.StatusForbidden, code: "origin_not_allowed", message: "This origin is not allowed"}
	errTokenInURL  = &refusal{status: http.StatusBadRequest, code: "token_in_query", message: "A token must not be in the URL: send it as Authorization header or in the first frame"}
	errManySockets = &refusal{status: http.StatusServiceUnavailable, code: "busy", message: "Too many sockets are opening, try again later", retryAfter: retryLater}
)

func (s *Server) addLive() error {
	if s.cfg.Hub == nil {
		return nil
	}
	var err error
	s.sockets, err = live.NewSockets(live.SocketsConfig{
		Hub: s.cfg.Hub, Authority: authority{s}, Logger: s.cfg.Logger, Metrics: s.cfg.HubMetrics, Now: s.cfg.Now,
	})
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	handleStream(s, route{
		method: http.MethodGet, path: "/ws", id: "get-ws", tag: tagLive, public: true, hidden: true,
	}, s.getSocket)
	return s.addDemo()
}

// addDemo adds the page that shows what moves.
func (s *Server) addDemo() error {
	page, err := demopage.New()
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	for _, at := range page.Paths() {
		handleStream(s, route{
			method: http.MethodGet, path: at, id: "get-" + strings.ReplaceAll(strings.Trim(at, "/"), "/", "-"), tag: tagLive, public: true, hidden: true,
		}, func(x *exchange, _ *struct{}) error {
			page.ServeHTTP(&x.w, x.r)
			return nil
		})
	}
	return nil
}

func (s *Server) getSocket(x *exchange, _ *struct{}) error {
	r := x.r
	query := r.URL.Query()
	for name := range query {
		switch strings.ToLower(name) {
		case "token", "access_token", "authorization", "auth", "jwt", "bearer":
			return errTokenInURL // it would be in logs and histories
		}
	}
	if !s.allowed(r) {
		return errOrigin
	}
	var bearer *live.Bearer
	if len(r.Header["Authorization"]) > 0 {
		if err := s.authenticate(x); err != nil {
			return err
		}
		b, err := s.bearerOf(x, x.token)
		if err != nil {
			return err
		}
		bearer = &b
	}
	if !upgrades(r) {
		x.w.Header().Set("Connection", "Upgrade")
		x.w.Header().Set("Upgrade", "websocket")
		x.w.Header().Set("Sec-WebSocket-Version", version13)
		return errUpgrade
	}
	if key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key")); err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1 {
		return errHandshake
	}
	err := s.sockets.Accept(live.Request{Writer: &x.w, HTTP: r, Address: s.address(r), Bearer: bearer, Cursor: query.Get("cursor")})
	switch {
	case errors.Is(err, live.ErrBusy), errors.Is(err, live.ErrStopped):
		return errManySockets
	case err != nil:
		s.cfg.Logger.DebugContext(x, "a connection was not upgraded", "error", err)
	default:
		x.w.status = http.StatusSwitchingProtocols // the socket says so by itself
	}
	return nil
}

// version13 is the version of the protocol (RFC 6455).
const version13 = "13"

// address returns what the client of a request is counted as.
func (s *Server) address(r *http.Request) string {
	if s.cfg.Limits != nil {
		return s.cfg.Limits.Address(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// upgrades reports whether a request asks for a WebSocket.
func upgrades(r *http.Request) bool {
	return r.ProtoMajor == 1 && hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == version13
}

// hasToken reports whether a header that lists tokens has one.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for one := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}

// allowed reports whether the page that sends a request may. What is no browser
// names no origin.
func (s *Server) allowed(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || slices.ContainsFunc(s.cfg.Origins, func(pattern string) bool {
		return matchOrigin(pattern, strings.ToLower(u.Scheme), strings.ToLower(u.Host))
	})
}

// matchOrigin reports whether a pattern of CheckOrigin allows an origin.
func matchOrigin(pattern, scheme, host string) bool {
	if pattern == "*" {
		return true
	}
	if s, rest, found := strings.Cut(pattern, "://"); found {
		if !strings.EqualFold(s, scheme) {
			return false
		}
		pattern = rest
	}
	ok, err := path.Match(strings.ToLower(pattern), host)
	return ok && err == nil
}

// CheckOrigin reports what is wrong with a pattern of browser origins: a scheme and
// a host with its port if that is not the usual one, a host alone, or * for all. A *
// in a host stands for anything.
func CheckOrigin(pattern string) error {
	wrong := errors.New("origins separated by commas, such as https://app.example.com or https://*.example.org:8443")
	scheme, host, found := strings.Cut(pattern, "://")
	if !found {
		scheme, host = "https", pattern
	}
	if scheme != "http" && scheme != "https" || host == "" || strings.ContainsAny(host, "/?#@ []\\") && !strings.HasPrefix(host, "[") {
		return wrong
	}
	if _, err := url.Parse(scheme + "://" + strings.ReplaceAll(host, "*", "x")); err != nil {
		return wrong
	}
	return nil
}

// endLogins closes the sockets of logins that ended.
func (s *Server) endLogins(ids []auth.SessionID) {
	if s.sockets == nil {
		return
	}
	logins := make([]live.SessionID, len(ids))
	for i, id := range ids {
		logins[i] = live.SessionID(id)
	}
	s.sockets.EndLogins(logins)
}

// bearerOf returns whom a verified token is for.
func (s *Server) bearerOf(ctx context.Context, token *auth.Token) (live.Bearer, error) {
	c, err := s.userOf(ctx, token, false)
	if err != nil {
		return live.Bearer{}, err
	}
	return live.Bearer{User: c.Card.ID, Login: live.SessionID(token.Session), Expires: token.ExpiresAt}, nil
}

// authority is what sockets ask of the server.
type authority struct{ s *Server }

// Authorise implements live.Authority.
func (a authority) Authorise(ctx context.Context, bearer string) (live.Bearer, error) {
	token, err := a.s.verify(ctx, bearer)
	if err == nil {
		var b live.Bearer
		if b, err = a.s.bearerOf(ctx, token); err == nil {
			return b, nil
		}
	}
	if errors.Is(err, errBadToken) {
		return live.Bearer{}, live.ErrUnauthorised
	}
	return live.Bearer{}, err
}

// Ended implements live.Authority.
func (a authority) Ended(ctx context.Context, login live.SessionID) (bool, error) {
	return a.s.ended.Has(ctx, login) //nolint:wrapcheck // says what it is
}

// Find implements live.Authority.
func (a authority) Find(ctx context.Context, username string) (user.ID, error) {
	name, err := user.ParseUsername(username)
	if err != nil {
		return 0, live.ErrNoSuchUser
	}
	c, err := a.s.people.byUsername(ctx, name)
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return 0, live.ErrNoSuchUser
	case err != nil:
		return 0, err
	}
	return c.Card.ID, nil
}
