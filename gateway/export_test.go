package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"kith/actors/user"
	"kith/persistence"
)

// ParseBody is parseBody.
func ParseBody(b []byte, into any) error { return parseBody(b, into) }

// SealSearch and OpenSearch are the cursors of hits.
func SealSearch(secret []byte, list string, owner user.ID, at persistence.SearchCursor) string {
	return newCursors(secret).sealSearch(list, owner, at)
}

// OpenSearch opens what SealSearch sealed.
func OpenSearch(secret []byte, list string, owner user.ID, cursor string) (persistence.SearchCursor, error) {
	return newCursors(secret).openSearch(list, owner, cursor)
}

// SealSeq and OpenSeq are the cursors of journals.
func SealSeq(secret []byte, list string, owner user.ID, seq uint64) string {
	return newCursors(secret).sealSeq(list, owner, seq)
}

// OpenSeq opens what SealSeq sealed.
func OpenSeq(secret []byte, list string, owner user.ID, cursor string) (uint64, error) {
	return newCursors(secret).openSeq(list, owner, cursor)
}

// SealFeed and OpenFeed are the cursors of feeds.
func SealFeed(secret []byte, owner user.ID, at persistence.FeedPlace) string {
	return newCursors(secret).sealFeed(owner, at)
}

// OpenFeed opens what SealFeed sealed.
func OpenFeed(secret []byte, owner user.ID, cursor string) (persistence.FeedPlace, error) {
	return newCursors(secret).openFeed(owner, cursor)
}

// Unchanged is unchanged.
func Unchanged(headers []string, tag string) bool { return unchanged(headers, tag) }

// PrefersProblem is prefersProblem.
func PrefersProblem(accept []string) bool { return prefersProblem(accept) }

// FieldOf returns the field that a refusal is about.
func FieldOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.field
	}
	return ""
}

// Routes returns every route that is answered, as "METHOD path".
func (s *Server) Routes() ([]string, error) {
	var routes []string
	err := chi.Walk(s.router, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes = append(routes, method+" "+path)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk the routes: %w", err)
	}
	return routes, nil
}

// EachOperation is eachOperation.
func EachOperation(doc *huma.OpenAPI, f func(method, path string, op *huma.Operation)) {
	eachOperation(doc, f)
}

// ParseRecord is parseRecord.
func ParseRecord(raw []byte) (single bool, batch int, err error) {
	one, many, err := parseRecord(raw)
	return one != nil, len(many), err
}

// ParseEvent reads an event of a batch.
func (s *Server) ParseEvent(raw []byte) (user.Activity, error) {
	return s.parseRaw(json.RawMessage(raw), s.cfg.Now())
}

// ParseRoster is parseRoster.
func ParseRoster(raw string) (limit, offset int, seed string, err error) {
	a, err := parseRoster(raw)
	if err != nil {
		return 0, 0, "", err
	}
	return a.Limit, a.Offset, a.Seed, nil
}

// DocsPage is the page at /docs.
func DocsPage() string { return docsPage }

// Learn reads the list of ended sessions, as the first request does.
func (s *Server) Learn(ctx context.Context) error {
	_, err := s.ended.Has(ctx, [16]byte{})
	return err
}
