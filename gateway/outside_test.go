package gateway_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
	"kith/gateway"
	"kith/gateway/auth"
)

// provider is an outside identity provider.
type provider struct {
	*auth.Provider

	w   *world
	key ed25519.PrivateKey
}

// withProvider makes the server of w accept the tokens of a provider.
func (w *world) withProvider(tb testing.TB) *provider {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	tb.Cleanup(keys.Close)
	p, err := auth.NewProvider(auth.ProviderConfig{
		URL: keys.URL, Issuer: "https://id.example.com/", Audience: "kith", Now: w.clock,
		Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	w.serve(tb, func(cfg *gateway.Config) { cfg.Provider = p })
	return &provider{p, w, private}
}

// serve makes another server of w, of a changed configuration.
func (w *world) serve(tb testing.TB, change func(*gateway.Config)) {
	tb.Helper()
	cfg := w.config()
	cfg.Registerer = nil
	change(&cfg)
	s, err := gateway.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Learn(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	w.server, w.handler = s, s.Handler()
}

func (p *provider) token(tb testing.TB, subject string) string {
	tb.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://id.example.com/", "aud": "kith", "sub": subject, "exp": p.w.clock().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = "k"
	s, err := token.SignedString(p.key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (w *world) createUser(tb testing.TB, token, body string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/users", token: token, body: body})
}

func TestAnOutsideIdentityGetsAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "bob")
	p := w.withProvider(t)
	token := p.token(t, "user-1")
	// Until then there is nobody.
	w.get(t, token, "/users/self").refused(t, 404, "user_not_found", "User not found")
	w.get(t, token, "/users/bob").refused(t, 401, "unauthorized", "Missing or invalid authentication token")
	w.call(t, call{method: http.MethodDelete, path: "/users/alice", token: token}).is(t, 404)
	w.logout(t, token, "").is(t, 401)

	got := w.createUser(t, token, `{"username":" Alice ","name":" Alice A ","email":"alice@example.com"}`).is(t, 201)
	if len(got.body) != 2 || got.user("username") != "alice" || got.user("name") != "Alice A" || strings.Contains(got.Body.String(), "xample") {
		t.Error(got.Body)
	}
	if w.hashes[2] != "" || len(w.sessions) != 0 {
		t.Error("a password or a session")
	}
	for _, token := range []string{token, p.token(t, "user-1")} { // of the identity, not of one token
		if got := w.get(t, token, "/users/self").is(t, 200); got.user("username") != "alice" {
			t.Error(got.Body)
		}
		w.get(t, token, "/users/bob").is(t, 200)
	}
	w.get(t, p.token(t, "user-2"), "/users/self").is(t, 404)

	w.createUser(t, token, `{"username":"other","name":"O"}`).refused(t, 409, "identity_taken", "Identity already has a user")
	w.createUser(t, p.token(t, "user-2"), `{"username":"ALICE","name":"O"}`).refused(t, 409, "username_taken", "Username already exists")
	w.createUser(t, p.token(t, "user-2"), `{"username":"other","name":"O","email":"Alice@example.com"}`).refused(t, 409, "email_taken", "Email already in use")
	w.createUser(t, p.token(t, "user-2"), `{"username":"self","name":"O"}`).refused(t, 409, "username_reserved", "Username is reserved")
	for body, code := range map[string]string{`{}`: "invalid_username", `{"username":"other"}`: "invalid_name", `{"username":"other","name":"O","email":"x"}`: "invalid_email"} {
		if got := w.createUser(t, p.token(t, "user-2"), body).is(t, 400); got.body["code"] != code {
			t.Error(got.Body)
		}
	}
	for _, personal := range []string{"user-1", "user-2", "alice", "xample", token} {
		if strings.Contains(w.log.String(), personal) {
			t.Errorf("the log holds %q", personal)
		}
	}
}

func TestOurOwnTokensMakeNoUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.createUser(t, token, `{"username":"other","name":"O"}`).refused(t, 409, "identity_taken", "Identity already has a user")
	w.createUser(t, "", `{"username":"other","name":"O"}`).is(t, 401)
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.createUser(t, token, `{"username":"other","name":"O"}`).is(t, 401)
	if len(w.states) != 1 {
		t.Error("somebody was made")
	}
}

// Whose user was deleted may have another, on every server, with tokens that were
// used before.
func TestAnIdentityMayComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "bob")
	p := w.withProvider(t)
	token := p.token(t, "user-1")
	w.createUser(t, token, `{"username":"alice","name":"A"}`).is(t, 201)
	w.get(t, token, "/users/bob").is(t, 200)
	w.call(t, call{method: http.MethodDelete, path: "/users/self", token: token}).is(t, 200)
	w.get(t, token, "/users/self").is(t, 404)
	w.get(t, token, "/users/bob").is(t, 401)

	// Registered through another server: this one still remembers the old user.
	mine := w.handler
	w.serve(t, func(cfg *gateway.Config) { cfg.Provider = p.Provider })
	w.createUser(t, token, `{"username":"alice2","name":"A"}`).is(t, 201)
	w.handler = mine
	w.get(t, token, "/users/bob").is(t, 200)
	if got := w.get(t, token, "/users/self").is(t, 200); got.user("username") != "alice2" {
		t.Error(got.Body)
	}
}

func TestAnOutsideTokenCanBeEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.withProvider(t)
	one := p.token(t, "user-1")
	w.createUser(t, one, `{"username":"alice","name":"A"}`).is(t, 201)
	w.pass(time.Second)
	two := p.token(t, "user-1")
	w.logout(t, one, "").is(t, 200)
	w.get(t, one, "/users/self").is(t, 401)
	w.get(t, two, "/users/self").is(t, 200)
}

func TestWithoutTheProvidersKeysTokensCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := auth.NewProvider(auth.ProviderConfig{
		URL: "http://id.example.com/", Issuer: "https://id.example.com/", Audience: "kith", Now: w.clock, Logger: slog.New(slog.DiscardHandler),
		Client: &http.Client{Transport: away{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.serve(t, func(cfg *gateway.Config) { cfg.Provider = p })
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.get(t, (&provider{p, w, private}).token(t, "user-1"), "/users/self").refused(t, 503, "unavailable", "Temporarily unavailable, try again")
	w.get(t, w.join(t, "alice"), "/users/self").is(t, 200)
	w.get(t, "garbage", "/users/self").is(t, 401)
}

// away is a network that is down.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }
