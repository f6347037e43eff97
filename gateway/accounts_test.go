package gateway_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/auth"
	"kith/persistence"
)

func TestRegisterLogsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":" JohnDoe ","name":" John Doe ","password":"correct horse","email":"John@Example.com"}`}).is(t, 201)
	shape := regexp.MustCompile(`^\{"status":"success","user":\{"id":1,"uid":"[0-9a-f]{32}","username":"johndoe","name":"John Doe",.*\},` +
		`"token":"[A-Za-z0-9._-]+","refresh_token":"[A-Za-z0-9_-]{86}","expires_in":3600\}\n$`)
	if !shape.MatchString(got.Body.String()) || strings.Contains(got.Body.String(), "xample") {
		t.Error(got.Body)
	}
	if got.Header().Get("Cache-Control") != "no-store" {
		t.Error("the tokens may be stored by caches")
	}
	token, _ := got.body["token"].(string)
	w.get(t, token, "/users/self").is(t, 200)

	var claims jwt.MapClaims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		t.Fatal(err)
	}
	session := w.sessions[0]
	if claims["sub"] != w.states[1].UID.String() || claims["sid"] != hex.EncodeToString(session.ID[:]) ||
		claims["exp"] != float64(w.now.Add(time.Hour).Unix()) || claims["iat"] != float64(w.now.Unix()) || len(claims) != 4 {
		t.Errorf("claims %v", claims)
	}
	if session.User != 1 || session.Generation != 0 || !session.ExpiresAt.Equal(w.now.Add(30*24*time.Hour)) || session.AccessUntil.Before(w.now.Add(time.Hour)) {
		t.Errorf("session %+v", session)
	}
	if !strings.HasPrefix(w.hashes[1], "$argon2id$v=19$") {
		t.Errorf("stored %s", w.hashes[1])
	}
}

// Sending it again gives 409: that nothing happened must not be said.
func TestAnAccountWithoutASessionIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	register := func(username string) call {
		return call{method: http.MethodPost, path: "/auth/register", body: `{"username":"` + username + `","name":"A","password":"` + password + `"}`}
	}
	for i, err := range []error{context.DeadlineExceeded, errors.New("table sessions is on fire"), persistence.ErrNotFound} {
		w.failSessions = err
		got := w.call(t, register("alice"+strconv.Itoa(i))).refused(t, 503, "outcome_unknown", "The outcome is not known, try again")
		if got.Header().Get("Retry-After") != "1" {
			t.Error(got.Header())
		}
	}
	w.failSessions = context.DeadlineExceeded // of a login nothing is left
	w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"alice0","password":"` + password + `"}`}).refused(t, 503, "unavailable", "Temporarily unavailable, try again")
	w.failSessions = nil
	w.call(t, register("alice0")).refused(t, 409, "username_taken", "Username already exists")
	w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"alice0","password":"` + password + `"}`}).is(t, 200)
	w.failGrains = usergrain.ErrUnavailable // before anything was made
	w.call(t, register("bob")).refused(t, 503, "unavailable", "Temporarily unavailable, try again")
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	register := func(username, email string) reply {
		return w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"` + username + `","name":"N","password":"12345678","email":"` + email + `"}`})
	}
	register("alice", "alice@example.com").is(t, 201)
	register("ALICE", "").refused(t, 409, "username_taken", "Username already exists")
	register("bob", "Alice@example.com").refused(t, 409, "email_taken", "Email already in use")
	for _, reserved := range []string{"self", "list", "search", "availability", "relationships", "admin", "root", "support", "system", "kith", " Admin "} {
		register(reserved, "").refused(t, 409, "username_reserved", "Username is reserved")
	}
}

func TestRegistrationRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for body, want := range map[string]string{
		`{}`: "username", `{"username":"alice"}`: "name", `{"username":null,"name":"A","password":"12345678"}`: "username",
		`{"username":"al","name":"A","password":"12345678"}`: "username", `{"username":"a-b-c","name":"A","password":"12345678"}`: "username",
		`{"username":"alice","name":" ","password":"12345678"}`: "name", `{"username":"alice","name":"A"}`: "password",
		`{"username":"alice","name":"A","password":"1234567"}`:                                "password",
		`{"username":"alice","name":"A","password":"` + strings.Repeat("x", 129) + `"}`:       "password",
		`{"username":"alice","name":"A","password":"12345678","email":"A <a@example.com>"}`:   "email",
		`{"username":"` + strings.Repeat("a", 31) + `","name":"A","password":"12345678"}`:     "username",
		`{"username":"alice","name":"` + strings.Repeat("é", 30) + `","password":"12345678"}`: "name",
	} {
		got := w.call(t, call{method: http.MethodPost, path: "/auth/register", body: body}).is(t, 400)
		if got.body["code"] != "invalid_"+want || got.body["field"] != want {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	if len(w.states) != 0 {
		t.Error("somebody was registered")
	}
	w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"alice","name":"` + strings.Repeat("é", 29) + `","password":"` + strings.Repeat("é", 128) + `","email":null}`}).is(t, 201)
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"alice","name":"A","password":"` + password + `"}`}).is(t, 201)
	w.join(t, "no_password")
	login := func(username, password string) reply {
		return w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"` + username + `","password":"` + password + `"}`})
	}
	got := login(" Alice", password).is(t, 200)
	if len(got.body) != 5 || got.Header().Get("Cache-Control") != "no-store" {
		t.Error(got.Body, got.Header())
	}
	token, _ := got.body["token"].(string)
	w.get(t, token, "/users/self").is(t, 200)
	for _, c := range [][2]string{
		{"alice", "wrong password"},
		{"alice", ""},
		{"nobody", password},
		{"", password},
		{"a", password},
		{"no_password", password},
		{"no_password", ""},
		{"alice", strings.Repeat("x", 1000)},
		{"not-a-name", password},
	} {
		got := login(c[0], c[1]).refused(t, 401, "invalid_credentials", "Invalid username or password")
		if got.Header().Get("WWW-Authenticate") == "" {
			t.Error("no challenge")
		}
	}
	w.do(t, "alice", user.Delete{At: w.clock()})
	login("alice", password).refused(t, 401, "invalid_credentials", "Invalid username or password")
	w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{}`}).is(t, 401)
}

// Whoever logs in, one password is checked and as many queries are made.
func TestLoginDoesTheSameWorkForNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(t, call{method: http.MethodPost, path: "/auth/register", body: `{"username":"alice","name":"A","password":"` + password + `"}`}).is(t, 201)
	queries := map[string]int64{}
	for _, name := range []string{"alice", "nobody", "not-a-name"} {
		before := w.queries.Load()
		w.call(t, call{method: http.MethodPost, path: "/auth/login", body: `{"username":"` + name + `","password":"wrong password"}`}).is(t, 401)
		queries[name] = w.queries.Load() - before
	}
	if queries["alice"] != queries["nobody"] || queries["alice"] != queries["not-a-name"] {
		t.Errorf("queries %v", queries)
	}
}

func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "alice")
	uid := w.states[1].UID.String()
	exp := w.now.Add(time.Hour).Unix()
	sign := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		s, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	good := jwt.MapClaims{"sub": uid, "exp": exp}
	w.get(t, sign(jwt.SigningMethodHS256, []byte(secret), good), "/users/alice").is(t, 200)
	for name, token := range map[string]string{
		"alg none":      sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good),
		"other key":     sign(jwt.SigningMethodHS256, []byte(strings.Repeat("x", 32)), good),
		"HS384":         sign(jwt.SigningMethodHS384, []byte(secret), good),
		"HS512":         sign(jwt.SigningMethodHS512, []byte(secret), good),
		"expired":       sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": uid, "exp": w.now.Unix()}),
		"no exp":        sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": uid}),
		"exp a string":  sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": uid, "exp": "never"}),
		"not before":    sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": uid, "exp": exp, "nbf": exp - 1}),
		"no subject":    sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"exp": exp}),
		"subject 1":     sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": "1", "exp": exp}),
		"subject upper": sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": strings.Repeat("A", 32), "exp": exp}),
		"sid a number":  sign(jwt.SigningMethodHS256, []byte(secret), jwt.MapClaims{"sub": uid, "exp": exp, "sid": 7}),
		"garbage":       "garbage", "dots": "..", "empty parts": ".e30.", "long": strings.Repeat("a", 5000),
	} {
		if got := w.get(t, token, "/users/alice"); got.Code != 401 {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
}

func TestTokensOfOneServerAreGoodOnAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "alice")
	tokens, err := auth.New(auth.Config{Secret: []byte(secret), Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Issue(w.states[1].UID, auth.SessionID{}, time.Minute) // an operator's: without a session
	if err != nil {
		t.Fatal(err)
	}
	w.get(t, token, "/users/self").is(t, 200)
}
