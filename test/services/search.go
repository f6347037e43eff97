package services

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kith/test/services/server"
)

// SearchVariable names an OpenSearch by its URL.
const SearchVariable = "KITH_TEST_SEARCH_URL"

// ownIndices begins the names of the indices of a search engine that is tested on.
const ownIndices = "kith-"

var (
	//nolint:gochecknoglobals // of the process, as the others are
	sharedSearch = oneByOne(server.KindSearch, SearchVariable, startEngine(server.KindSearch), forgetIndices)
	//nolint:gochecknoglobals // of the process, as the others are
	sharedElastic = oneByOne(server.KindElastic, "", startEngine(server.KindElastic), forgetIndices)
)

func startEngine(k server.Kind) func(*server.Yard) (string, error) {
	return func(y *server.Yard) (string, error) {
		s, err := y.Search(context.Background(), server.SearchConfig{Engine: k})
		if err != nil {
			return "", err
		}
		return s.URL(), nil
	}
}

// Search returns the URL of an OpenSearch that has no index of Kith, and which nobody
// else uses while the test runs: names of indices are the same for all. Tests that
// want one wait for each other; who also wants Kafka asks for that first, so that no
// two wait for each other for ever.
func Search(tb testing.TB) string {
	tb.Helper()
	return sharedSearch.take(tb)
}

// Elastic is Search with an Elasticsearch 7.10, the last that is free. Who wants both
// asks for the OpenSearch first.
func Elastic(tb testing.TB) string {
	tb.Helper()
	return sharedElastic.take(tb)
}

// forgetIndices deletes what tests before have left.
func forgetIndices(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	// By name, since a server may refuse to delete by pattern.
	names, err := server.AskSearch(ctx, http.MethodGet, at, "/_cat/indices/"+ownIndices+"*?h=index&expand_wildcards=all")
	if err != nil {
		return fmt.Errorf("services: list the indices of Kith: %w", err)
	}
	for name := range strings.FieldsSeq(string(names)) {
		if _, err := server.AskSearch(ctx, http.MethodDelete, at, "/"+url.PathEscape(name)); err != nil {
			return fmt.Errorf("services: delete an index: %w", err)
		}
	}
	return nil
}

// SearchConfig says how a search engine is to be. The zero value is an OpenSearch.
type SearchConfig = server.SearchConfig

// The search engines of a SearchConfig.
const (
	OpenSearch    = server.KindSearch
	Elasticsearch = server.KindElastic
)

// SearchServer is a search engine of one's own. What it acknowledged survives a
// SIGKILL.
type SearchServer struct {
	*server.Search

	tb testing.TB
}

// StartSearch starts a search engine that ends with the test.
func StartSearch(tb testing.TB, c SearchConfig) *SearchServer {
	tb.Helper()
	if c.Engine == "" {
		c.Engine = OpenSearch
	}
	_, err := server.Find(c.Engine)
	must(tb, c.Engine, err)
	y, err := yard()
	must(tb, c.Engine, err)
	s, err := y.Search(tb.Context(), c)
	must(tb, c.Engine, err)
	tb.Cleanup(func() { check(tb, s.Remove()) })
	return &SearchServer{s, tb}
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *SearchServer) Kill() {
	s.tb.Helper()
	check(s.tb, s.Search.Kill())
}

// Stop shuts the server down and waits until it is gone.
func (s *SearchServer) Stop() {
	s.tb.Helper()
	check(s.tb, s.Search.Stop())
}

// Start starts the server again, on the same port, and waits until it has its data.
func (s *SearchServer) Start() {
	s.tb.Helper()
	check(s.tb, s.Search.Start(s.tb.Context()))
}
