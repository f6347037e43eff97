package e2e_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// The commands of the README do what it says: two people, one follows the other,
// both counters are right; kill -9; everything is there.
func TestTheREADMEIsTrue(t *testing.T) {
	t.Parallel()
	s := kith.Start(t, kithtest.Options{})
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	script := block(t, string(text), "localhost:8080")
	sh := s.Shell()
	sh.Run(script)
	if got, want := sh.Statuses(), []int{201, 201, 201, 200, 200, 200}; !slices.Equal(got, want) {
		t.Fatalf("the README's requests were answered with %v, want %v", got, want)
	}

	ada := s.Client().As(sh.Variables["ada"])
	right := func() {
		t.Helper()
		counters(t, ada, "bob", 1, 0)
		counters(t, ada, "ada", 0, 1)
		if followers, err := ada.Followers(t.Context(), "bob"); err != nil || !slices.Equal(usernames(followers), []string{"ada"}) {
			t.Errorf("followers of bob: %v %v", err, followers)
		}
		if answer := want(t, http.StatusOK)(ada.User(t.Context(), "bob")); !*answer.Following {
			t.Errorf("ada does not follow bob: %s", answer)
		}
	}
	right()
	s.Restart()
	right()
	s.Settle()
	want(t, http.StatusOK)(s.Client().Login(t.Context(), "ada", "correct horse"))
}

// block returns the one fenced block of a document that holds something.
func block(t *testing.T, text, holds string) string {
	t.Helper()
	var found []string
	for i, part := range strings.Split(text, "```") {
		if language, code, ok := strings.Cut(part, "\n"); ok && i%2 == 1 && language == "sh" && strings.Contains(code, holds) {
			found = append(found, code)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d blocks hold %q", len(found), holds)
	}
	return found[0]
}
