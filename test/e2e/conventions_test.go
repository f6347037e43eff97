package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kith/test/kithtest"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "errors_ada_zq")
	for _, path := range []string{"/", "/nothing", "/user", "/users/errors_ada_zq/nothing", "/auth", "//users/self", "/users/self/"} {
		refused(t, http.StatusNotFound, "not_found", "Not found")(ada.Get(t.Context(), path))
	}
	for _, test := range []struct{ method, path, allow string }{
		{http.MethodGet, "/auth/register", "POST"},
		{http.MethodGet, "/users", "POST"},
		{http.MethodDelete, "/auth/login", "POST"},
		{http.MethodPost, "/users/errors_ada_zq", "GET, HEAD, DELETE"},
		{http.MethodPatch, "/users/self", "GET, HEAD, PUT, DELETE"},
		{http.MethodPost, "/users/self/following/errors_ada_zq", "PUT, DELETE"},
		{http.MethodPost, "/healthz", "GET, HEAD"},
	} {
		answer := refused(t, http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed")(ada.Do(t.Context(), kithtest.Request{Method: test.method, Path: test.path}))
		if got := answer.Header.Get("Allow"); got != test.allow {
			t.Errorf("%s %s: Allow is %q, want %q", test.method, test.path, got, test.allow)
		}
	}

	// A request is named by its client, or by the server when that name is odd.
	for id, echoed := range map[string]bool{"my-request_1.x": true, "my request": false, strings.Repeat("x", 65): false, "": false} {
		answer := want(t, http.StatusNotFound)(ada.Do(t.Context(), kithtest.Request{
			Method: http.MethodGet, Path: "/nothing", Header: http.Header{"X-Request-Id": {id}},
		}))
		if answer.RequestID == "" || (answer.RequestID == id) != echoed {
			t.Errorf("request id of %q is %q", id, answer.RequestID)
		}
	}

	// RFC 9457 for those who ask for it.
	for path, status := range map[string]int{"/nothing": http.StatusNotFound, "/users/errors_nobody_zq": http.StatusNotFound, "/users/%20": http.StatusBadRequest} {
		answer, err := ada.Do(t.Context(), kithtest.Request{
			Method: http.MethodGet, Path: path, Header: http.Header{"Accept": {"application/problem+json"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var problem struct {
			Type, Title, Detail, Code string
			Status                    int
			RequestID                 string `json:"request_id"`
		}
		if err := json.Unmarshal(answer.Body, &problem); err != nil || answer.Status != status || answer.Header.Get("Content-Type") != "application/problem+json" ||
			problem.Type != "about:blank" || problem.Title != http.StatusText(status) || problem.Status != status || problem.Detail == "" || problem.Code == "" || problem.RequestID == "" {
			t.Errorf("%s: %v %v %s", path, err, answer.Header, answer)
		}
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "bodies_ada_zq")
	put := func(body string, header http.Header) (*kithtest.Answer, error) {
		return ada.Do(t.Context(), kithtest.Request{Method: http.MethodPut, Path: "/users/self", Body: body, Header: header})
	}
	for name, body := range map[string]string{
		"nothing": "", "no object": `[]`, "a string": `"x"`, "null": `null`, "two objects": `{}{}`, "cut off": `{"name":"x"`,
		"a lone surrogate": `{"name":"\ud800"}`, "invalid UTF-8": "{\"name\":\"\xff\"}", "a list for a name": `{"name":["x"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			answer := want(t, http.StatusBadRequest)(put(body, nil))
			if answer.Code != "invalid_body" || answer.Message != "Invalid request body" {
				t.Errorf("body %q: %s", body, answer)
			}
		})
	}
	const limit = 64 << 10
	pad := func(size int) string {
		const frame = `{"unknown":""}`
		return `{"unknown":"` + strings.Repeat("x", size-len(frame)) + `"}`
	}
	want(t, http.StatusOK)(put(pad(limit), nil))
	refused(t, http.StatusRequestEntityTooLarge, "body_too_large", "Request body too large")(put(pad(limit+1), nil))
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "x"} {
		refused(t, http.StatusUnsupportedMediaType, "unsupported_media_type", "Content type must be application/json")(put(`{}`, http.Header{"Content-Type": {kind}}))
	}
	want(t, http.StatusOK)(put(`{}`, http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "tokens_ada_zq")
	token := ada.Token()
	head, rest, _ := strings.Cut(token, ".")
	claims, signature, _ := strings.Cut(rest, ".")
	// {"alg":"none"}, and the last bits of the signature turned around.
	unsigned := "eyJhbGciOiJub25lIn0." + claims + "."
	flipped := head + "." + claims + "." + strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, signature)
	foreign := kith.Start(t, kithtest.Options{})
	other := want(t, http.StatusCreated)(foreign.Client().Register(t.Context(), kithtest.Registration{Username: "tokens_ada_zq", Name: "Ada", Password: password})).Token
	a.remember(other)
	for name, headers := range map[string][]string{
		"nothing":              nil,
		"no token":             {"Bearer "},
		"another scheme":       {"Basic " + token},
		"no scheme":            {token},
		"two":                  {"Bearer " + token, "Bearer " + token},
		"a token cut off":      {"Bearer " + token[:len(token)-4]},
		"a token of nonsense":  {"Bearer x.y.z"},
		"alg none":             {"Bearer " + unsigned},
		"another signature":    {"Bearer " + flipped},
		"a token of elsewhere": {"Bearer " + other},
	} {
		t.Run(name, func(t *testing.T) {
			answer := refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().Do(t.Context(), kithtest.Request{
				Method: http.MethodGet, Path: "/users/self", Header: http.Header{"Authorization": headers},
			}))
			if !strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("WWW-Authenticate is %q", answer.Header.Get("WWW-Authenticate"))
			}
		})
	}
	want(t, http.StatusOK)(a.Client().Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/users/self", Header: http.Header{"Authorization": {"bearer " + token}}}))

	// A token ends when it says so.
	short := strings.TrimSpace(a.run(t, "token", "--username", "tokens_ada_zq", "--ttl", "1s").Stdout)
	a.remember(short)
	if !eventually(t, func() bool {
		answer, err := a.Client().As(short).Get(t.Context(), "/users/self")
		return err == nil && answer.Status == http.StatusUnauthorized
	}) {
		t.Error("a token of 1 s is good after 5 s")
	}
}
