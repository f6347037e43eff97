package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"kith/gateway/limits"
)

// route is one operation of the API. Its OpenAPI description is made from it and
// from the types of its handler.
type route struct {
	method  string
	path    string
	id      string // operationId
	tag     string
	summary string
	// description says what the summary and the types do not.
	description string
	status      int // of success; 0 means 200
	public      bool
	deprecated  bool
	hidden      bool // not described
	// also are statuses of success beside status.
	also []int
	// errors are the statuses that this route refuses with, beside those that
	// every route of its kind may answer.
	errors []int
	// maxBody bounds the body in bytes; 0 means maxBody.
	maxBody int64
	// optionalBody says that no body is an empty object.
	optionalBody bool
	// readsBody says that the handler bounds its body; of other routes nobody reads
	// it.
	readsBody bool
}

// handle adds a route whose handler reads no body. I holds its parameters, all
// strings: what they must be is for the handler to say, in the words of the API.
func handle[I, O any](s *Server, rt route, h func(context.Context, *I) (*O, error)) {
	if rt.status == 0 {
		rt.status = http.StatusOK
	}
	op := s.operation(rt)
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return out, nil
	})
	// huma describes one success; others have the same body.
	described := describe(s.api.OpenAPI(), rt)
	s.describeLimits(rt, described)
	for _, status := range rt.also {
		if status != http.StatusNotModified {
			described.Responses[strconv.Itoa(status)].Content = described.Responses[strconv.Itoa(op.DefaultStatus)].Content
		}
	}
}

// handleBody adds a route whose handler reads a body B, a struct. See parseBody.
func handleBody[I, B, O any](s *Server, rt route, h func(context.Context, *I, *B) (*O, error)) {
	rt.errors = append(rt.errors, http.StatusBadRequest, http.StatusRequestTimeout, http.StatusUnsupportedMediaType)
	rt.readsBody = true
	kinds := bodyTypes(rt.method)
	limit := rt.maxBody
	if limit == 0 {
		limit = maxBody
	}
	handle(s, rt, func(ctx context.Context, in *I) (*O, error) {
		var body B
		if err := readBody(exchangeOf(ctx).r, limit, rt.optionalBody, kinds, &body); err != nil {
			return nil, err
		}
		return h(ctx, in, &body)
	})
	// Described afterwards: huma reads the bodies that it knows of itself, twice,
	// and less strictly.
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[B](), true, rt.id)
	content := make(map[string]*huma.MediaType, len(kinds))
	for _, kind := range kinds {
		content[kind] = &huma.MediaType{Schema: schema}
	}
	describe(s.api.OpenAPI(), rt).RequestBody = &huma.RequestBody{Required: !rt.optionalBody, Content: content}
}

// handleStream adds a route whose handler writes its success by itself. What it
// answers is for its caller to describe.
func handleStream[I any](s *Server, rt route, h func(*exchange, *I) error) {
	if rt.status == 0 {
		rt.status = http.StatusOK
	}
	huma.Register(s.api, s.operation(rt), func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(huma.Context) {
			if err := h(exchangeOf(ctx), in); err != nil {
				s.refuse(ctx, err)
			}
		}}, nil
	})
}

func (s *Server) operation(rt route) huma.Operation {
	m := s.metrics.route(rt.path, rt.method)
	scope := s.scope(rt)
	op := huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: rt.id, Tags: []string{rt.tag},
		Summary: rt.summary, Description: rt.description, DefaultStatus: rt.status, Deprecated: rt.deprecated, Hidden: rt.hidden,
		SkipValidateParams: true, SkipValidateBody: true,
		Responses: s.responses(rt),
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			x := exchangeOf(ctx.Context())
			x.route = m
			if err := s.admit(x, scope, rt.public); err != nil {
				s.refuse(ctx.Context(), err)
				return
			}
			if !rt.readsBody && x.r.ContentLength > maxBody {
				s.refuse(ctx.Context(), errBodyTooLarge)
				return
			}
			next(ctx)
		}},
	}
	if !rt.public {
		op.Security = []map[string][]string{{securityScheme: {}}}
	}
	return op
}

const securityScheme = "token"

// responses describes every answer of a route but its first success, which huma
// describes from the handler's type.
func (s *Server) responses(rt route) map[string]*huma.Response {
	responses := map[string]*huma.Response{}
	for _, status := range rt.also {
		r := &huma.Response{Description: http.StatusText(status)}
		responses[strconv.Itoa(status)] = r
	}
	statuses := append([]int{http.StatusRequestEntityTooLarge, http.StatusInternalServerError, http.StatusServiceUnavailable}, rt.errors...)
	if !rt.public {
		statuses = append(statuses, http.StatusUnauthorized)
	}
	if s.scope(rt) != limits.None {
		statuses = append(statuses, http.StatusTooManyRequests)
	}
	schemas := s.api.OpenAPI().Components.Schemas
	envelope := schemas.Schema(reflect.TypeFor[failure](), true, "")
	problem := schemas.Schema(reflect.TypeFor[problem](), true, "")
	for _, status := range statuses {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{contentJSON: {Schema: envelope}, contentProblem: {Schema: problem}},
		}
	}
	return responses
}

// problem describes a failure as RFC 9457.
type problem struct {
	Type      string `json:"type" enum:"about:blank"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code" doc:"For programs: stable"`
	RequestID string `json:"request_id"`
	Field     string `json:"field,omitempty"`
}

// describe returns the description of a route that was added.
func describe(api *huma.OpenAPI, rt route) *huma.Operation {
	item := api.Paths[rt.path]
	switch rt.method {
	case http.MethodGet:
		return item.Get
	case http.MethodDelete:
		return item.Delete
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	}
	panic(fmt.Sprintf("gateway: %s %s: no such method", rt.method, rt.path))
}

// api is huma's API with our own way to write answers: always JSON, written by
// the answers themselves.
type api struct{ huma.API }

// Negotiate implements huma.API. There is one format; problem+json is for the
// failure to choose.
func (api) Negotiate(string) (string, error) { return contentJSON, nil }

// Transform implements huma.API.
func (api) Transform(_ huma.Context, _ string, v any) (any, error) { return v, nil }

// Marshal implements huma.API. Errors of the connection are not the handler's.
func (api) Marshal(w io.Writer, _ string, v any) error {
	if a, ok := v.(answer); ok {
		writeJSON(w, a)
		return nil
	}
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, _ = w.Write(append(b, '\n'))
	return nil
}

// newAPI makes huma's API on a router. Nothing is added to answers, and the
// description is not served by huma itself.
func newAPI(router chi.Router, version string) api {
	replaceErrors()
	cfg := huma.DefaultConfig("Kith", version)
	cfg.CreateHooks = nil // they would add $schema to every answer
	cfg.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	// Unknown fields are ignored, on both sides.
	cfg.AllowAdditionalPropertiesByDefault = true
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	cfg.Formats = map[string]huma.Format{contentJSON: huma.DefaultJSONFormat}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		securityScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
	}
	return api{humachi.New(router, cfg)}
}

// schemaName names the types that many routes share as the API does.
func schemaName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[userObject]():
		return "User"
	case reflect.TypeFor[failure](), reflect.TypeFor[*failure]():
		return "Error"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// replaceErrors makes huma's own errors ours. They are variables of the library,
// the same for all servers of the process.
var replaceErrors = sync.OnceFunc(func() { //nolint:gochecknoglobals // what it guards is global
	huma.NewError = func(status int, _ string, errs ...error) huma.StatusError {
		r := refusalOfHuma(status, errs)
		return &failure{Status: "error", Message: r.message, Code: r.code, Field: r.field, refusal: r}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, _ string, errs ...error) huma.StatusError {
		return newFailure(exchangeOf(ctx.Context()), refusalOfHuma(status, errs))
	}
})

// refusalOfHuma says in our words what huma refuses: with the routes of this
// package, a parameter that is not of its type.
func refusalOfHuma(status int, errs []error) *refusal {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return errBodyTooLarge
	case status == http.StatusRequestTimeout:
		return errTimeout
	case status == http.StatusUnsupportedMediaType:
		return errMediaType
	case status >= http.StatusInternalServerError:
		return errInternal
	}
	r := &refusal{status: http.StatusBadRequest, code: "invalid_request", message: "Invalid request"}
	for _, err := range errs {
		if d, ok := err.(huma.ErrorDetailer); ok {
			if _, field, found := strings.Cut(d.ErrorDetail().Location, "."); found {
				r.code, r.message, r.field = "invalid_"+codeOf(field), "Invalid "+field, field
				break
			}
		}
	}
	return r
}
