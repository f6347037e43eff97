package opensearch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"

	"kith/persistence"
)

// abandonTime bounds removing what was not finished: what is left is removed later.
const abandonTime = 3 * time.Second

// acknowledged is the answer to what changes the cluster; false: not all nodes know.
type acknowledged struct {
	Acknowledged bool `json:"acknowledged"`
}

func (a acknowledged) check(err error) error {
	if err == nil && !a.Acknowledged {
		return &refusal{http.StatusServiceUnavailable, "not all nodes know of a change in time"}
	}
	return err
}

// HasIndex implements persistence.SearchIndex. An index of another schema is none, and
// several under the one alias are none, either.
func (e *Engine) HasIndex(ctx context.Context) (bool, error) {
	type described struct {
		Mappings struct {
			Meta struct {
				Schema int `json:"kith_schema"`
			} `json:"_meta"`
		} `json:"mappings"`
	}
	indexes, err := call[map[string]described](ctx, e, callProbe, http.MethodGet, opensearchapi.MappingGetReq{Indices: []string{e.index}})
	if errors.Is(err, persistence.ErrNoIndex) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("opensearch: look for %s: %w", e.index, err)
	}
	for _, i := range indexes {
		return len(indexes) == 1 && i.Mappings.Meta.Schema == schema, nil
	}
	return false, nil
}

// bearers returns the indexes that bear an alias, or that have it as their own name.
func (e *Engine) bearers(ctx context.Context, alias string) ([]string, error) {
	indexes, err := call[map[string]struct{}](ctx, e, callBuild, http.MethodGet, opensearchapi.AliasGetReq{Indices: []string{alias}})
	if errors.Is(err, persistence.ErrNoIndex) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", alias, err)
	}
	return slices.Collect(maps.Keys(indexes)), nil
}

// change makes changes to aliases and indexes, all at once.
func (e *Engine) change(ctx context.Context, actions ...object) error {
	body, err := jsonBody(object{"actions": actions})
	if err != nil {
		return err
	}
	a, err := call[acknowledged](ctx, e, callBuild, http.MethodPost, opensearchapi.AliasesReq{Body: body})
	return a.check(err)
}

func addAlias(index, alias string) object {
	return object{"add": object{"index": index, "alias": alias}}
}

func removeAlias(index, alias string) object {
	return object{"remove": object{"index": index, "alias": alias}}
}

func removeIndex(index string) object { return object{"remove_index": object{"index": index}} }

// Tidy implements persistence.SearchIndex.
func (e *Engine) Tidy(ctx context.Context) error {
	left, err := e.bearers(ctx, e.index+nextSuffix)
	if err != nil {
		return fmt.Errorf("opensearch: %w", err)
	}
	for _, index := range left {
		if err := e.change(ctx, removeIndex(index)); err != nil && !errors.Is(err, persistence.ErrNoIndex) {
			return fmt.Errorf("opensearch: remove %s: %w", index, err)
		}
	}
	return nil
}

// build is an index that is being built.
type build struct {
	e     *Engine
	index string
}

// Build implements persistence.SearchIndex.
func (e *Engine) Build(ctx context.Context) (_ persistence.SearchBuild, err error) {
	if err := e.Tidy(ctx); err != nil {
		return nil, err
	}
	b := &build{e, newIndex(e.index, e.now())}
	body, err := jsonBody(definition(e.index+nextSuffix, b.own()))
	if err != nil {
		return nil, err
	}
	a, err := call[acknowledged](ctx, e, callBuild, http.MethodPut, opensearchapi.IndicesCreateReq{Index: b.index, Body: body})
	if err = a.check(err); err != nil { // it may be there all the same
		return nil, errors.Join(fmt.Errorf("opensearch: make %s: %w", b.index, err), b.Abandon(ctx))
	}
	return b, nil
}

// own is an alias of this build alone, so that one that was given up writes nowhere.
func (b *build) own() string { return b.index + "-own" }

// Index implements persistence.SearchBuild.
func (b *build) Index(ctx context.Context, docs []persistence.SearchDocument) ([]persistence.RefusedDocument, error) {
	refused, err := b.e.store(ctx, docs, target{alias: b.own()})
	if errors.Is(err, persistence.ErrNoIndex) {
		err = fmt.Errorf("opensearch: store in %s: %w", b.index, persistence.ErrGivenUp)
	}
	return refused, err
}

// Switch implements persistence.SearchBuild.
func (b *build) Switch(ctx context.Context) error {
	used, err := b.e.bearers(ctx, b.e.index)
	if err != nil {
		return fmt.Errorf("opensearch: %w", err)
	}
	if slices.Contains(used, b.index) { // a try before has succeeded, unheard
		return nil
	}
	if err := b.show(ctx); err != nil {
		return err
	}
	actions := []object{removeAlias(b.index, b.e.index+nextSuffix), removeAlias(b.index, b.own()), addAlias(b.index, b.e.index)}
	for _, old := range used {
		actions = append(actions, removeIndex(old))
	}
	if err := b.e.change(ctx, actions...); err != nil {
		return fmt.Errorf("opensearch: switch to %s: %w", b.index, err)
	}
	return nil
}

// show has all that is stored found, and from now on soon.
func (b *build) show(ctx context.Context) error {
	body, err := jsonBody(shown())
	if err != nil {
		return err
	}
	a, err := call[acknowledged](ctx, b.e, callBuild, http.MethodPut, opensearchapi.SettingsPutReq{Indices: []string{b.index}, Body: body})
	if err = a.check(err); err == nil {
		_, err = call[struct{}](ctx, b.e, callBuild, http.MethodPost, opensearchapi.IndicesRefreshReq{Index: []string{b.index}})
	}
	if errors.Is(err, persistence.ErrNoIndex) {
		err = persistence.ErrGivenUp
	}
	if err != nil {
		return fmt.Errorf("opensearch: show what is in %s: %w", b.index, err)
	}
	return nil
}

// Abandon implements persistence.SearchBuild. An index that is in use by now, because
// a switch has succeeded unheard, stays.
func (b *build) Abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	used, err := b.e.bearers(ctx, b.e.index)
	if err != nil {
		return fmt.Errorf("opensearch: %w", err)
	}
	if slices.Contains(used, b.index) {
		return nil
	}
	if err := b.e.change(ctx, removeIndex(b.index)); err != nil && !errors.Is(err, persistence.ErrNoIndex) {
		return fmt.Errorf("opensearch: remove %s: %w", b.index, err)
	}
	return nil
}
