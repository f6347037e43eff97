package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"kith/gateway"
)

func TestBodiesAreOneJSONObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for body, detail := range map[string]string{
		" ": "", "null": "", "[]": "", `"x"`: "", "1": "",
		"{": "", "{}x": "", "{}{}": "", `{"name":"a",}`: "",
		`{'name':'a'}`: "", `{"name" "a"}`: "", "\ufeff{}": "", "{\"name\":\"a\tb\"}": "",
		`{"name":1}`:                  "name must be a string",
		`{"name":["a"]}`:              "name must be a string",
		`{"name":{}}`:                 "name must be a string",
		`{"role":true}`:               "role must be a string",
		`{"name":"a","bio":0}`:        "bio must be a string",
		`{"name":"\ud800"}`:           "name must not contain a lone surrogate",
		`{"name":"\udc00\ud800"}`:     "name must not contain a lone surrogate",
		`{"name":"\ud800\\udc00"}`:    "name must not contain a lone surrogate",
		`{"name":"\ud83dA"}`:          "name must not contain a lone surrogate",
		`{"name":"\ud83d\u0041"}`:     "name must not contain a lone surrogate",
		"{\"name\":\"\xff\"}":         "name must be valid UTF-8",
		"{\"name\":\"\xed\xa0\x80\"}": "name must be valid UTF-8",
		"{\"other\":\"\xff\"}":        "",
		"{\"\xff\":1}":                "",
		`{"\ud800":1}`:                "",
		`{"other":["\ud800"]}`:        "",
		`{"name":"a\u0000b"}`:         "name must not contain control characters",
		`{"name":"a\nb"}`:             "name must not contain control characters",
		`{"name":"\u0085a"}`:          "name must not contain control characters",
		`{"name":"\n a"}`:             "name must not contain control characters",
		`{"bio":"a\rb"}`:              "bio must not contain control characters",
		`{"email":"a@b.c\n"}`:         "email must not contain control characters",
	} {
		c := call{method: http.MethodPut, path: "/users/self", token: token, body: body}
		got := w.call(t, c).refused(t, 400, "invalid_body", "Invalid request body")
		if field, _, _ := strings.Cut(detail, " "); got.text("field") != field || got.text("detail") != detail {
			t.Errorf("%s: %s", body, got.Body)
		}
		c.header = []string{"Accept", "application/problem+json"}
		want := "Invalid request body"
		if detail != "" {
			want += ": " + detail
		}
		if got := w.call(t, c); got.body["detail"] != want {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	// No body at all is not an object either.
	w.call(t, call{method: http.MethodPut, path: "/users/self", token: token}).refused(t, 400, "invalid_body", "Invalid request body")
	for _, body := range []string{
		" {} ", `{"name":"😀 \ud83d\ude00 \\ud800"}`, `{"other":{"name":1},"name":"A"}`, `{"name":1,"name":"B"}`, `{"name":"A","name":null}`,
	} {
		got := w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: body})
		if body == `{"name":1,"name":"B"}` {
			got.is(t, 400) // each must be right; the last counts
			continue
		}
		got.is(t, 200)
	}
}

// text is a member of the answer, "" when it is not there.
func (r reply) text(member string) string {
	s, _ := r.body[member].(string)
	return s
}

// whole is the message of an error and its detail.
func (r reply) whole() string {
	if detail := r.text("detail"); detail != "" {
		return r.text("message") + ": " + detail
	}
	return r.text("message")
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	sized := func(n int) string {
		const frame = `{"other":""}`
		return `{"other":"` + strings.Repeat("x", n-len(frame)) + `"}`
	}
	send := func(body string, known bool) reply {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/users/self", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
		if !known {
			r.ContentLength = -1
		}
		return w.send(t, r)
	}
	for _, known := range []bool{true, false} {
		send(sized(64<<10), known).is(t, 200)
		send(sized(64<<10+1), known).refused(t, 413, "body_too_large", "Request body too large")
		send(strings.Repeat("[", 1<<20), known).refused(t, 413, "body_too_large", "Request body too large")
	}
	send(`{"other":`+strings.Repeat("[", 30_000)+strings.Repeat("]", 30_000)+`}`, true).is(t, 400) // too deep
}

// A body that nobody reads is as large as others.
func TestBodiesThatNobodyReadsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	send := func(method, path, token string, n int64) reply {
		r := call{method: method, path: path, token: token, body: "x"}.request(t)
		r.ContentLength = n
		return w.send(t, r)
	}
	for path, method := range map[string]string{
		"/users/alice": http.MethodGet, "/healthz": http.MethodGet, "/users/availability/bob": http.MethodGet, "/openapi.json": http.MethodGet, "/users/self/followed/studios/1": http.MethodPut,
	} {
		send(method, path, token, 64<<10+1).refused(t, 413, "body_too_large", "Request body too large")
		if got := send(method, path, token, 64<<10); got.Code >= 400 {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	send(http.MethodGet, "/users/alice", "", 64<<10+1).is(t, 401)
	send(http.MethodPut, w.uploadURL(t, token, ""), "", 64<<10+1).is(t, 415) // has a limit of its own
	send(http.MethodDelete, "/users/alice", token, 64<<10+1).is(t, 413)
	w.get(t, token, "/users/alice").is(t, 200)
}

func TestBodiesAreJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for kind, status := range map[string]int{
		"application/json": 200, "APPLICATION/JSON": 200, "application/json; charset=utf-8": 200, `application/json;charset="UTF-8"`: 200,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json; charset=latin1": 415, "application/merge-patch+json": 415, "": 415, "json": 415, ";": 415,
	} {
		got := w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: "{}", header: []string{"Content-Type", kind}})
		if got.Code != status {
			t.Errorf("%q: %d, want %d", kind, got.Code, status)
		}
		if status == 415 {
			got.refused(t, 415, "unsupported_media_type", "Content type must be application/json")
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/users/self", strings.NewReader("{}"))
	r.Header.Set("Authorization", "Bearer "+token)
	w.send(t, r).is(t, 200) // none said
	for kind, status := range map[string]int{
		"application/json": 200, "application/merge-patch+json": 200, "Application/Merge-Patch+JSON; charset=utf-8": 200,
		"application/merge-patch+json; charset=latin1": 415, "application/json-patch+json": 415, "text/plain": 415,
	} {
		for _, section := range []string{"profile", "preferences", "privacy"} {
			got := w.call(t, call{method: http.MethodPatch, path: "/users/self/" + section, token: token, body: "{}", header: []string{"Content-Type", kind}}).is(t, status)
			if status == 415 {
				got.refused(t, 415, "unsupported_media_type", "Content type must be application/json or application/merge-patch+json")
			}
		}
	}
}

type nested struct {
	Text   string   `json:"text"`
	Lines  *string  `json:"lines" text:"lines"`
	List   []string `json:"list"`
	Number int64    `json:"number"`
	Flag   *bool    `json:"flag"`
	Inner  struct {
		Text string `json:"text"`
	} `json:"inner"`
	Many []struct {
		N int64 `json:"n"`
	} `json:"many"`
	Raw  json.RawMessage `json:"raw"`
	Seen seen            `json:"seen"`
}

// seen notes that something stood there, null included.
type seen string

func (s *seen) UnmarshalJSON(b []byte) error { *s = seen(b); return nil }

func TestNestedBodies(t *testing.T) {
	t.Parallel()
	var got nested
	err := gateway.ParseBody([]byte(`{"text":"a","lines":"x\n","list":["a","b"],"number":9223372036854775807,"flag":true,"inner":{"text":"i","TEXT":1},"many":[{"n":1},{}],"raw":{"a":[1]},"seen":null}`), &got)
	if err != nil || got.Text != "a" || *got.Lines != "x\n" || len(got.List) != 2 || got.Number != 1<<63-1 || !*got.Flag || got.Inner.Text != "i" ||
		len(got.Many) != 2 || got.Many[0].N != 1 || string(got.Raw) != `{"a":[1]}` || got.Seen != "null" {
		t.Errorf("%v: %+v", err, got)
	}
	for body, field := range map[string]string{
		`{"inner":{"text":1}}`: "inner.text", `{"inner":[]}`: "inner", `{"many":[{"n":1},{"n":"1"}]}`: "many[1].n", `{"many":{}}`: "many", `{"many":[null]}`: "many[0]",
		`{"list":["a",1]}`: "list[1]", `{"list":["\n"]}`: "list[0]", `{"number":1.5}`: "number", `{"number":9223372036854775808}`: "number", `{"flag":"true"}`: "flag",
		`{"raw":"\ud800"}`: "raw", `{"seen":"\ud800"}`: "seen",
	} {
		err := gateway.ParseBody([]byte(body), &nested{})
		if err == nil || gateway.FieldOf(err) != field {
			t.Errorf("%s: %v, field %q", body, err, gateway.FieldOf(err))
		}
	}
}

func FuzzBody(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"text":"a","inner":{"text":"b"},"many":[{"n":1}],"list":["x"]}`, `{"text":"\ud83d\ude00"}`, `{"text":"\ud800"}`, "{\"text\":\"\xff\"}", `{"raw":[[[]]],"seen":1}`,
		`{"text":"\\"}`, `{"text":"\\ud800"}`, `[`, `{"text":null}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got nested
		if err := gateway.ParseBody(b, &got); err != nil {
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(b, &object); err != nil {
			t.Fatalf("%q is no object: %v", b, err)
		}
		for _, s := range append(got.List, got.Text, got.Inner.Text) {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				t.Errorf("%q became %q", b, s)
			}
		}
		if !utf8.Valid(b) {
			t.Errorf("%q is not UTF-8", b)
		}
	})
}
