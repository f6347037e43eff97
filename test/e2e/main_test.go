// Package e2e_test looks at the real binary from outside.
//
//   - readme_test.go, guide_test.go: the commands of the README and of the guide do
//     what they say.
//   - documents_test.go: reads the two documents that Kith implements, whose every
//     example, error and note is checked in documents_users_test.go,
//     documents_notes_test.go and documents_feature_test.go.
//   - demo_test.go: the world of kith demo.
//   - accounts_test.go, users_test.go, follows_test.go, health_test.go: every
//     route, with its successes and its refusals.
//   - conventions_test.go: what holds for all of them.
//   - commands_test.go: the operator's commands, while the server runs and while
//     it does not.
//   - startup_test.go: what stops a start, in one line; help.
//   - shutdown_test.go: SIGTERM.
//   - migrate_test.go: kith migrate on PostgreSQL, and tables of other versions and
//     programs; standby_test.go: two servers on one PostgreSQL, one of which goes.
//   - kafka_test.go: plain Kafka clients; kafka_content_test.go: what content
//     services report; kafka_broker_test.go: lost files of the embedded broker;
//     kafka_outside_test.go: an outside Kafka that is away.
//
// Each test has a server of its own, whose log must hold nothing personal.
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

// start starts a server that logs as much as it can, with settings. The end of the test stops it
// and looks at its log.
func start(t *testing.T, env ...string) *api {
	t.Helper()
	a := &api{Server: kith.Start(t, kithtest.Options{Env: append([]string{"KITH_LOG_LEVEL=debug"}, env...)})}
	a.remember(password, "PERSONAL", "Name of")
	t.Cleanup(func() {
		select {
		case <-a.Ended():
		default:
			a.Stop()
		}
		if !strings.Contains(a.Log(), "level=DEBUG msg=request") {
			t.Error("the log has no line for a request")
		}
		a.impersonal(t, "log", a.Log())
	})
	return a
}

// impersonal wants that a text holds nothing that was remembered.
func (a *api) impersonal(t *testing.T, what, text string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	text = strings.ToLower(text)
	for _, personal := range a.personal {
		if i := strings.Index(text, strings.ToLower(personal)); i >= 0 || personal == "" {
			t.Errorf("the %s holds %q: …%s…", what, personal, text[max(0, i-200):min(len(text), i+100)])
		}
	}
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
