package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// An operator gives roles through the server that runs, and on the data when none
// does. Nobody becomes an admin otherwise.
func TestRolesAreGivenByTheOperator(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "ada_zq")
	role := func() string {
		t.Helper()
		return want(t, http.StatusOK)(ada.User(t.Context(), "ada_zq")).User.Role
	}
	if got := a.run(t, "role", " ADA_zq", "admin").Stdout; got != "ada_zq is admin\n" {
		t.Errorf("printed %q", got)
	}
	if got := role(); got != "admin" {
		t.Errorf("the role is %s", got)
	}
	refusals := func() {
		t.Helper()
		fails(t, a.Command("role", "nobody_zq", "admin"), 1, "nobody_zq")
		fails(t, a.Command("role", "im-possible", "admin"), 2, "Username may contain only")
		fails(t, a.Command("role", "ada_zq", "root"), 2, `"root"`, "admin, creator or user")
	}
	refusals()
	a.run(t, "role", "ada_zq", "admin") // again

	a.Stop()
	refusals()
	a.run(t, "role", "ada_zq", "creator")
	a.run(t, "role", "ada_zq", "user")
	a.run(t, "role", "ada_zq", "creator")
	if v := a.Verify(); v.Code != 0 || v.Counts["differences"] != 0 || v.Counts["journal records"] != 5 {
		t.Errorf("verify: exit code %d\n%s%s", v.Code, v.Stdout, v.Stderr)
	}
	a.Launch()
	a.AwaitReady()
	if got := role(); got != "creator" {
		t.Errorf("the role is %s", got)
	}
	if strings.Contains(a.Log(), "ada_zq") {
		t.Error("the log holds a name")
	}
}
