package apifuzz_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const hour = time.Hour

// play sends what takes more than one request.
func (w *world) play(t *testing.T, f *fuzz, rnd *rand.Rand) {
	t.Helper()
	link := &wire{address: w.address}
	defer link.close()
	do := func(status int, token, id, target, body string, header ...[2]string) *answer {
		t.Helper()
		o := w.operation(t, id)
		r := &request{operation: o, method: o.method, target: target, what: "scenario", expect: expectation{statuses: []int{status}}, header: header}
		if token != "" {
			r.header = append(r.header, [2]string{"Authorization", "Bearer " + token})
		}
		if body != "" {
			r.body = []byte(body)
		}
		return f.send(link, r)
	}
	alice, bob := w.alice, w.bob
	name := func(s string) string { return quote(s) }
	g := &values{w.document, rnd}

	// Names and addresses that are taken.
	do(http.StatusConflict, "", "register", "/auth/register", `{"username":`+name(bob.username)+`,"name":"`+marker+`","password":"`+password+`"}`)
	do(http.StatusConflict, "", "register", "/auth/register", `{"username":"support","name":"`+marker+`","password":"`+password+`"}`)
	do(http.StatusConflict, alice.token, "update-self", "/users/self", `{"email":`+name(strings.ToUpper(bob.username)+"@"+marker+".EXAMPLE")+`}`)
	outside := w.outside()
	do(http.StatusNotFound, outside, "get-self", "/users/self", "")
	do(http.StatusCreated, outside, "create-user", "/users", `{"username":`+name(g.username())+`,"name":"`+marker+`"}`)
	do(http.StatusConflict, outside, "create-user", "/users", `{"username":`+name(g.username())+`,"name":"`+marker+`"}`)
	do(http.StatusConflict, w.outside(), "create-user", "/users", `{"username":`+name(bob.username)+`,"name":"`+marker+`"}`)

	// Sessions.
	do(http.StatusUnauthorized, "", "login", "/auth/login", `{"username":`+name(bob.username)+`,"password":"`+marker+` wrong"}`)
	do(http.StatusUnauthorized, "", "refresh", "/auth/refresh", `{"refresh_token":"`+marker+`"}`)
	pair := do(http.StatusOK, "", "login", "/auth/login", `{"username":`+name(w.erin.username)+`,"password":"`+password+`"}`)
	var tokens struct{ Token, Refresh string }
	var fields map[string]any
	if json.Unmarshal(pair.body, &fields) == nil {
		tokens.Token, _ = fields["token"].(string)
		tokens.Refresh, _ = fields["refresh_token"].(string)
	}
	do(http.StatusOK, "", "refresh", "/auth/refresh", `{"refresh_token":`+name(tokens.Refresh)+`}`)
	do(http.StatusOK, tokens.Token, "logout", "/auth/logout", `{"all":true}`)
	do(http.StatusUnauthorized, tokens.Token, "logout", "/auth/logout", "")
	do(http.StatusUnauthorized, "", "refresh", "/auth/refresh", `{"refresh_token":`+name(tokens.Refresh)+`}`)

	// A session of another's making.
	foreign := w.seal(jwt.SigningMethodHS256, []byte(secret), "", jwt.MapClaims{"sub": w.erin.uid, "exp": time.Now().Add(hour).Unix(), "sid": marker})
	do(http.StatusOK, foreign, "get-self", "/users/self", "")
	do(http.StatusOK, foreign, "logout", "/auth/logout", "")
	do(http.StatusUnauthorized, foreign, "get-self", "/users/self", "")

	// Names that are none.
	for id, path := range map[string]string{
		"get-user": "/users/%20", "delete-user": "/users/%20", "get-profile": "/users/%20/profile", "check-availability": "/users/availability/%20",
		"follow-user": "/users/self/following/%20", "unfollow-user": "/users/self/following/%20", "delete-event": "/users/self/events/%20",
	} {
		do(http.StatusBadRequest, alice.token, id, path, "")
	}

	// Follows.
	do(http.StatusUnprocessableEntity, alice.token, "follow-user", "/users/self/following/self", "")
	do(http.StatusNotFound, alice.token, "follow-user", "/users/self/following/"+g.username(), "")
	do(http.StatusOK, alice.token, "unfollow-user", "/users/self/following/"+w.carol.username, "")
	do(http.StatusCreated, alice.token, "follow-user", "/users/self/following/"+w.carol.username, "")
	do(http.StatusOK, alice.token, "follow-user", "/users/self/following/"+w.carol.username, "")
	for _, kind := range []string{"crew-members", "studios"} {
		do(http.StatusCreated, alice.token, "follow-"+kind, "/users/self/followed/"+kind+"/77", "")
		do(http.StatusOK, alice.token, "follow-"+kind, "/users/self/followed/"+kind+"/77", "")
		do(http.StatusOK, alice.token, "unfollow-"+kind, "/users/self/followed/"+kind+"/77", "")
		for _, id := range []string{"follow-", "unfollow-"} {
			do(http.StatusNotFound, w.dead.token, id+kind, "/users/self/followed/"+kind+"/77", "")
		}
	}

	// What is private, and what is gone.
	do(http.StatusUnauthorized, "", "get-user", "/users/"+bob.username, "")
	for id, rest := range map[string]string{
		"get-profile": "/profile", "list-followers": "/followers", "list-following": "/following", "list-events": "/events",
		"list-followed-crew-members": "/followed/crew-members", "list-followed-studios": "/followed/studios",
	} {
		do(http.StatusForbidden, alice.token, id, "/users/"+w.carol.username+rest, "")
		do(http.StatusNotFound, alice.token, id, "/users/"+w.dead.username+rest, "")
		do(http.StatusOK, w.carol.token, id, "/users/self"+rest, "")
	}
	for id, body := range map[string]string{"patch-profile": `{}`, "patch-preferences": `{}`, "patch-privacy": `{}`} {
		do(http.StatusNotFound, w.dead.token, id, w.operation(t, id).path, body)
	}
	do(http.StatusNotFound, w.dead.token, "update-self", "/users/self", `{}`)

	// Events.
	event := `{"event_id":"again","type":"view","movie_id":1}`
	do(http.StatusCreated, alice.token, "record-events", "/users/self/events", event)
	do(http.StatusOK, alice.token, "record-events", "/users/self/events", event)
	do(http.StatusOK, alice.token, "delete-event", "/users/self/events/again", "")
	do(http.StatusNotFound, alice.token, "delete-event", "/users/self/events/again", "")
	do(http.StatusConflict, alice.token, "record-events", "/users/self/events", event)
	do(http.StatusNotFound, w.dead.token, "record-events", "/users/self/events", event)
	do(http.StatusOK, alice.token, "record-events", "/users/self/events", `{"events":[`+event+`,{},{"type":"view","movie_id":1}]}`)

	// Notifications.
	var list struct {
		Notifications []struct{ ID string }
	}
	if err := json.Unmarshal(do(http.StatusOK, bob.token, "list-notifications", "/users/self/notifications", "").body, &list); err != nil || len(list.Notifications) == 0 {
		t.Fatalf("notifications %+v, error %v", list, err)
	}
	newest := `{"id":` + name(list.Notifications[0].ID) + `}`
	do(http.StatusOK, bob.token, "mark-notifications-seen", "/users/self/notifications/seen", newest)
	do(http.StatusNotFound, alice.token, "mark-notifications-seen", "/users/self/notifications/seen", newest)
	do(http.StatusNotFound, w.dead.token, "get-feed", "/users/self/feed", "")

	w.playPhotos(t, f, do)

	// The end.
	gone := w.register(t, g.username())
	do(http.StatusForbidden, gone.token, "delete-user", "/users/"+bob.username, "")
	do(http.StatusOK, gone.token, "delete-user", "/users/"+gone.username, "")
	do(http.StatusNotFound, gone.token, "delete-user", "/users/self", "")
}

// playPhotos uploads a photo and reads it, whole, in parts and not at all.
func (w *world) playPhotos(t *testing.T, f *fuzz, do func(status int, token, id, target, body string, header ...[2]string) *answer) {
	t.Helper()
	var photo bytes.Buffer
	if err := png.Encode(&photo, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	a := do(http.StatusOK, w.bob.token, "upload-photo", "/users/profile-photo/upload", `{"content_type":"image/png"}`)
	var upload struct {
		URL string `json:"gateway_url"`
	}
	if err := json.Unmarshal(a.body, &upload); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(upload.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.remember(at.Query().Get("signature"))
	target, kind := at.RequestURI(), [2]string{"Content-Type", "image/png"}
	do(http.StatusOK, "", "put-photo", target, photo.String(), kind)
	do(http.StatusUnsupportedMediaType, "", "put-photo", target, marker+" is no photo", kind)
	do(http.StatusForbidden, "", "put-photo", target+"0", photo.String(), kind)
	f.send(&wire{address: w.address}, &request{
		operation: w.operation(t, "put-photo"), method: http.MethodPut, target: target, header: [][2]string{kind}, announce: 5<<20 + 1, what: "scenario",
		expect: expectation{statuses: []int{http.StatusRequestEntityTooLarge}},
	})
	do(http.StatusUnauthorized, w.dead.token, "upload-photo", "/users/profile-photo/upload", "")
	media := "/media/ProfileProto/users/" + w.bob.uid + ".jpg"
	whole := do(http.StatusOK, "", "get-photo", media, "")
	if !bytes.Equal(whole.body, photo.Bytes()) {
		t.Error("the photo is another one")
	}
	do(http.StatusPartialContent, "", "get-photo", media, "", [2]string{"Range", "bytes=1-3"})
	do(http.StatusRequestedRangeNotSatisfiable, "", "get-photo", media, "", [2]string{"Range", "bytes=100000-"})
	do(http.StatusNotModified, "", "get-photo", media, "", [2]string{"If-None-Match", whole.header.Get("ETag")})
	do(http.StatusNotFound, "", "get-photo", "/media/ProfileProto/users/"+w.carol.uid+".jpg", "")
}
