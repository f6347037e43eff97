package apifuzz_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	contentJSON    = "application/json"
	contentProblem = "application/problem+json"
)

// judge returns what is wrong with an answer, "" when nothing is.
func (d *document) judge(r *request, a *answer) string {
	if !r.wellFormed() && a.header.Get("X-Request-Id") == "" {
		// It never was a request: net/http says so itself, in its own words.
		if a.status < http.StatusBadRequest || a.status >= http.StatusInternalServerError && a.status != http.StatusHTTPVersionNotSupported {
			return "what is not HTTP is not refused"
		}
		return ""
	}
	status := strconv.Itoa(a.status)
	switch {
	case a.status >= http.StatusInternalServerError && a.status != http.StatusServiceUnavailable:
		return "a fault of the server"
	case r.operation != nil && !r.operation.documents(status):
		return "the status is not documented: " + strings.Join(r.operation.statuses(), ", ")
	case r.expect.refused && (a.status < http.StatusBadRequest):
		return "it is accepted"
	case r.expect.accepted && slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}, a.status):
		return "it is refused, though it is as documented"
	case len(r.expect.statuses) > 0 && !slices.Contains(r.expect.statuses, a.status):
		return fmt.Sprintf("the status must be one of %v", r.expect.statuses)
	}
	if wrong := judgeHeaders(r, a); wrong != "" {
		return wrong
	}
	return d.judgeBody(r, a, status)
}

// judgeHeaders looks at the headers that a status promises.
func judgeHeaders(r *request, a *answer) string {
	needed := []string{"X-Request-Id"}
	switch a.status {
	case http.StatusMethodNotAllowed:
		needed = append(needed, "Allow")
	case http.StatusUnauthorized:
		needed = append(needed, "Www-Authenticate")
	case http.StatusTooManyRequests:
		needed = append(needed, "Retry-After")
	case http.StatusServiceUnavailable:
		needed = append(needed, "Retry-After")
	}
	if r.operation != nil {
		for name := range r.operation.Responses[strconv.Itoa(a.status)].Headers {
			if name != "Link" || r.operation.ID == "get-self" { // else it leads to a next page, which there need not be
				needed = append(needed, name)
			}
		}
	}
	for _, name := range needed {
		if values := a.header.Values(name); len(values) != 1 || values[0] == "" {
			return fmt.Sprintf("header %s is %q", name, values)
		}
	}
	for _, name := range []string{"Retry-After", "X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
		if v := a.header.Get(name); v != "" {
			if n, err := strconv.Atoi(v); err != nil || n < 0 {
				return fmt.Sprintf("header %s is %q", name, v)
			}
		}
	}
	for method := range strings.SplitSeq(a.header.Get("Allow"), ", ") {
		if a.status == http.StatusMethodNotAllowed && method == r.method {
			return "the method that is not allowed is"
		}
	}
	return ""
}

func (d *document) judgeBody(r *request, a *answer, status string) string {
	if r.method == http.MethodHead || a.status == http.StatusNotModified {
		if len(a.body) > 0 {
			return "it has a body"
		}
		return ""
	}
	kind, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return "Content-Type: " + err.Error()
	}
	if a.status >= http.StatusBadRequest {
		if wrong := judgeRefusal(r, a, kind); wrong != "" {
			return wrong
		}
	}
	if r.operation == nil {
		return ""
	}
	content, ok := r.operation.Responses[status].Content[kind]
	switch {
	case !ok:
		return "the content type is not documented: " + kind
	case !strings.HasSuffix(kind, "json"):
		return ""
	}
	if wrong := d.checkJSON(content.Schema, a.body); wrong != "" {
		return "the body is not as documented: " + wrong
	}
	return ""
}

// judgeRefusal wants the envelope, or RFC 9457 where it was asked for.
func judgeRefusal(r *request, a *answer, kind string) string {
	want := contentJSON
	if r.problem() {
		want = contentProblem
	}
	if kind != want {
		return fmt.Sprintf("the content type is %s, want %s", kind, want)
	}
	var e struct {
		Status    any    `json:"status"`
		Type      string `json:"type"`
		Detail    string `json:"detail"`
		Message   string `json:"message"`
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &e); err != nil {
		return "no envelope: " + err.Error()
	}
	switch {
	case want == contentJSON && (e.Status != "error" || e.Message == ""):
		return "not the envelope of an error"
	case want == contentProblem && (e.Status != float64(a.status) || e.Type == "" || e.Detail == ""):
		return "not a problem of RFC 9457"
	case e.Code == "" || e.RequestID == "" || e.RequestID != a.header.Get("X-Request-Id"):
		return "no code, or not the id of the request"
	}
	return ""
}
