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
	for body, message := range map[string]string{
		" ": "Invalid request body", "null": "Invalid request body", "[]": "Invalid request body", `"x"`: "Invalid request body", "1": "Invalid request body",
		"{": "Invalid request body", "{}x": "Invalid request body", "{}{}": "Invalid request body", `{"name":"a",}`: "Invalid request body",
		`{'name':'a'}`: "Invalid request body", `{"name" "a"}`: "Invalid request body", "\ufeff{}": "Invalid request body", "{\"name\":\"a\tb\"}": "Invalid request body",
		`{"name":1}`:                  "Invalid request body: name must be a string",
		`{"name":["a"]}`:              "Invalid request body: name must be a string",
		`{"name":{}}`:                 "Invalid request body: name must be a string",
		`{"role":true}`:               "Invalid request body: role must be a string",
		`{"name":"a","bio":0}`:        "Invalid request body: bio must be a string",
		`{"name":"\ud800"}`:           "Invalid request body: name must not contain a lone surrogate",
		`{"name":"\udc00\ud800"}`:     "Invalid request body: name must not contain a lone surrogate",
		`{"name":"\ud800\\udc00"}`:    "Invalid request body: name must not contain a lone surrogate",
		`{"name":"\ud83dA"}`:          "Invalid request body: name must not contain a lone surrogate",
		`{"name":"\ud83d\u0041"}`:     "Invalid request body: name must not contain a lone surrogate",
		"{\"name\":\"\xff\"}":         "Invalid request body: name must be valid UTF-8",
		"{\"name\":\"\xed\xa0\x80\"}": "Invalid request body: name must be valid UTF-8",
		"{\"other\":\"\xff\"}":        "Invalid request body",
		"{\"\xff\":1}":                "Invalid request body",
		`{"\ud800":1}`:                "Invalid request body",
		`{"other":["\ud800"]}`:        "Invalid request body",
		`{"name":"a\u0000b"}`:         "Invalid request body: name must not contain control characters",
		`{"name":"a\nb"}`:             "Invalid request body: name must not contain control characters",
		`{"name":"\u0085a"}`:          "Invalid request body: name must not contain control characters",
		`{"name":"\n a"}`:             "Invalid request body: name must not contain control characters",
		`{"bio":"a\rb"}`:              "Invalid request body: bio must not contain control characters",
		`{"email":"a@b.c\n"}`:         "Invalid request body: email must not contain control characters",
	} {
		got := w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: body}).refused(t, 400, "invalid_body", message)
		if rest, about := strings.CutPrefix(message, "Invalid request body: "); about && got.body["field"] != strings.Fields(rest)[0] {
			t.Errorf("%s: field %v", body, got.body["field"])
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
