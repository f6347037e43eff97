package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence/opensearch"
	"kith/streams/index"
)

// searchSettings say where users are searched for.
type searchSettings struct {
	SearchURL secret `name:"search-url" env:"KITH_SEARCH_URL" placeholder:"URL" help:"OpenSearch, or Elasticsearch 7.10, to search users in, such as https://kith:password@search.example.com:9200; ?index=NAME names its index. Default: the database's own index."`
}

func (s *searchSettings) check() error {
	if s.SearchURL == "" {
		return nil
	}
	if err := opensearch.CheckURL(string(s.SearchURL)); err != nil {
		return badSetting("KITH_SEARCH_URL", masked(string(s.SearchURL)), err.Error())
	}
	return nil
}

// engine opens the search engine, nil when there is none. One that is away is no error.
func (s *searchSettings) engine(logger *slog.Logger, registry prometheus.Registerer) (*opensearch.Engine, error) {
	if s.SearchURL == "" {
		return nil, nil //nolint:nilnil // as said
	}
	engine, err := opensearch.New(opensearch.Config{URL: string(s.SearchURL), Logger: logger, Registerer: registry})
	if err != nil {
		return nil, fmt.Errorf("open the search engine (KITH_SEARCH_URL=%s): %w", masked(string(s.SearchURL)), err)
	}
	return engine, nil
}

// search makes what answers searches: the database, or a search engine and what keeps
// it up to date.
func (v *server) search(context.Context) error {
	v.searches = v.db
	engine, err := v.settings.engine(v.logger, v.registry)
	if err != nil || engine == nil {
		return err
	}
	v.closing(engine.Close)
	v.add("search engine", engine.Run)
	v.indexes = index.NewBuilder(v.db, engine, v.logger)
	tail, err := index.New(index.Config{
		Store: v.db, Lanes: v.db, Committer: v.committer, Engine: engine, Builder: v.indexes, Logger: v.logger, Registerer: v.registry,
	})
	if err != nil {
		return fmt.Errorf("make the index tail: %w", err)
	}
	v.add("index tail", tail.Run)
	stale := func() bool { return tail.Health() != nil }
	v.searches = opensearch.NewFallback(engine, v.db, stale)
	v.degraded = append(v.degraded, func() string {
		if engine.Away() || stale() {
			return "search"
		}
		return ""
	})
	v.shown = append(v.shown, "search", masked(string(v.settings.SearchURL)))
	return nil
}
