package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kith/test/kithtest"
)

func TestGetUser(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada, bob := a.register(t, "get_ada_zq"), a.register(t, "get_bob_zq")
	want(t, http.StatusCreated)(ada.Follow(t.Context(), "get_bob_zq"))

	for _, name := range []string{"get_bob_zq", "GET_bob_ZQ", "%20get_bob_zq%20", "%67et_bob_zq"} {
		answer := want(t, http.StatusOK)(ada.Get(t.Context(), "/users/"+name))
		if answer.User.Username != "get_bob_zq" || answer.Following == nil || !*answer.Following {
			t.Errorf("%s: %s", name, answer)
		}
	}
	if answer := want(t, http.StatusOK)(bob.User(t.Context(), "get_ada_zq")); answer.Following == nil || *answer.Following {
		t.Errorf("who is not followed: %s", answer)
	}
	if answer := want(t, http.StatusOK)(ada.User(t.Context(), "get_ada_zq")); *answer.Following || answer.User.Following != 1 {
		t.Errorf("oneself: %s", answer)
	}
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.User(t.Context(), "get_nobody_zq"))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.User(t.Context(), "im-possible"))
	for _, blank := range []string{"", "%20"} {
		refused(t, http.StatusBadRequest, "username_required", "Username is required")(ada.Get(t.Context(), "/users/"+blank))
		refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Get(t.Context(), "/users/"+blank))
	}
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().User(t.Context(), "get_ada_zq"))

	// An ETag stands for what is shown: the card and whether it is followed.
	path := "/users/get_ada_zq"
	first := want(t, http.StatusOK)(bob.Get(t.Context(), path))
	tag := first.Header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	same := kithtest.Request{Method: http.MethodGet, Path: path, Header: http.Header{"If-None-Match": {tag}}}
	if answer := want(t, http.StatusNotModified)(bob.Do(t.Context(), same)); len(answer.Body) != 0 || answer.Header.Get("ETag") != tag {
		t.Errorf("not modified: ETag %q, body %s", answer.Header.Get("ETag"), answer)
	}
	want(t, http.StatusCreated)(bob.Follow(t.Context(), "get_ada_zq"))
	if answer := want(t, http.StatusOK)(bob.Do(t.Context(), same)); !*answer.Following || answer.Header.Get("ETag") == tag {
		t.Errorf("after a follow: ETag %q, %s", answer.Header.Get("ETag"), answer)
	}
	head := want(t, http.StatusOK)(bob.Do(t.Context(), kithtest.Request{Method: http.MethodHead, Path: path}))
	if len(head.Body) != 0 || head.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %v %s", head.Header, head)
	}
}

func TestGetSelf(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "self_ada_zq")
	answer := want(t, http.StatusOK)(ada.Get(t.Context(), "/users/self"))
	if answer.User.Username != "self_ada_zq" {
		t.Errorf("self: %s", answer)
	}
	if answer.Header.Get("Deprecation") == "" || !strings.Contains(answer.Header.Get("Link"), "</users/self_ada_zq>") {
		t.Errorf("a deprecated route says %v", answer.Header)
	}
	want(t, http.StatusNotModified)(ada.Do(t.Context(), kithtest.Request{
		Method: http.MethodGet, Path: "/users/self", Header: http.Header{"If-None-Match": {answer.Header.Get("ETag")}},
	}))
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Get(t.Context(), "/users/self"))
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "update_ada_zq")
	a.register(t, "update_bob_zq")
	a.remember("New Name Zq", "bio-of-zq", "picture-of-zq")
	before := want(t, http.StatusOK)(ada.User(t.Context(), "self")).User

	// None given: unchanged.
	if got := want(t, http.StatusOK)(ada.Update(t.Context(), map[string]any{"username": "other_zq", "unknown": 1, "name": nil})).User; *got != *before {
		t.Errorf("unchanged user is %+v, was %+v", got, before)
	}
	want(t, http.StatusOK)(ada.Update(t.Context(), map[string]any{"bio": "bio-of-zq\n\ttwo lines", "email": "new_ada" + domain}))
	got := want(t, http.StatusOK)(ada.Update(t.Context(), map[string]any{
		"name": " New Name Zq ", "role": "creator", "profile_picture": "https://example.com/picture-of-zq.jpg",
	})).User
	if got.Name != "New Name Zq" || got.Role != "creator" || got.Picture != "https://example.com/picture-of-zq.jpg" || got.UpdatedAt <= before.UpdatedAt {
		t.Errorf("updated user is %+v, was %+v", got, before)
	}
	if seen := want(t, http.StatusOK)(ada.User(t.Context(), "update_ada_zq")).User; *seen != *got {
		t.Errorf("user is %+v after the answer %+v", seen, got)
	}
	// The path of her own upload, whether the photo is there or is yet to come.
	want(t, http.StatusOK)(ada.Do(t.Context(), kithtest.Request{Method: http.MethodPost, Path: "/users/profile-photo/upload"}))
	upload := "ProfileProto/users/" + got.UID + ".jpg"
	if got := want(t, http.StatusOK)(ada.Update(t.Context(), map[string]any{"profile_picture": upload})).User; got.Picture != upload {
		t.Errorf("user with a photo to come is %+v", got)
	}
	if got := want(t, http.StatusOK)(ada.Update(t.Context(), map[string]any{"profile_picture": "", "role": "user"})).User; got.Picture != "" || got.Role != "user" {
		t.Errorf("reset user is %+v", got)
	}
	// The email that she gave up is free, hers is not.
	want(t, http.StatusCreated)(a.Client().Register(t.Context(), kithtest.Registration{Username: "update_eve_zq", Name: "Eve", Password: password, Email: "update_ada_zq" + domain}))

	for name, test := range map[string]struct {
		body          map[string]any
		status        int
		code, message string
	}{
		"an email of somebody else": {map[string]any{"email": "UPDATE_bob_zq" + domain}, 409, "email_taken", "Email already in use"},
		"no name":                   {map[string]any{"name": ""}, 400, "invalid_name", "Name is required"},
		"a long name":               {map[string]any{"name": strings.Repeat("n", 30)}, 400, "invalid_name", "Name must be shorter than 30 characters"},
		"role admin":                {map[string]any{"role": "admin"}, 400, "invalid_role", "Role must be user or creator"},
		"a long bio":                {map[string]any{"bio": strings.Repeat("b", 501)}, 400, "invalid_bio", "Bio must be at most 500 characters"},
		"a picture that is no URL":  {map[string]any{"profile_picture": "javascript:alert(1)"}, 400, "invalid_profile_picture", "Profile picture must be empty, an http or https URL, or the path of your own upload"},
		"the picture of another":    {map[string]any{"profile_picture": "ProfileProto/users/" + strings.Repeat("0", 32) + ".jpg"}, 400, "invalid_profile_picture", "Profile picture must be empty, an http or https URL, or the path of your own upload"},
		"a number for a name":       {map[string]any{"name": 1}, 400, "invalid_body", "Invalid request body"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, test.status, test.code, test.message)(ada.Update(t.Context(), test.body))
		})
	}
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Update(t.Context(), map[string]any{"name": "X"}))
}

func TestDelete(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada, bob, eve := a.register(t, "delete_ada_zq"), a.register(t, "delete_bob_zq"), a.register(t, "delete_eve_zq")
	want(t, http.StatusCreated)(ada.Follow(t.Context(), "delete_bob_zq"))
	want(t, http.StatusCreated)(bob.Follow(t.Context(), "delete_ada_zq"))
	counters(t, bob, "delete_bob_zq", 1, 1)
	counters(t, ada, "delete_ada_zq", 1, 1)

	const message = "You can only delete your own account"
	refused(t, http.StatusForbidden, "not_own_account", message)(ada.Delete(t.Context(), "delete_bob_zq"))
	refused(t, http.StatusForbidden, "not_own_account", message)(ada.Delete(t.Context(), "delete_nobody_zq"))
	refused(t, http.StatusForbidden, "not_own_account", message)(ada.Delete(t.Context(), "im-possible"))
	refused(t, http.StatusBadRequest, "username_required", "Username is required")(ada.Delete(t.Context(), " "))
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Delete(t.Context(), "delete_ada_zq"))

	if answer := want(t, http.StatusOK)(ada.Delete(t.Context(), "Delete_ADA_zq")); answer.Message != "User deleted successfully" {
		t.Errorf("delete: %s", answer)
	}
	// Gone at once, for everybody.
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(bob.User(t.Context(), "delete_ada_zq"))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(bob.Follow(t.Context(), "delete_ada_zq"))
	refused(t, http.StatusUnauthorized, "invalid_credentials", "Invalid username or password")(a.Client().Login(t.Context(), "delete_ada_zq", password))
	for _, list := range []func() ([]kithtest.User, error){
		func() ([]kithtest.User, error) { return bob.Followers(t.Context(), "self") },
		func() ([]kithtest.User, error) { return bob.Following(t.Context(), "self") },
	} {
		if users, err := list(); err != nil || len(users) != 0 {
			t.Errorf("list with a deleted user: %v %v", users, err)
		}
	}
	// Her token is good, and of nobody: 404 where a route is about the caller.
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Get(t.Context(), "/users/self"))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Delete(t.Context(), "delete_ada_zq"))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Update(t.Context(), map[string]any{"name": "X"}))
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Follow(t.Context(), "delete_bob_zq"))
	refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(ada.User(t.Context(), "delete_bob_zq"))
	// The others are repaired.
	counters(t, bob, "delete_bob_zq", 0, 0)

	// The name and the address are free, and the new one is somebody else.
	again := a.register(t, "delete_ada_zq")
	counters(t, again, "delete_ada_zq", 0, 0)
	if answer := want(t, http.StatusOK)(bob.User(t.Context(), "delete_ada_zq")); *answer.Following {
		t.Errorf("the new bearer of a name is followed: %s", answer)
	}
	refused(t, http.StatusNotFound, "user_not_found", "User not found")(ada.Get(t.Context(), "/users/self"))
	want(t, http.StatusOK)(eve.Delete(t.Context(), "self"))
}

// counters waits until a user has so many followers and follows so many.
func counters(t *testing.T, c *kithtest.Client, username string, followers, following int) {
	t.Helper()
	var last string
	if !eventually(t, func() bool {
		answer := want(t, http.StatusOK)(c.User(t.Context(), username))
		last = fmt.Sprint(answer)
		return answer.User.Followers == followers && answer.User.Following == following
	}) {
		t.Fatalf("want %d followers and %d followed: %s", followers, following, last)
	}
}
