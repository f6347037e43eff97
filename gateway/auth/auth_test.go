package auth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"kith/actors/user"
	"kith/gateway/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newTokens(tb testing.TB, size int) (*auth.Tokens, *clock) {
	tb.Helper()
	c := &clock{now: time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC)}
	tokens, err := auth.New(auth.Config{Secret: []byte(secret), CacheSize: size, Now: c.Now})
	if err != nil {
		tb.Fatal(err)
	}
	return tokens, c
}

func TestAVerifiedTokenIsGoodUntilItExpires(t *testing.T) {
	t.Parallel()
	tokens, c := newTokens(t, 0)
	uid, session := user.UID{1, 2, 3}, auth.SessionID{4, 5}
	token, err := tokens.Issue(uid, session, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	first, err := tokens.Verify(t.Context(), token)
	if err != nil || first.UID != uid || first.Session != session || !first.ExpiresAt.Equal(c.Now().Add(time.Minute)) || first.User() != 0 {
		t.Fatalf("%v, %v", first, err)
	}
	first.SetUser(7)
	c.pass(time.Minute - 1)
	again, err := tokens.Verify(t.Context(), token)
	if err != nil || again != first || again.User() != 7 {
		t.Errorf("not from the cache: %v, %v", again, err)
	}
	c.pass(1)
	if _, err := tokens.Verify(t.Context(), token); !errors.Is(err, auth.ErrToken) {
		t.Errorf("an expired token is %v", err)
	}
}

func TestTheCacheOfTokensIsBounded(t *testing.T) {
	t.Parallel()
	tokens, c := newTokens(t, 64)
	var last string
	for i := range 1000 {
		token, err := tokens.Issue(user.UID{byte(i), byte(i >> 8)}, auth.SessionID{}, time.Duration(i+1)*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		last = token
	}
	if n := auth.Cached(tokens); n == 0 || n > 64 {
		t.Errorf("%d tokens are cached", n)
	}
	c.pass(900 * time.Minute) // most have expired: they make room for new ones
	if _, err := tokens.Verify(t.Context(), last); err != nil {
		t.Error(err)
	}
	for range 3 { // tokens that were dropped verify again
		token, err := tokens.Issue(user.UID{9}, auth.SessionID{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tokens.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
}

func TestRefusedTokensAreNotCached(t *testing.T) {
	t.Parallel()
	tokens, _ := newTokens(t, 0)
	for range 3 {
		if _, err := tokens.Verify(t.Context(), "garbage"); !errors.Is(err, auth.ErrToken) {
			t.Error(err)
		}
	}
	if n := auth.Cached(tokens); n != 0 {
		t.Errorf("%d tokens are cached", n)
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := auth.New(auth.Config{Secret: make([]byte, auth.MinSecret-1)}); err == nil {
		t.Error("no error")
	}
}

func FuzzVerify(f *testing.F) {
	tokens, c := newTokens(f, 0)
	valid, err := tokens.Issue(user.UID{1}, auth.SessionID{2}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": user.UID{1}.String(), "exp": c.Now().Add(time.Hour).Unix()}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add(none)
	f.Add(valid[:len(valid)-1])
	f.Add(strings.ToUpper(valid))
	f.Add(valid + ".")
	f.Add(valid + "\n")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		got, err := tokens.Verify(t.Context(), token)
		if (err == nil) != (token == valid) {
			t.Errorf("%q: %v, %v", token, got, err)
		}
		if err != nil && !errors.Is(err, auth.ErrToken) {
			t.Error(err)
		}
	})
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc": "abc", "bearer abc": "abc", "BEARER   a.b-c_d~e+f/g==": "a.b-c_d~e+f/g==", "Bearer abc ": "abc",
		"": "", "Bearer": "", "Bearer ": "", "Bearer  ": "", "Bearerabc": "", "Basic abc": "", "Bearer a b": "", "Bearer a,b": "", "Bearer\tabc": "", "Bearer é": "", " Bearer abc": "",
	} {
		got, ok := auth.Bearer([]string{header})
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", header, got, ok)
		}
	}
	if _, ok := auth.Bearer([]string{"Bearer a", "Bearer a"}); ok {
		t.Error("two headers are one too many")
	}
	if _, ok := auth.Bearer(nil); ok {
		t.Error("no header is one too few")
	}
}

func cheap() auth.Cost { return auth.Cost{Memory: 64, Passes: 1, Threads: 1} }

func newPasswords(tb testing.TB, cfg auth.PasswordConfig) *auth.Passwords {
	tb.Helper()
	p, err := auth.NewPasswords(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	p := newPasswords(t, auth.PasswordConfig{Cost: cheap()})
	hash, err := p.Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatal(hash, err)
	}
	again, err := p.Hash(t.Context(), "correct horse")
	if err != nil || again == hash {
		t.Error("two hashes of one password are the same: no salt")
	}
	for password, want := range map[string]bool{"correct horse": true, "Correct horse": false, "": false, "correct horse ": false} {
		if ok, err := p.Check(t.Context(), hash, password); ok != want || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	if ok, err := p.Check(t.Context(), "", "correct horse"); ok || err != nil {
		t.Errorf("no hash: %v, %v", ok, err)
	}
	// The cost of a hash is its own: raising the default keeps old ones good.
	dearer := newPasswords(t, auth.PasswordConfig{Cost: auth.Cost{Memory: 128, Passes: 2, Threads: 2}})
	if ok, err := dearer.Check(t.Context(), hash, "correct horse"); !ok || err != nil {
		t.Errorf("an old hash: %v, %v", ok, err)
	}
}

func TestTheDefaultCostIsTheRecommendedOne(t *testing.T) {
	t.Parallel()
	hash, err := newPasswords(t, auth.PasswordConfig{}).Hash(t.Context(), "correct horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Error(hash, err)
	}
}

func TestDamagedHashesAreErrorsWithoutTheHash(t *testing.T) {
	t.Parallel()
	p := newPasswords(t, auth.PasswordConfig{Cost: cheap()})
	const salt, key = "c2FsdHNhbHRzYWx0", "a2V5a2V5a2V5a2V5a2V5"
	for _, hash := range []string{
		"x", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$" + salt + "$" + key, "$argon2id$v=18$m=64,t=1,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=1,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + key, "$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + key,
		"$argon2id$v=19$m=64,t=1,p=1$$" + key, "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$", "$argon2id$v=19$m=64,t=1,p=1$" + salt + "$!!", "$argon2id$v=19$m=64,t=1,p=1$" + salt,
	} {
		ok, err := p.Check(t.Context(), hash, "x")
		if ok || err == nil || strings.Contains(err.Error(), salt) {
			t.Errorf("%s: %v, %v", hash, ok, err)
		}
	}
}

// Beyond what is computed and what may wait, the answer is ErrBusy at once.
func TestPasswordsBoundWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords(t, auth.PasswordConfig{Cost: cheap(), Parallel: 1, Waiting: 2})
		release := auth.Occupy(p)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		results := make(chan error, 2)
		for range 2 {
			wg.Go(func() {
				_, err := p.Check(ctx, "", "x")
				results <- err
			})
		}
		synctest.Wait()
		if _, err := p.Hash(t.Context(), "x"); !errors.Is(err, auth.ErrBusy) {
			t.Errorf("the third to wait: %v", err)
		}
		cancel()
		wg.Wait()
		for range 2 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up: %v", err)
			}
		}
		release()
		if _, err := p.Hash(t.Context(), "x"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestNewPasswordsRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, cfg := range []auth.PasswordConfig{
		{Cost: auth.Cost{Memory: 1, Passes: 1, Threads: 1}}, {Cost: auth.Cost{Memory: 64, Passes: 0, Threads: 1}}, {Cost: auth.Cost{Memory: 64, Passes: 1}}, {Rand: &bytes.Buffer{}},
	} {
		if _, err := auth.NewPasswords(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestRefreshTokensAreSigned(t *testing.T) {
	t.Parallel()
	tokens, _ := newTokens(t, 0)
	want := auth.Refresh{Session: auth.SessionID{1, 15: 2}, Generation: 70000}
	issue := func() string {
		token, err := tokens.IssueRefresh(want)
		if err != nil || len(token) != 86 {
			t.Fatalf("%q, %v", token, err)
		}
		if got, err := tokens.ParseRefresh(token); err != nil || got != want {
			t.Fatalf("%+v, %v", got, err)
		}
		return token
	}
	token := issue()
	if token == issue() {
		t.Error("two are the same")
	}
	access, err := tokens.Issue(user.UID{1}, want.Session, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokens.Verify(t.Context(), token); !errors.Is(err, auth.ErrToken) {
		t.Errorf("it works as an access token: %v", err)
	}
	other, err := auth.New(auth.Config{Secret: []byte(strings.Repeat("x", 32))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.ParseRefresh(token); !errors.Is(err, auth.ErrToken) {
		t.Errorf("another secret: %v", err)
	}
	for i := range token { // no character may be changed
		changed := []byte(token)
		if changed[i]++; changed[i] == '[' || changed[i] == '{' {
			changed[i] = 'A'
		}
		if got, err := tokens.ParseRefresh(string(changed)); !errors.Is(err, auth.ErrToken) {
			t.Fatalf("character %d: %+v, %v", i, got, err)
		}
	}
	for _, bad := range []string{"", access, token + "=", token[:85], token + "A", strings.Repeat("A", 86), strings.Repeat("!", 86)} {
		if got, err := tokens.ParseRefresh(bad); !errors.Is(err, auth.ErrToken) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
	short, err := auth.New(auth.Config{Secret: []byte(secret), Rand: strings.NewReader("short")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := short.IssueRefresh(want); err == nil {
		t.Error("no randomness, no error")
	}
}

func FuzzParseRefresh(f *testing.F) {
	// The same in every process that fuzzes.
	tokens, err := auth.New(auth.Config{Secret: []byte(secret), Rand: strings.NewReader("a nonce of 12")})
	if err != nil {
		f.Fatal(err)
	}
	valid, err := tokens.IssueRefresh(auth.Refresh{Session: auth.SessionID{1}, Generation: 2})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{valid, valid[:85], valid + "A", strings.Repeat("A", 86), ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := tokens.ParseRefresh(token)
		if (err == nil) != (token == valid) || (err != nil && (!errors.Is(err, auth.ErrToken) || got != auth.Refresh{})) {
			t.Errorf("%q: %+v, %v", token, got, err)
		}
	})
}

func TestSessionIDsAreRandom(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewSessionID(strings.NewReader("short")); err == nil {
		t.Error("no randomness, no error")
	}
	x, errX := auth.NewSessionID(rand.Reader)
	y, errY := auth.NewSessionID(rand.Reader)
	if errX != nil || errY != nil || x == y {
		t.Error("two sessions are the same")
	}
}
