package opensearch

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"

	"kith/persistence"
)

// document is a document as the engine has it, under the id of the user.
type document struct {
	UID            string   `json:"uid"`
	Username       string   `json:"username"`
	Name           string   `json:"name"`
	ProfilePicture string   `json:"profile_picture"`
	Prefixes       []string `json:"prefixes"` // what SearchQuery.Word is compared with
}

func documentOf(d *persistence.SearchDocument) document {
	return document{
		UID: d.UID.String(), Username: d.Username, Name: d.Name, ProfilePicture: d.ProfilePicture, Prefixes: persistence.SearchPrefixes(d.Name),
	}
}

// operation is the line of a bulk request that says what becomes of a document.
type operation struct {
	Index       string `json:"_index"`
	ID          string `json:"_id"`
	Version     uint64 `json:"version"`
	VersionType string `json:"version_type"`
}

// bulkAnswer is the answer to a bulk request: an item for each operation, in order.
type bulkAnswer struct {
	Items []map[string]item `json:"items"`
}

type item struct {
	Status int `json:"status"`
	Error  *struct {
		Type string `json:"type"`
	} `json:"error"`
}

// Index implements persistence.SearchIndex. Where an index is being built, it is told
// as well.
func (e *Engine) Index(ctx context.Context, docs []persistence.SearchDocument) ([]persistence.RefusedDocument, error) {
	return e.store(ctx, docs, target{alias: e.index}, target{alias: e.index + nextSuffix, optional: true})
}

// target is where documents go.
type target struct {
	alias    string
	optional bool // there may be no such alias
}

// store stores documents in all targets at once.
func (e *Engine) store(ctx context.Context, docs []persistence.SearchDocument, targets ...target) ([]persistence.RefusedDocument, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	lines := make([]any, 0, 2*len(targets)*len(docs))
	for i := range docs {
		d := &docs[i]
		doc := documentOf(d)
		for _, t := range targets {
			op := operation{Index: t.alias, ID: strconv.FormatUint(uint64(d.ID), 10), Version: d.Version, VersionType: "external"}
			if d.Gone {
				lines = append(lines, map[string]operation{"delete": op})
				continue
			}
			lines = append(lines, map[string]operation{"index": op}, &doc)
		}
	}
	body, err := jsonBody(lines...)
	if err != nil {
		return nil, err
	}
	yes := true
	answer, err := call[bulkAnswer](ctx, e, callIndex, http.MethodPost, opensearchapi.BulkReq{Body: body, Params: opensearchapi.BulkParams{
		RequireAlias: &yes, FilterPath: []string{"items.*.status", "items.*.error.type"},
	}})
	if err != nil {
		return nil, err
	}
	if len(answer.Items) != len(targets)*len(docs) {
		return nil, errAnswer
	}
	return e.judge(docs, targets, answer.Items)
}

// judge says what became of documents.
func (e *Engine) judge(docs []persistence.SearchDocument, targets []target, items []map[string]item) (refused []persistence.RefusedDocument, err error) {
	for i, named := range items {
		d, t := &docs[i/len(targets)], targets[i%len(targets)]
		for _, it := range named { // the one that there is
			switch {
			case it.Error == nil, it.Status == http.StatusConflict: // it has one as new
			case it.Error.Type == kindNoIndex && t.optional:
			case strings.HasSuffix(it.Error.Type, "parsing_exception") || it.Error.Type == "strict_dynamic_mapping_exception":
				refused = append(refused, persistence.RefusedDocument{ID: d.ID, Reason: it.Error.Type})
			case err == nil:
				err = fmt.Errorf("store in %s: %w", t.alias, &refusal{it.Status, it.Error.Type})
			}
		}
	}
	if err != nil {
		e.metrics.failures.WithLabelValues(callIndex).Inc()
	}
	return refused, err
}
