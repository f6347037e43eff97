package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"kith/actors/user"
)

func TestAvailability(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "johndoe")
	w.claimed["pending"] = 99
	for path, want := range map[string]string{
		"janedoe":         `{"status":"success","available":true,"username":"janedoe"}`,
		"%20JaneDoe%20":   `{"status":"success","available":true,"username":"janedoe"}`,
		"johndoe":         `{"status":"success","available":false,"username":"johndoe"}`,
		"JOHNDOE":         `{"status":"success","available":false,"username":"johndoe"}`,
		"pending":         `{"status":"success","available":false,"username":"pending"}`, // is being registered
		"self":            `{"status":"success","available":false,"username":"self"}`,
		"Availability":    `{"status":"success","available":false,"username":"availability"}`,
		"a_1":             `{"status":"success","available":true,"username":"a_1"}`,
		"a23456789012345": `{"status":"success","available":true,"username":"a23456789012345"}`,
	} {
		got := w.get(t, "", "/users/availability/"+path).is(t, 200)
		if got.Body.String() != want+"\n" || got.Header().Get("Cache-Control") != "no-cache" || got.Header().Get("ETag") == "" {
			t.Errorf("%s: %s %s", path, got.Body, got.Header())
		}
	}
	w.do(t, "johndoe", user.Delete{At: w.clock()})
	if got := w.get(t, "", "/users/availability/johndoe").is(t, 200); got.body["available"] != true {
		t.Errorf("a deleted user's name: %s", got.Body)
	}
}

func TestAvailabilitySaysWhichRuleFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for path, message := range map[string]string{
		"ab": "Username must be at least 3 characters", strings.Repeat("a", 31): "Username must be at most 30 characters",
		"user-name":   "Username may contain only letters a to z, digits and underscores",
		"user%20name": "Username may contain only letters a to z, digits and underscores",
		"%FF%FE%FD":   "Username may contain only letters a to z, digits and underscores",
		"a%2Fb":       "Username may contain only letters a to z, digits and underscores",
	} {
		w.get(t, "", "/users/availability/"+path).refused(t, 400, "invalid_username", message)
	}
	for _, blank := range []string{"", "%20", "%09%20", "%C2%A0"} {
		w.get(t, "", "/users/availability/"+blank).refused(t, 400, "username_required", "Username is required")
	}
	w.call(t, call{method: http.MethodPut, path: "/users/availability/x"}).refused(t, 405, "method_not_allowed", "Method not allowed")
}
