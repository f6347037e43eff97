package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"kith/gateway"
	"kith/persistence"
)

// fuzzed sends a request whose query is whatever it is, and checks that it is
// answered with one of the statuses, in JSON.
func (w *world) fuzzed(t *testing.T, c call, rawQuery string, statuses ...int) {
	t.Helper()
	r := c.request(t)
	r.URL.RawQuery = rawQuery
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	if !slices.Contains(statuses, got.Code) || !json.Valid(got.Body.Bytes()) {
		t.Errorf("%s %s?%q %q: %d %s", c.method, c.path, rawQuery, c.body, got.Code, got.Body)
	}
}

// Whatever is asked, the answer is a page or says what is wrong.
func FuzzQuery(f *testing.F) {
	w := newWorld(f)
	token := w.join(f, "alice")
	w.join(f, "bob")
	for _, seed := range []string{
		"", "limit=1&cursor=x", "type=view&movie_id=1", "q=a", "q=%ff&limit=2", "username=bob&username=%zz", "username=" + strings.Repeat("a", 99), "limit=1;q=b", "q=%00", "cursor=",
		"movie_id=9223372036854775808", "type=%F0%9F%98%80", "&&==&q", "username&q&type&movie_id&limit&seed&offset",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, path := range []string{
			"/users/self/events", "/users/search", "/users/list", "/users/relationships", "/users/bob/followers", "/users/bob/followed/studios", "/users/self/profile",
		} {
			w.fuzzed(t, call{method: http.MethodGet, path: path, token: token}, raw, 200, 400)
		}
	})
}

// Whatever a patch says, it is merged or refused, and the profile stays readable.
func FuzzPatch(f *testing.F) {
	w := newWorld(f)
	token := w.join(f, "alice")
	for _, seed := range []string{
		`{}`, `null`, `{"display_name":null,"bio":null,"avatar_url":null}`, `{"display_name":"\ud83d\ude00","bio":"\u0000"}`, `{"fav_genres":[1,1,-1],"adult_content":null}`,
		`{"notification_settings":{"a":null,"b":true,"c":1}}`, `{"notification_settings":null,"language":"zh-Hant-TW"}`, `{"profile_public":false,"watch_history_public":null}`, "{\"bio\":\"\xff\"}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, section := range []string{"profile", "preferences", "privacy"} {
			w.fuzzed(t, call{method: http.MethodPatch, path: "/users/self/" + section, token: token, body: body}, "", 200, 400)
		}
		w.fuzzed(t, call{method: http.MethodGet, path: "/users/self/profile", token: token}, "", 200)
	})
}

// Cursors of hits and of journals open as they were sealed, and others do not.
func FuzzOtherCursors(f *testing.F) {
	hit := gateway.SealSearch([]byte(secret), "search", 9, persistence.SearchCursor{ByName: true, Username: "bob"})
	seq := gateway.SealSeq([]byte(secret), "events", 9, 77)
	for _, seed := range []string{hit, seq, "", hit[:8], "AQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		if at, err := gateway.OpenSearch([]byte(secret), "search", 9, cursor); err == nil && cursor != "" && gateway.SealSearch([]byte(secret), "search", 9, at) != cursor {
			t.Errorf("%q opens as %+v, and was never sealed", cursor, at)
		}
		if at, err := gateway.OpenSeq([]byte(secret), "events", 9, cursor); err == nil && cursor != "" && gateway.SealSeq([]byte(secret), "events", 9, at) != cursor {
			t.Errorf("%q opens as %d, and was never sealed", cursor, at)
		}
		if at, err := gateway.OpenSearch([]byte(secret), "search", 9, hit); err != nil || !at.ByName || at.Username != "bob" {
			t.Errorf("%+v, %v", at, err)
		}
		if at, err := gateway.OpenSeq([]byte(secret), "events", 9, seq); err != nil || at != 77 {
			t.Errorf("%d, %v", at, err)
		}
	})
}
