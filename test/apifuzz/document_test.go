package apifuzz_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// document is what is read of /openapi.json.
type document struct {
	Paths      map[string]map[string]*operation `json:"paths"`
	Components struct {
		Schemas map[string]*schema `json:"schemas"`
	} `json:"components"`

	operations []*operation // in the order of their ids
}

type operation struct {
	ID          string                `json:"operationId"`
	Parameters  []parameter           `json:"parameters"`
	RequestBody *body                 `json:"requestBody"`
	Responses   map[string]*response  `json:"responses"`
	Security    []map[string][]string `json:"security"`

	method, path string
}

type parameter struct {
	Name     string  `json:"name"`
	In       string  `json:"in"`
	Required bool    `json:"required"`
	Schema   *schema `json:"schema"`
}

type body struct {
	Required bool             `json:"required"`
	Content  map[string]media `json:"content"`
}

type response struct {
	Content map[string]media `json:"content"`
	Headers map[string]any   `json:"headers"`
}

type media struct {
	Schema *schema `json:"schema"`
}

// describe reads the description that a server gives of itself.
func describe(t *testing.T, s *kithtest.Server) *document {
	t.Helper()
	a, err := s.Client().Get(t.Context(), "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	d := &document{}
	if err := json.Unmarshal(a.Body, d); err != nil {
		t.Fatalf("the description cannot be read: %v", err)
	}
	for path, methods := range d.Paths {
		for method, o := range methods {
			o.method, o.path = strings.ToUpper(method), path
			d.operations = append(d.operations, o)
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.ID, b.ID) })
	if len(d.operations) == 0 {
		t.Fatal("the description has no operations")
	}
	return d
}

func (d *document) operation(t *testing.T, id string) *operation {
	t.Helper()
	for _, o := range d.operations {
		if o.ID == id {
			return o
		}
	}
	t.Fatalf("there is no operation %s", id)
	return nil
}

// public reports whether an operation needs no token.
func (o *operation) public() bool { return len(o.Security) == 0 }

// json returns the schema of the JSON body, nil when there is none.
func (o *operation) json() *schema {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Content[contentJSON].Schema
}

// documents reports whether a status is one of the operation's.
func (o *operation) documents(status string) bool { return o.Responses[status] != nil }

func (o *operation) statuses() []string { return slices.Sorted(maps.Keys(o.Responses)) }

// match returns the operation that a request target belongs to, nil when it is not
// certain to belong to one. Fixed parts of a path win over parameters.
func (d *document) match(method, target string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ := strings.Cut(target, "?")
	parts := strings.Split(path, "/")
	var best *operation
	fixed := -1
	for _, o := range d.operations {
		if o.method != method {
			continue
		}
		if n := fits(parts, strings.Split(o.path, "/")); n > fixed {
			best, fixed = o, n
		}
	}
	return best
}

// fits returns how many parts of a path are the fixed ones of a template, -1 when
// it is not of the template.
func fits(parts, template []string) int {
	if len(parts) != len(template) {
		return -1
	}
	fixed := 0
	for i, part := range template {
		text, err := url.PathUnescape(parts[i])
		switch {
		case err != nil:
			return -1
		case strings.HasPrefix(part, "{"):
			if text == "" {
				return -1
			}
		case part != parts[i]:
			return -1
		default:
			fixed++
		}
	}
	return fixed
}
