package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/gateway"
)

func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	routes, err := w.server.Routes()
	if err != nil {
		t.Fatal(err)
	}
	// What describes, and names of nothing.
	described := []string{
		"GET /openapi.json", "GET /asyncapi.json", "GET /docs", "GET /users/availability/", "GET /users/", "DELETE /users/", "PUT /users/self/following/", "DELETE /users/self/following/",
	}
	ids := map[string]bool{}
	gateway.EachOperation(w.server.OpenAPI(), func(method, path string, op *huma.Operation) {
		described = append(described, method+" "+path)
		if op.OperationID == "" || ids[op.OperationID] {
			t.Errorf("%s %s: operation id %q", method, path, op.OperationID)
		}
		ids[op.OperationID] = true
	})
	slices.Sort(routes)
	slices.Sort(described)
	if !slices.Equal(routes, described) {
		t.Errorf("routes    %q\ndescribed %q", routes, described)
	}
}

func TestEveryRouteIsDescribedWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doc := w.server.OpenAPI()
	var tags []string
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
	}
	gateway.EachOperation(doc, func(method, path string, op *huma.Operation) {
		name := method + " " + path
		if op.Summary == "" || len(op.Tags) != 1 || !slices.Contains(tags, op.Tags[0]) {
			t.Errorf("%s: summary %q, tags %q", name, op.Summary, op.Tags)
		}
		if op.Deprecated != (name == "GET /users/self") {
			t.Errorf("%s: deprecated is %v", name, op.Deprecated)
		}
		if r := op.Responses["200"]; method == http.MethodGet && r.Content["application/json"] != nil && r.Headers["ETag"] == nil {
			t.Errorf("%s has no ETag", name)
		}
		for _, p := range op.Parameters {
			if p.Description == "" {
				t.Errorf("%s: parameter %s has no description", name, p.Name)
			}
			if p.In == "path" && len(p.Schema.Examples) == 0 && p.Example == nil {
				t.Errorf("%s: parameter %s has no example", name, p.Name)
			}
		}
		for _, status := range wantStatuses(method, op) {
			if op.Responses[status] == nil {
				t.Errorf("%s does not say that it may answer %s", name, status)
			}
		}
		if (method == http.MethodPost || method == http.MethodPatch) != (op.RequestBody != nil) && method != http.MethodPut && op.OperationID != "logout" {
			t.Errorf("%s: body %v", name, op.RequestBody)
		}
		if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
			hasExamples(t, name+", the body", doc, op.RequestBody.Content["application/json"])
		}
		if method == http.MethodPatch {
			hasExamples(t, name+", the body", doc, op.RequestBody.Content["application/merge-patch+json"])
		}
		for status, r := range op.Responses {
			hasAnswer(t, name+" "+status, doc, status, r)
		}
	})
}

// wantStatuses are the statuses that an operation must have, by what it is.
func wantStatuses(method string, op *huma.Operation) []string {
	want := []string{"413", "500", "503"}
	if len(op.Security) > 0 {
		want = append(want, "401")
	}
	if op.RequestBody != nil && op.RequestBody.Content["application/json"] != nil {
		want = append(want, "400", "408", "415")
	}
	if method == http.MethodGet && op.Responses["200"] != nil && op.Responses["200"].Headers["ETag"] != nil {
		want = append(want, "304")
	}
	for _, p := range op.Parameters {
		switch p.Name {
		case "username":
			want = append(want, "400")
			if p.In == "path" && op.OperationID != "check-availability" {
				want = append(want, "404")
			}
		case "limit", "cursor", "seed", "q", "id", "event_id", "type":
			want = append(want, "400")
		}
	}
	return want
}

func hasAnswer(t *testing.T, name string, doc *huma.OpenAPI, status string, r *huma.Response) {
	t.Helper()
	code, err := strconv.Atoi(status)
	switch {
	case err != nil || r.Description == "":
		t.Errorf("%s: description %q", name, r.Description)
	case code == http.StatusNotModified:
		if len(r.Content) > 0 {
			t.Errorf("%s has content", name)
		}
	case code < 400 && r.Content["application/json"] == nil:
		if r.Content["image/png"] == nil {
			t.Errorf("%s has no content", name)
		}
	case code < 400:
		for _, value := range hasExamples(t, name, doc, r.Content["application/json"]) {
			if value["status"] != "success" {
				t.Errorf("%s: %v", name, value)
			}
		}
	default:
		for _, value := range hasExamples(t, name, doc, r.Content["application/json"]) {
			if value["status"] != "error" || value["message"] == "" || value["code"] == "" || value["request_id"] == "" {
				t.Errorf("%s: %v", name, value)
			}
		}
		for _, value := range hasExamples(t, name, doc, r.Content["application/problem+json"]) {
			if value["status"] != float64(code) || value["detail"] == "" {
				t.Errorf("%s: %v", name, value)
			}
		}
	}
}

// hasExamples checks that there are examples and that they are what the schema
// says, and returns them.
func hasExamples(t *testing.T, name string, doc *huma.OpenAPI, media *huma.MediaType) (values []map[string]any) {
	t.Helper()
	if media == nil || len(media.Examples) == 0 {
		t.Errorf("%s has no example", name)
		return nil
	}
	for title, e := range media.Examples {
		b, err := json.Marshal(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		if err := json.Unmarshal(b, &value); err != nil {
			t.Errorf("%s, %s: %v", name, title, err)
			continue
		}
		mode, result := huma.ModeReadFromServer, &huma.ValidateResult{}
		if strings.HasSuffix(name, "the body") {
			mode = huma.ModeWriteToServer
		}
		huma.Validate(doc.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), mode, value, result)
		for _, err := range result.Errors {
			t.Errorf("%s, %s: %v", name, title, err)
		}
		values = append(values, value)
	}
	return values
}

func TestTheDescriptionIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.get(t, "", "/openapi.json")
	b, err := json.Marshal(w.server.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != 200 || got.Header().Get("Content-Type") != "application/json" || got.Body.String() != string(b) {
		t.Errorf("%d %s", got.Code, got.Header())
	}
	if version, _ := got.body["openapi"].(string); !strings.HasPrefix(version, "3.1") {
		t.Errorf("version %q", version)
	}
	for _, never := range []string{"$schema", "schemas/Encoded", "TaggedOutput"} {
		if strings.Contains(string(b), never) {
			t.Errorf("the description mentions %s", never)
		}
	}
	again := w.call(t, call{method: http.MethodGet, path: "/openapi.json", header: []string{"If-None-Match", got.Header().Get("ETag")}})
	if again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("%d, %d bytes", again.Code, again.Body.Len())
	}
	properties := w.server.OpenAPI().Components.Schemas.SchemaFromRef("#/components/schemas/Error").Properties
	for _, property := range []string{"status", "message", "code", "request_id", "field", "detail"} {
		if properties[property] == nil {
			t.Errorf("the schema of errors has no %s", property)
		}
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.raw(t, call{method: http.MethodGet, path: "/docs"})
	policy := got.Header().Get("Content-Security-Policy")
	if got.Code != 200 || got.Header().Get("Content-Type") != "text/html; charset=utf-8" || got.Body.String() != gateway.DocsPage() {
		t.Errorf("%d %s", got.Code, got.Header())
	}
	for _, part := range []string{"default-src 'none';", "connect-src 'self';", "script-src 'sha256-", "style-src 'sha256-"} {
		if !strings.Contains(policy, part) {
			t.Errorf("policy %q has no %s", policy, part)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=") { // of nothing
		t.Errorf("policy %q", policy)
	}
	for _, never := range []string{"http://", "https://", "src=", " url(", ":url(", "@import", "innerHTML", "<link", " style="} {
		if strings.Contains(got.Body.String(), never) {
			t.Errorf("the page has %s", never)
		}
	}
	if again := w.raw(t, call{method: http.MethodGet, path: "/docs", header: []string{"If-None-Match", got.Header().Get("ETag")}}); again.Code != 304 {
		t.Errorf("answered %d", again.Code)
	}
}

// Every route that needs a token refuses who has none, and tells whose user is
// gone so: 404 where it is about them, 401 elsewhere.
func TestEveryRouteKnowsWhoSendsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := w.join(t, "alice")
	w.join(t, "bob")
	w.do(t, "alice", user.Delete{At: w.clock()})
	fill := strings.NewReplacer("{username}", "bob", "{id}", "1", "{event_id}", "e", "{file}", "x")
	gateway.EachOperation(w.server.OpenAPI(), func(method, path string, op *huma.Operation) {
		if len(op.Security) == 0 {
			return
		}
		c := call{method: method, path: fill.Replace(path)}
		switch op.OperationID {
		case "logout", "create-user":
			return // are not about a user who exists
		case "search-users":
			c.path += "?q=a"
		case "list-relationships":
			c.path += "?username=bob"
		}
		if op.OperationID == "upload-photo" && op.Responses["404"] != nil {
			t.Error("an upload may be not found")
		}
		if op.RequestBody != nil {
			for _, e := range op.RequestBody.Content["application/json"].Examples {
				body, err := json.Marshal(e.Value)
				if err != nil {
					t.Fatal(err)
				}
				c.body = string(body)
			}
		}
		w.call(t, c).refused(t, 401, "unauthorized", "Missing or invalid authentication token")
		c.token = gone
		got := w.call(t, c)
		if strings.Contains(path, "/self") || op.OperationID == "delete-user" {
			got.refused(t, 404, "user_not_found", "User not found")
		} else {
			got.refused(t, 401, "unauthorized", "Missing or invalid authentication token")
		}
	})
}
