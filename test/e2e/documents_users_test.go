package e2e_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// john is a world in which the examples of the API document can be typed: John Doe
// is called johndoe, and there is one other.
type john struct {
	*kithtest.Server

	t          *testing.T
	john, jane *kithtest.Client
	gone       *kithtest.Client // whose user was deleted
	text       string
}

const (
	goneName          = "gone_zq"
	availabilityLimit = 30
)

func newJohn(t *testing.T) *john {
	t.Helper()
	j := &john{
		t: t, text: document(t, "users-api.md"),
		Server: kith.Start(t, kithtest.Options{Env: []string{"KITH_LIMIT_AVAILABILITY=" + strconv.Itoa(availabilityLimit) + "/min"}}),
	}
	j.john, j.jane = j.register("johndoe", "John Doe"), j.register("janedoe", "Jane Doe")
	j.gone = j.register(goneName, "Gone")
	want(t, http.StatusOK)(j.gone.Delete(t.Context(), goneName))
	return j
}

func (j *john) register(username, name string) *kithtest.Client {
	j.t.Helper()
	return j.Client().As(want(j.t, http.StatusCreated)(j.Client().Register(j.t.Context(), kithtest.Registration{Username: username, Name: name, Password: password})).Token)
}

// send sends an example as it stands there, as somebody.
func (j *john) send(e example, as *kithtest.Client) *kithtest.Answer {
	j.t.Helper()
	header := e.headers.Clone()
	if header.Get("Authorization") != "" {
		header.Set("Authorization", strings.ReplaceAll(header.Get("Authorization"), "<jwt_token>", as.Token()))
	}
	request := kithtest.Request{Method: e.method, Path: e.path, Header: header}
	if e.body != "" {
		request.Body = e.body
	}
	answer, err := j.Client().Do(j.t.Context(), request)
	if err != nil {
		j.t.Fatal(err)
	}
	return answer
}

// user returns what somebody sees of a user.
func (j *john) user(c *kithtest.Client, username string) *kithtest.User {
	j.t.Helper()
	return want(j.t, http.StatusOK)(c.User(j.t.Context(), username)).User
}

// expect wants a status, and a message if one is given.
func (j *john) expect(status int, message string) func(*kithtest.Answer, error) {
	return func(a *kithtest.Answer, err error) {
		j.t.Helper()
		want(j.t, status)(a, err)
		if d := shaped(j.t, part(j.t, j.text, "consistent format:\n\n```json\n", "```"), a.Body); d != "" || message != "" && a.Message != message {
			j.t.Errorf("%s; want %q: %s", d, message, a)
		}
	}
}

// Every example of every endpoint is answered as documented: the success with all
// of its fields, each error that a client can provoke, and each note holds.
func TestTheUsersAPIDocumentIsTrue(t *testing.T) {
	t.Parallel()
	j := newJohn(t)
	errors, notes := newChecklist(j.errors()), newChecklist(j.notes())
	endpoints := readEndpoints(t, j.text)
	if len(endpoints) != 7 {
		t.Fatalf("the document has %d endpoints", len(endpoints))
	}
	for _, e := range endpoints {
		t.Log(e.name)
		answer := want(t, http.StatusOK)(j.send(e.request, j.john), nil)
		for i, documented := range e.success {
			if strings.Contains(e.name, "availability") && i == 0 {
				// The first is of a name that is free.
				free := e.request
				free.path = "/users/availability/" + goneName
				answer := want(t, http.StatusOK)(j.send(free, j.john), nil)
				if d := shaped(t, documented, answer.Body); d != "" {
					t.Errorf("%s: %s", d, answer)
				}
				continue
			}
			if d := shaped(t, documented, answer.Body); d != "" {
				t.Errorf("%s: %s: %s", e.name, d, answer)
			}
		}
		if deprecated := answer.Header.Get("Deprecation") != ""; deprecated != e.deprecated {
			t.Errorf("%s: deprecated is %t: %v", e.name, deprecated, answer.Header)
		}
		if e.deprecated && !strings.Contains(answer.Header.Get("Link"), "</users/johndoe>") {
			t.Errorf("%s does not say what to use instead: %v", e.name, answer.Header)
		}
		if e.request.method == http.MethodDelete {
			for _, note := range e.note {
				notes.check(t, note)
			}
			j.john = j.register("johndoe", "John Doe")
			e.note = nil
		}
		for _, refusal := range e.errors {
			switch {
			case strings.HasPrefix(refusal, "500 "): // not for a client to provoke
			case refusal == "401 Missing or invalid authentication token":
				for _, headers := range []http.Header{{}, {"Authorization": {"Bearer"}}, {"Authorization": {"Bearer x.y.z"}}, {"Authorization": {"Basic <jwt_token>"}}} {
					request := e.request
					request.headers = headers
					j.expect(http.StatusUnauthorized, "Missing or invalid authentication token")(j.send(request, j.john), nil)
				}
			default:
				errors.check(t, e.name+" "+refusal)
			}
		}
		for _, note := range e.note {
			notes.check(t, note)
		}
		if e.flow != "" {
			j.flow(e.flow)
		}
	}
	errors.complete(t)
	notes.complete(t)
	j.model()
	j.validation()
	j.common()
	j.limited()
	j.Settle()
}

// errors provoke each documented error.
func (j *john) errors() map[string]func() {
	t := j.t
	required := j.expect(http.StatusBadRequest, "Username is required")
	missing := j.expect(http.StatusNotFound, "User not found")
	return map[string]func(){
		"GET /users/{username} 400 Username is required": func() { required(j.john.Get(t.Context(), "/users/%20")) },
		"GET /users/{username} 404 User not found":       func() { missing(j.john.User(t.Context(), goneName)) },
		"GET /users/self 404 User not found":             func() { missing(j.gone.Get(t.Context(), "/users/self")) },
		"PUT /users/self 400 Invalid request body": func() {
			for _, body := range []string{"", "[]", `{"name":`, `{"name":1}`, `{"role":["user"]}`} {
				answer := want(t, http.StatusBadRequest)(j.john.Update(t.Context(), body))
				if answer.Message != "Invalid request body" {
					t.Errorf("body %q: %s", body, answer)
				}
			}
		},
		"PUT /users/self 400 Name validation failed": func() {
			for _, name := range []string{"", "  ", strings.Repeat("n", 30)} {
				j.expect(http.StatusBadRequest, "")(j.john.Update(t.Context(), map[string]string{"name": name}))
			}
		},
		"PUT /users/self 404 User not found": func() { missing(j.gone.Update(t.Context(), map[string]string{"name": "X"})) },
		"DELETE /users/{username} 400 Username is required": func() {
			required(j.john.Do(t.Context(), kithtest.Request{Method: http.MethodDelete, Path: "/users/%20"}))
		},
		"DELETE /users/{username} 403 You can only delete your own account": func() {
			j.expect(http.StatusForbidden, "You can only delete your own account")(j.john.Delete(t.Context(), "janedoe"))
		},
		"DELETE /users/{username} 404 User not found":                 func() { missing(j.gone.Delete(t.Context(), goneName)) },
		"GET /users/availability/{username} 400 Username is required": func() { required(j.Client().Get(t.Context(), "/users/availability/%20")) },
		"GET /users/availability/{username} 400 Username validation failed": func() {
			j.expect(http.StatusBadRequest, "")(j.Client().Get(t.Context(), "/users/availability/ab"))
		},
	}
}

// model checks the fields of a new user.
func (j *john) model() {
	t := j.t
	t.Helper()
	j.register("model_zq", "Model")
	answer := want(t, http.StatusOK)(j.john.User(t.Context(), "model_zq"))
	documented := part(t, j.text, "The User object contains the following fields:\n\n```json\n", "```")
	if d := shaped(t, `{"user":`+documented+`}`, answer.Body); d != "" {
		t.Errorf("%s: %s", d, answer)
	}
	described := part(t, j.text, "**Field Descriptions:**", "---")
	if n := strings.Count(described, "\n- `"); n != 12 {
		t.Errorf("%d fields are described", n)
	}
	u := answer.User
	if len(u.UID) != 32 || u.Role != "user" || u.ID < 1 || u.Followers != 0 || u.Following != 0 || u.Streams != 0 || u.Videos != 0 {
		t.Errorf("a new user is %+v", u)
	}
}

// validation checks the rules and their examples.
func (j *john) validation() {
	t := j.t
	t.Helper()
	rules := part(t, j.text, "## Validation Rules", "## Error Responses")
	code := regexp.MustCompile("`([^`]+)`(?: \\(([^)]*)\\))?")
	check := func(username string) *kithtest.Answer {
		t.Helper()
		answer, err := j.Client().Get(t.Context(), "/users/availability/"+url.PathEscape(username))
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	valid := code.FindAllStringSubmatch(part(t, rules, "- ✅ Valid:", "\n"), -1)
	invalid := code.FindAllStringSubmatch(part(t, rules, "- ❌ Invalid:", "\n"), -1)
	if len(valid) != 3 || len(invalid) != 4 {
		t.Fatalf("examples: %v %v", valid, invalid)
	}
	for _, m := range valid {
		if answer := check(m[1]); answer.Status != http.StatusOK || !*answer.Available {
			t.Errorf("%q: %s", m[1], answer)
		}
	}
	for _, m := range invalid {
		answer := check(m[1])
		if m[2] == "uppercase" {
			// The document also says that case is converted, and that holds.
			if answer.Status != http.StatusOK || answer.Username != strings.ToLower(m[1]) {
				t.Errorf("%q: %s", m[1], answer)
			}
			continue
		}
		if answer.Status != http.StatusBadRequest {
			t.Errorf("%q (%s): %s", m[1], m[2], answer)
		}
	}
	pattern := regexp.MustCompile(part(t, rules, "**Regex Pattern**: `", "`"))
	for _, username := range []string{"abc", "ab", "___", "a23456789012345678901234567890", "a234567890123456789012345678901", "é_é_é", "a.b.c"} {
		if answer := check(username); (answer.Status == http.StatusOK) != pattern.MatchString(username) {
			t.Errorf("%q: %s", username, answer)
		}
	}
	for name, shown := range map[string]string{"  John  ": "John", strings.Repeat("n", 29): strings.Repeat("n", 29), strings.Repeat("é", 29): strings.Repeat("é", 29)} {
		if u := want(t, http.StatusOK)(j.john.Update(t.Context(), map[string]string{"name": name})).User; u.Name != shown {
			t.Errorf("name %q is %q", name, u.Name)
		}
	}
}

// common provokes what no endpoint's own list has.
func (j *john) common() {
	t := j.t
	t.Helper()
	statuses := readErrors(part(t, j.text, "**Common HTTP Status Codes:**", "---"))
	if len(statuses) != 6 {
		t.Errorf("common statuses are %q", statuses)
	}
	conflict := j.expect(http.StatusConflict, "Username already exists")
	conflict(j.Client().Register(t.Context(), kithtest.Registration{Username: "JohnDoe", Name: "Another", Password: password}))
}

// limited asks for availability until that is refused, as the document recommends.
func (j *john) limited() {
	j.t.Helper()
	for range availabilityLimit + 10 { // some come back meanwhile
		answer, err := j.Client().Get(j.t.Context(), "/users/availability/johndoe")
		if err != nil {
			j.t.Fatal(err)
		}
		if answer.Status == http.StatusTooManyRequests {
			j.expect(http.StatusTooManyRequests, "")(answer, nil)
			if answer.Header.Get("Retry-After") == "" {
				j.t.Errorf("refused without saying for how long: %v", answer.Header)
			}
			return
		}
	}
	j.t.Error("availability is not limited")
}
