package apifuzz_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/test/kithtest"
)

const (
	secret   = "a secret of this test, of more than 32 bytes"
	issuer   = "https://id.example"
	audience = "kith"
	password = marker + " correct horse"
)

// world is a server, its description, and the people whom requests are about.
type world struct {
	*kithtest.Server
	*document

	address string
	key     ed25519.PrivateKey // of the outside provider

	// alice sends what is sent; bob is public, carol private; erin is for sessions
	// that end; dead was deleted.
	alice, bob, carol, erin, dead *person
	// ended is a token of a session that ended.
	ended string
	// cursors are good ones, by operation; they hold for alice.
	cursors map[string]string

	mu      sync.Mutex
	secrets []string // what must not be in the log, beside what has the marker
	next    uint64   // numbers what must be new
}

type person struct{ username, uid, token, refresh string }

// begin starts a server, and makes people with it. Names come from rnd.
func begin(t *testing.T, rnd *rand.Rand, env ...string) *world {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	binary.LittleEndian.PutUint64(seed, rnd.Uint64())
	w := &world{key: ed25519.NewKeyFromSeed(seed), cursors: make(map[string]string)}
	keys := httptest.NewServer(http.HandlerFunc(w.serveKeys))
	t.Cleanup(keys.Close)
	w.Server = kith.Start(t, kithtest.Options{Env: slices.Concat([]string{
		"KITH_LOG_LEVEL=debug", "KITH_JWT_SECRET=" + secret,
		"KITH_JWT_JWKS_URL=" + keys.URL, "KITH_JWT_ISSUER=" + issuer, "KITH_JWT_AUDIENCE=" + audience,
	}, env)})
	w.address = strings.TrimPrefix(w.URL(), "http://")
	w.document = describe(t, w.Server)
	t.Cleanup(func() { w.impersonal(t) })
	for _, p := range []**person{&w.alice, &w.bob, &w.carol, &w.erin, &w.dead} {
		*p = w.register(t, fmt.Sprintf("%s_%08x", marker, rnd.Uint32()))
	}
	return w
}

// populate gives the people what requests can ask for.
func (w *world) populate(t *testing.T) {
	t.Helper()
	do := func(status int, token, method, path string, body any) *kithtest.Answer {
		t.Helper()
		a, err := w.Client().As(token).Do(t.Context(), kithtest.Request{Method: method, Path: path, Body: body})
		if err != nil || a.Status != status {
			t.Fatalf("%s %s: %v %s", method, path, err, a)
		}
		return a
	}
	do(http.StatusOK, w.dead.token, http.MethodDelete, "/users/self", nil)
	w.ended = w.sign(w.erin.uid, time.Hour)
	do(http.StatusOK, w.ended, http.MethodPost, "/auth/logout", nil)
	do(http.StatusOK, w.carol.token, http.MethodPatch, "/users/self/privacy", map[string]any{"profile_public": false})
	do(http.StatusOK, w.bob.token, http.MethodPatch, "/users/self/privacy", map[string]any{"watch_history_public": true})
	for _, p := range []*person{w.alice, w.bob} {
		for i := range 3 {
			do(http.StatusCreated, p.token, http.MethodPut, fmt.Sprintf("/users/self/followed/crew-members/%d", i+1), nil)
			do(http.StatusCreated, p.token, http.MethodPut, fmt.Sprintf("/users/self/followed/studios/%d", i+1), nil)
			do(http.StatusCreated, p.token, http.MethodPost, "/users/self/events", map[string]any{
				"event_id": fmt.Sprintf("known_%d", i), "type": "view", "movie_id": i + 1, "context": map[string]string{"source_page": marker},
			})
		}
	}
	for _, p := range []*person{w.alice, w.carol, w.erin} {
		do(http.StatusCreated, p.token, http.MethodPut, "/users/self/following/"+w.bob.username, nil)
	}
	do(http.StatusCreated, w.bob.token, http.MethodPut, "/users/self/following/"+w.alice.username, nil)
	do(http.StatusCreated, w.bob.token, http.MethodPut, "/users/self/following/"+w.erin.username, nil)
	w.Settle()
	for id, path := range map[string]string{
		"search-users": "/users/search?q=" + marker + "&limit=1", "list-followers": "/users/" + w.bob.username + "/followers?limit=1",
		"list-following": "/users/" + w.bob.username + "/following?limit=1", "list-events": "/users/" + w.bob.username + "/events?limit=1",
		"get-feed":                   "/users/self/feed?limit=1",
		"list-followed-crew-members": "/users/" + w.bob.username + "/followed/crew-members?limit=1",
		"list-followed-studios":      "/users/" + w.bob.username + "/followed/studios?limit=1",
	} {
		a := do(http.StatusOK, w.alice.token, http.MethodGet, path, nil)
		if a.NextCursor == nil {
			t.Fatalf("GET %s: there is no next page: %s", path, a)
		}
		w.cursors[id] = url.QueryEscape(*a.NextCursor)
	}
}

func (w *world) register(t *testing.T, username string) *person {
	t.Helper()
	a, err := w.Client().Register(t.Context(), kithtest.Registration{
		Username: username, Name: marker + " name", Password: password, Email: username + "@" + marker + ".example",
	})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("register: %v %s", err, a)
	}
	w.remember(a.Token, a.RefreshToken)
	return &person{username, a.User.UID, a.Token, a.RefreshToken}
}

// remember notes what must not be in the log.
func (w *world) remember(secrets ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, secrets...)
}

// fresh returns a number that it returns once.
func (w *world) fresh() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next
}

// sign makes a token of a new session as the server would, which ends after ttl.
func (w *world) sign(uid string, ttl time.Duration) string {
	return w.seal(jwt.SigningMethodHS256, []byte(secret), "", jwt.MapClaims{
		"sub": uid, "exp": time.Now().Add(ttl).Unix(), "iat": time.Now().Unix(), "sid": fmt.Sprintf("%032x", w.fresh()),
	})
}

// outside makes a token of the provider for somebody whom nobody knows.
func (w *world) outside() string {
	return w.seal(jwt.SigningMethodEdDSA, w.key, "outside", jwt.MapClaims{
		"sub": fmt.Sprintf("%s-%d", marker, w.fresh()), "exp": time.Now().Add(time.Hour).Unix(), "iss": issuer, "aud": audience,
	})
}

func (w *world) seal(method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key)
	if err != nil {
		panic(err) // the keys are right
	}
	w.remember(signed)
	return signed
}

// serveKeys is the JWKS of the outside provider.
func (w *world) serveKeys(rw http.ResponseWriter, _ *http.Request) {
	public, _ := w.key.Public().(ed25519.PublicKey)
	rw.Header().Set("Content-Type", contentJSON)
	_, _ = fmt.Fprintf(rw, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"outside","x":%q}]}`,
		base64.RawURLEncoding.EncodeToString(public)) // who asked finds out that it is not whole
}

// strangers are Authorization headers that no route lets in.
func (w *world) strangers() map[string]string {
	uid, hour := w.alice.uid, time.Now().Add(time.Hour).Unix()
	own := func(claims jwt.MapClaims) string {
		return "Bearer " + w.seal(jwt.SigningMethodHS256, []byte(secret), "", claims)
	}
	return map[string]string{
		"an expired token":          "Bearer " + w.sign(uid, -time.Minute),
		"a token without exp":       own(jwt.MapClaims{"sub": uid}),
		"a token without sub":       own(jwt.MapClaims{"exp": hour}),
		"a token for nobody":        own(jwt.MapClaims{"exp": hour, "sub": marker}),
		"a token with an odd exp":   own(jwt.MapClaims{"exp": "soon", "sub": uid}),
		"a token not valid yet":     own(jwt.MapClaims{"exp": hour, "nbf": hour, "sub": uid}),
		"a token with an odd sid":   own(jwt.MapClaims{"exp": hour, "sub": uid, "sid": []int{1}}),
		"a token of another key":    "Bearer " + w.seal(jwt.SigningMethodHS256, []byte(strings.Repeat("k", 40)), "", jwt.MapClaims{"sub": uid, "exp": hour}),
		"a token of another method": "Bearer " + w.seal(jwt.SigningMethodHS512, []byte(secret), "", jwt.MapClaims{"sub": uid, "exp": hour}),
		"an unsigned token":         "Bearer " + w.seal(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", jwt.MapClaims{"sub": uid, "exp": hour}),
		"a foreign issuer":          "Bearer " + w.seal(jwt.SigningMethodEdDSA, w.key, "outside", jwt.MapClaims{"sub": uid, "exp": hour, "iss": "https://other.example", "aud": audience}),
		"a foreign audience":        "Bearer " + w.seal(jwt.SigningMethodEdDSA, w.key, "outside", jwt.MapClaims{"sub": uid, "exp": hour, "iss": issuer, "aud": "other"}),
		"a session that ended":      "Bearer " + w.ended,
		"a changed token":           "Bearer " + w.alice.token[:len(w.alice.token)-2] + "xx",
		"a token in two parts":      "Bearer " + w.alice.token[:strings.LastIndexByte(w.alice.token, '.')],
		"a refresh token":           "Bearer " + w.alice.refresh,
		"a long token":              "Bearer " + strings.Repeat("a", 9000),
		"no token behind Bearer":    "Bearer",
		"a blank token":             "Bearer    ",
		"two tokens":                "Bearer " + w.alice.token + " " + w.alice.token,
		"another scheme":            "Basic " + base64.StdEncoding.EncodeToString([]byte(marker+":"+marker)),
		"no scheme":                 w.alice.token,
		"an empty header":           "",
		"odd bytes":                 "Bearer \xff\xfe\xc3\x28",
		"odd parts":                 "Bearer ..",
		"JSON":                      `Bearer {"alg":"none"}`,
	}
}

// impersonal wants that the log holds nothing of what was sent.
func (w *world) impersonal(t *testing.T) {
	t.Helper()
	log := w.Log()
	if !strings.Contains(log, "level=DEBUG msg=request") {
		t.Error("the log has no line for a request")
	}
	if strings.Contains(log, "handler panicked") || strings.Contains(log, "level=ERROR") {
		t.Error("the log has a fault of the server")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	lower := strings.ToLower(log)
	for _, s := range append(w.secrets, marker) {
		text := log
		if s == marker {
			text = lower
		}
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("the log holds %.60q: …%s…", s, log[max(0, i-300):min(len(log), i+100)])
			return
		}
	}
}
