// Package e2e_test looks at the real binary from outside.
//
//   - readme_test.go: the commands of the README do what it says.
//   - accounts_test.go, users_test.go, follows_test.go, health_test.go: every
//     route, with its successes and its refusals.
//   - conventions_test.go: what holds for all of them.
//   - commands_test.go: the operator's commands, while the server runs and while
//     it does not.
//   - startup_test.go: what stops a start, in one line; help.
//   - shutdown_test.go: SIGTERM.
//
// The tests of routes share one server, whose log must hold nothing personal.
package e2e_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

// api is a server with what must not be in its log.
type api struct {
	*kithtest.Server

	mu       sync.Mutex
	personal []string
}

// start starts a server that logs as much as it can.
func start(t *testing.T) *api {
	t.Helper()
	return &api{Server: kith.Start(t, kithtest.Options{Env: []string{"KITH_LOG_LEVEL=debug"}})}
}

const (
	password = "correct horse PASSWORD staple"
	domain   = "@mail.PERSONAL.example"
)

// register makes an account and returns its client.
func (a *api) register(t *testing.T, username string) *kithtest.Client {
	t.Helper()
	answer := want(t, http.StatusCreated)(a.Client().Register(t.Context(), kithtest.Registration{
		Username: username, Name: "Name of " + username, Password: password, Email: username + domain,
	}))
	a.remember(username, answer.Token, answer.RefreshToken)
	return a.Client().As(answer.Token)
}

func (a *api) remember(personal ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.personal = append(a.personal, personal...)
}

// want passes an answer with the wanted status on and fails the test for any
// other.
func want(t *testing.T, status int) func(*kithtest.Answer, error) *kithtest.Answer {
	t.Helper()
	return func(a *kithtest.Answer, err error) *kithtest.Answer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != status {
			t.Fatalf("status is %d, want %d: %s", a.Status, status, a)
		}
		switch {
		case len(a.Body) == 0, !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json"):
		case status < http.StatusBadRequest && a.Result != "success":
			t.Errorf("a success without its status: %s", a)
		case status >= http.StatusBadRequest && a.Result != "error":
			t.Errorf("an error without its status: %s", a)
		}
		return a
	}
}

// refused wants an error with a status, a code and a message.
func refused(t *testing.T, status int, code, message string) func(*kithtest.Answer, error) *kithtest.Answer {
	t.Helper()
	pass := want(t, status)
	return func(a *kithtest.Answer, err error) *kithtest.Answer {
		t.Helper()
		pass(a, err)
		if a.Code != code || a.Message != message {
			t.Errorf("want %q %q: %s", code, message, a)
		}
		if a.RequestID == "" || a.RequestID != a.Header.Get("X-Request-Id") {
			t.Errorf("request id is %q in the header: %s", a.Header.Get("X-Request-Id"), a)
		}
		return a
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	a := start(t)
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *api){
			"register": testRegister, "login": testLogin,
			"get a user": testGetUser, "get self": testGetSelf, "update": testUpdate, "delete": testDelete,
			"follow": testFollow, "lists": testLists, "health": testHealth, "ops": testOps,
			"errors": testErrors, "bodies": testBodies, "tokens": testTokens,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, a)
			})
		}
	})
	a.Settle()
	metrics := want(t, http.StatusOK)(a.Client().Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/metrics", Ops: true}))
	a.Stop()
	for _, personal := range append(a.personal, password, "PERSONAL", "Name of") {
		if personal == "" {
			t.Error("something personal is empty")
			continue
		}
		for where, text := range map[string]string{"log": a.Log(), "metrics": string(metrics.Body)} {
			if i := strings.Index(strings.ToLower(text), strings.ToLower(personal)); i >= 0 {
				t.Errorf("the %s holds %q: …%s…", where, personal, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
}
