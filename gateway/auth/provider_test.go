package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
	"kith/gateway/auth"
)

const (
	issuer   = "https://id.example.com/"
	audience = "kith"
)

// signer is a key of the provider, as it signs and as it is published.
type signer struct {
	kid     string
	method  jwt.SigningMethod
	private crypto.Signer
}

func newSigner(tb testing.TB, kid string, method jwt.SigningMethod) signer {
	tb.Helper()
	s := signer{kid: kid, method: method}
	var err error
	switch method.Alg() {
	case "RS256", "RS512", "PS256":
		s.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ES256":
		s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		s.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, s.private, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (s signer) jwk() map[string]any {
	m := map[string]any{"kid": s.kid, "use": "sig"}
	switch k := s.private.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x and y
		if err != nil {
			panic(err)
		}
		half := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	return m
}

func (s signer) sign(tb testing.TB, claims jwt.MapClaims) string {
	tb.Helper()
	return signWith(tb, s.method, s.private, s.kid, claims)
}

func signWith(tb testing.TB, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) string {
	tb.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	s, err := token.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// idp is an outside provider: a server of keys.
type idp struct {
	mu      sync.Mutex
	body    []byte
	status  int
	fetches atomic.Int64
	fetched chan struct{}
	url     string
}

func newIDP(tb testing.TB, keys ...map[string]any) *idp {
	tb.Helper()
	p := &idp{status: http.StatusOK, fetched: make(chan struct{}, 1000)}
	p.publish(tb, keys...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		w.WriteHeader(p.status)
		_, _ = w.Write(p.body)
		p.fetches.Add(1)
		p.fetched <- struct{}{}
	}))
	tb.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *idp) publish(tb testing.TB, keys ...map[string]any) {
	tb.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		tb.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.body, p.status = b, http.StatusOK
}

func (p *idp) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = http.StatusInternalServerError
}

type outside struct {
	*idp
	*clock

	provider *auth.Provider
	tokens   *auth.Tokens
	client   *http.Client
}

func newOutside(tb testing.TB, every time.Duration, keys ...map[string]any) *outside {
	tb.Helper()
	o := &outside{idp: newIDP(tb, keys...), clock: &clock{now: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	var err error
	if o.provider, err = auth.NewProvider(auth.ProviderConfig{
		URL: o.url, Issuer: issuer, Audience: audience, Every: every, Client: o.client, Logger: slog.New(slog.DiscardHandler), Now: o.Now,
	}); err != nil {
		tb.Fatal(err)
	}
	if o.tokens, err = auth.New(auth.Config{Secret: []byte(secret), Provider: o.provider, Now: o.Now}); err != nil {
		tb.Fatal(err)
	}
	return o
}

func (o *outside) claims() jwt.MapClaims {
	return jwt.MapClaims{"iss": issuer, "aud": audience, "sub": "user-1", "exp": o.Now().Add(time.Hour).Unix()}
}

func TestTokensOfAnOutsideProvider(t *testing.T) {
	t.Parallel()
	signers := []signer{newSigner(t, "rsa", jwt.SigningMethodRS256), newSigner(t, "ec", jwt.SigningMethodES256), newSigner(t, "ed", jwt.SigningMethodEdDSA)}
	var keys []map[string]any
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	o := newOutside(t, time.Hour, keys...)
	for _, s := range signers {
		token := s.sign(t, o.claims())
		got, err := o.tokens.Verify(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", s.kid, err)
		}
		if got.Identity != issuer+"\nuser-1" || got.UID != (user.UID{}) || got.Session == (auth.SessionID{}) || !got.ExpiresAt.Equal(o.Now().Add(time.Hour)) || !strings.HasPrefix(got.Key(), "user:") {
			t.Errorf("%s: %+v", s.kid, got)
		}
		again, err := o.tokens.Verify(t.Context(), token)
		if err != nil || again != got {
			t.Errorf("%s: not from the cache, %v", s.kid, err)
		}
	}
	many := o.claims()
	many["aud"] = []string{"other", audience}
	if _, err := o.tokens.Verify(t.Context(), signers[0].sign(t, many)); err != nil {
		t.Errorf("several audiences: %v", err)
	}
	ours, err := o.tokens.Issue(user.UID{1}, auth.SessionID{2}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := o.tokens.Verify(t.Context(), ours); err != nil || got.Identity != "" || got.UID != (user.UID{1}) {
		t.Errorf("our own: %+v, %v", got, err)
	}
	if n := o.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// The algorithm is the key's, and what must be in a token is.
func TestOutsideTokensThatAreNone(t *testing.T) {
	t.Parallel()
	rs, es, ed := newSigner(t, "rsa", jwt.SigningMethodRS256), newSigner(t, "ec", jwt.SigningMethodES256), newSigner(t, "ed", jwt.SigningMethodEdDSA)
	stranger := newSigner(t, "rsa", jwt.SigningMethodRS256)
	o := newOutside(t, time.Hour, rs.jwk(), es.jwk(), ed.jwk())
	with := func(key string, value any) jwt.MapClaims {
		c := o.claims()
		if c[key] = value; value == nil {
			delete(c, key)
		}
		return c
	}
	der, err := x509.MarshalPKIXPublicKey(rs.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _ := ed.private.Public().(ed25519.PublicKey)
	critical := jwt.NewWithClaims(jwt.SigningMethodRS256, o.claims())
	critical.Header["kid"], critical.Header["crit"] = "rsa", []string{"b64"}
	crit, err := critical.SignedString(rs.private)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"HS256 with the public key":     signWith(t, jwt.SigningMethodHS256, der, "rsa", o.claims()),
		"HS256 with it as PEM":          signWith(t, jwt.SigningMethodHS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "rsa", o.claims()),
		"HS256 with the ed public key":  signWith(t, jwt.SigningMethodHS256, []byte(edPublic), "ed", o.claims()),
		"HS256 with our secret":         signWith(t, jwt.SigningMethodHS256, []byte(secret), "rsa", o.claims()),
		"alg none":                      signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "rsa", o.claims()),
		"RS512 with an RS256 key":       signWith(t, jwt.SigningMethodRS512, rs.private, "rsa", o.claims()),
		"PS256 with an RS256 key":       signWith(t, jwt.SigningMethodPS256, rs.private, "rsa", o.claims()),
		"RS256 under the id of another": signWith(t, jwt.SigningMethodRS256, rs.private, "ec", o.claims()),
		"ES256 under the id of another": signWith(t, jwt.SigningMethodES256, es.private, "rsa", o.claims()),
		"a stranger's key":              stranger.sign(t, o.claims()),
		"no kid":                        signWith(t, jwt.SigningMethodRS256, rs.private, "", o.claims()),
		"unknown kid":                   signWith(t, jwt.SigningMethodRS256, rs.private, "none", o.claims()),
		"critical extension":            crit,
		"another issuer":                rs.sign(t, with("iss", "https://evil.example.com/")),
		"issuer without the slash":      rs.sign(t, with("iss", strings.TrimSuffix(issuer, "/"))),
		"no issuer":                     rs.sign(t, with("iss", nil)),
		"another audience":              rs.sign(t, with("aud", "other")),
		"no audience":                   rs.sign(t, with("aud", nil)),
		"expired":                       rs.sign(t, with("exp", o.Now().Unix())),
		"no exp":                        rs.sign(t, with("exp", nil)),
		"not yet":                       rs.sign(t, with("nbf", o.Now().Add(time.Minute).Unix())),
		"no subject":                    rs.sign(t, with("sub", nil)),
		"empty subject":                 rs.sign(t, with("sub", "")),
		"subject with a line end":       rs.sign(t, with("sub", "a\nb")),
		"subject with a broken rune":    rs.sign(t, with("sub", "a\ufffd")),
		"long subject":                  rs.sign(t, with("sub", strings.Repeat("x", 256))),
		"subject a number":              rs.sign(t, with("sub", 7)),
	} {
		if got, err := o.tokens.Verify(t.Context(), token); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := o.tokens.Verify(t.Context(), rs.sign(t, o.claims())); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// The subject of an outside token is never the uid of one of ours.
func TestAnOutsideSubjectIsNoUID(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ed", jwt.SigningMethodEdDSA)
	o := newOutside(t, time.Hour, s.jwk())
	c := o.claims()
	c["sub"], c["sid"] = user.UID{1}.String(), strings.Repeat("01", 16)
	got, err := o.tokens.Verify(t.Context(), s.sign(t, c))
	if err != nil || got.UID != (user.UID{}) || got.Identity == "" || got.Session == (auth.SessionID{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A key that is new is asked for at once; keys that are made up are not asked for
// again and again.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	old, fresh := newSigner(t, "old", jwt.SigningMethodEdDSA), newSigner(t, "new", jwt.SigningMethodEdDSA)
	o := newOutside(t, time.Hour, old.jwk())
	first := old.sign(t, o.claims())
	if _, err := o.tokens.Verify(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	o.pass(10 * time.Second)
	o.publish(t, old.jwk(), fresh.jwk())
	if _, err := o.tokens.Verify(t.Context(), fresh.sign(t, o.claims())); err != nil {
		t.Fatalf("the new key: %v", err)
	}
	if _, err := o.tokens.Verify(t.Context(), first); err != nil {
		t.Errorf("the old key, which is still there: %v", err)
	}
	for i := range 50 {
		made := newSigner(t, fmt.Sprintf("made up %d", i), jwt.SigningMethodEdDSA)
		if _, err := o.tokens.Verify(t.Context(), made.sign(t, o.claims())); !errors.Is(err, auth.ErrToken) {
			t.Fatal(err)
		}
	}
	if n := o.fetches.Load(); n != 2 {
		t.Errorf("the keys were fetched %d times", n)
	}
	// What the provider has withdrawn is good for nothing, verified before or not.
	o.pass(10 * time.Second)
	o.publish(t, fresh.jwk())
	if _, err := o.tokens.Verify(t.Context(), newSigner(t, "another", jwt.SigningMethodEdDSA).sign(t, o.claims())); !errors.Is(err, auth.ErrToken) {
		t.Fatal(err)
	}
	if _, err := o.tokens.Verify(t.Context(), first); !errors.Is(err, auth.ErrToken) {
		t.Errorf("a withdrawn key: %v", err)
	}
	// A key that comes back changed under its id is another key.
	other := newSigner(t, "new", jwt.SigningMethodEdDSA)
	good := fresh.sign(t, o.claims())
	if _, err := o.tokens.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	o.pass(10 * time.Second)
	o.publish(t, other.jwk())
	if _, err := o.tokens.Verify(t.Context(), newSigner(t, "yet another", jwt.SigningMethodEdDSA).sign(t, o.claims())); !errors.Is(err, auth.ErrToken) {
		t.Fatal(err)
	}
	if _, err := o.tokens.Verify(t.Context(), good); !errors.Is(err, auth.ErrToken) {
		t.Errorf("a changed key: %v", err)
	}
}

func TestManyWhoMissAKeyFetchOnce(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ed", jwt.SigningMethodEdDSA)
	o := newOutside(t, time.Hour, s.jwk())
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c := o.claims()
			c["sub"] = fmt.Sprintf("user-%d", i)
			if _, err := o.tokens.Verify(t.Context(), s.sign(t, c)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := o.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// While the provider is away its last keys stay good; what needs others can be
// tried again. Tokens that are not the provider's do not ask for it.
func TestTheProviderIsAway(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ed", jwt.SigningMethodEdDSA)
	o := newOutside(t, time.Hour, s.jwk())
	o.fail()
	token := s.sign(t, o.claims())
	foreign := o.claims()
	foreign["iss"] = "https://evil.example.com/"
	for _, bad := range []string{"garbage", s.sign(t, foreign)} {
		if _, err := o.tokens.Verify(t.Context(), bad); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%v", err)
		}
	}
	if n := o.fetches.Load(); n != 0 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if _, err := o.tokens.Verify(t.Context(), token); !errors.Is(err, auth.ErrProvider) || errors.Is(err, auth.ErrToken) {
		t.Errorf("without keys: %v", err)
	}
	o.pass(10 * time.Second)
	o.publish(t, s.jwk())
	if _, err := o.tokens.Verify(t.Context(), token); err != nil {
		t.Errorf("it is back: %v", err)
	}
	o.pass(10 * time.Second)
	o.fail()
	c := o.claims()
	c["sub"] = "user-2"
	if _, err := o.tokens.Verify(t.Context(), s.sign(t, c)); err != nil {
		t.Errorf("a key that is known: %v", err)
	}
	if _, err := o.tokens.Verify(t.Context(), newSigner(t, "new", jwt.SigningMethodEdDSA).sign(t, o.claims())); !errors.Is(err, auth.ErrProvider) {
		t.Errorf("a key that may be new: %v", err)
	}
}

func TestKeysAreFetchedInTheBackground(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "ed", jwt.SigningMethodEdDSA)
	o := newOutside(t, time.Millisecond, s.jwk())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- o.provider.Run(ctx) }()
	for range 3 {
		<-o.fetched
	}
	o.fail()
	for range 3 { // and goes on after failures
		<-o.fetched
	}
	if _, err := o.tokens.Verify(t.Context(), s.sign(t, o.claims())); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProvidersNeedAllOfTheirSettings(t *testing.T) {
	t.Parallel()
	good := auth.ProviderConfig{URL: "https://id.example.com/keys", Issuer: issuer, Audience: audience, Logger: slog.New(slog.DiscardHandler)}
	if _, err := auth.NewProvider(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*auth.ProviderConfig){
		"no url": func(c *auth.ProviderConfig) { c.URL = "" }, "a path": func(c *auth.ProviderConfig) { c.URL = "/keys" }, "a file": func(c *auth.ProviderConfig) { c.URL = "file:///keys" },
		"no issuer": func(c *auth.ProviderConfig) { c.Issuer = "" }, "an issuer of two lines": func(c *auth.ProviderConfig) { c.Issuer = "a\nb" },
		"no audience": func(c *auth.ProviderConfig) { c.Audience = "" }, "no logger": func(c *auth.ProviderConfig) { c.Logger = nil },
	} {
		cfg := good
		change(&cfg)
		if _, err := auth.NewProvider(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWhichKeysOfASetAreUsed(t *testing.T) {
	t.Parallel()
	rs, es, ed := newSigner(t, "rsa", jwt.SigningMethodRS256), newSigner(t, "ec", jwt.SigningMethodES256), newSigner(t, "ed", jwt.SigningMethodEdDSA)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	with := func(s signer, key string, value any) map[string]any {
		m := s.jwk()
		if m[key] = value; value == nil {
			delete(m, key)
		}
		return m
	}
	for name, c := range map[string]struct {
		key  map[string]any
		used bool
	}{
		"RSA": {rs.jwk(), true}, "EC": {es.jwk(), true}, "OKP": {ed.jwk(), true},
		"with its algorithm": {with(rs, "alg", "RS256"), true}, "without a use": {with(es, "use", nil), true}, "with what nobody knows": {with(ed, "x-vendor", 1), true},
		"with a certificate elsewhere": {with(rs, "x5u", "http://127.0.0.1:1/"), true},
		"for another algorithm":        {with(rs, "alg", "RS512"), false}, "for encryption": {with(rs, "use", "enc"), false}, "without an id": {with(rs, "kid", nil), false},
		"a long id": {with(rs, "kid", strings.Repeat("x", 257)), false}, "an id of another type": {with(rs, "kid", 7), false},
		"weak":          {signer{kid: "weak", private: weak}.jwk(), false},
		"another curve": {newSigner(t, "384", jwt.SigningMethodES384).jwk(), false}, "a secret": {map[string]any{"kty": "oct", "kid": "k", "k": b64([]byte(secret))}, false},
		"not on the curve": {with(es, "x", b64(make([]byte, 32))), false}, "a short point": {with(ed, "x", b64(make([]byte, 31))), false},
		"no exponent": {with(rs, "e", b64([]byte{1})), false},
	} {
		b, err := json.Marshal(map[string]any{"keys": []any{c.key, 7, map[string]any{}}})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := auth.ParseKeySet(b); (n == 1) != c.used || (err == nil) != c.used {
			t.Errorf("%s: %d keys, %v", name, n, err)
		}
	}
	many := make([]any, 101)
	for i := range many {
		many[i] = with(ed, "kid", fmt.Sprint(i))
	}
	b, err := json.Marshal(map[string]any{"keys": many})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.ParseKeySet(b); err == nil {
		t.Error("any number of keys is kept")
	}
}

func FuzzKeySet(f *testing.F) {
	for _, s := range []signer{newSigner(f, "rsa", jwt.SigningMethodRS256), newSigner(f, "ec", jwt.SigningMethodES256), newSigner(f, "ed", jwt.SigningMethodEdDSA)} {
		b, err := json.Marshal(map[string]any{"keys": []any{s.jwk()}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := auth.ParseKeySet(b); (err == nil) != (n > 0) {
			t.Errorf("%d keys, %v", n, err)
		}
	})
}

func FuzzVerifyOutside(f *testing.F) {
	// The same in every process that fuzzes.
	s := signer{kid: "ed", method: jwt.SigningMethodEdDSA, private: ed25519.NewKeyFromSeed([]byte(secret))}
	o := newOutside(f, time.Hour, s.jwk())
	valid := s.sign(f, o.claims())
	if _, err := o.tokens.Verify(f.Context(), valid); err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(valid[:len(valid)-1])
	f.Add(signWith(f, jwt.SigningMethodHS256, []byte(secret), "ed", o.claims()))
	f.Add(signWith(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "ed", o.claims()))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := o.tokens.Verify(t.Context(), token); (err == nil) != (token == valid) {
			t.Errorf("%q: %+v, %v", token, got, err)
		}
	})
}
