package opensearch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"

	"kith/actors/user"
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

// bulk is a request in the making.
type bulk struct {
	lines []any
	about []step // of each operation, in order
}

// step is what an operation is about.
type step struct {
	id user.ID
	target
}

// put adds a document to a target. One who is gone is removed in two steps: engines
// make an index by themselves when the first that they hear of it is a removal, and
// hold to it that there must be an alias when they are to store something there. What
// is stored is empty, and found by nobody.
func (b *bulk) put(d *persistence.SearchDocument, doc *document, t target) {
	about := step{d.ID, t}
	op := operation{Index: t.alias, ID: strconv.FormatUint(uint64(d.ID), 10), Version: d.Version, VersionType: "external"}
	if !d.Gone {
		b.lines, b.about = append(b.lines, map[string]operation{"index": op}, doc), append(b.about, about)
		return
	}
	before := op
	before.Version = max(1, d.Version-1)
	b.lines = append(b.lines, map[string]operation{"index": before}, object{}, map[string]operation{"delete": op})
	b.about = append(b.about, about, about)
}

// store stores documents in all targets at once.
func (e *Engine) store(ctx context.Context, docs []persistence.SearchDocument, targets ...target) ([]persistence.RefusedDocument, error) {
	if len(docs) == 0 {
		return nil, nil
	}
	var b bulk
	for i := range docs {
		doc := documentOf(&docs[i])
		for _, t := range targets {
			b.put(&docs[i], &doc, t)
		}
	}
	body, err := jsonBody(b.lines...)
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
	if len(answer.Items) != len(b.about) {
		return nil, errAnswer
	}
	return e.judge(b.about, answer.Items)
}

// judge says what became of documents.
func (e *Engine) judge(about []step, items []map[string]item) (refused []persistence.RefusedDocument, err error) {
	for i, named := range items {
		for _, it := range named { // the one that there is
			switch {
			case it.Error == nil, it.Status == http.StatusConflict: // it has one as new
			case it.Error.Type == kindNoIndex && about[i].optional:
			case strings.HasSuffix(it.Error.Type, "parsing_exception") || it.Error.Type == "strict_dynamic_mapping_exception":
				refused = append(refused, persistence.RefusedDocument{ID: about[i].id, Reason: it.Error.Type})
			case err == nil:
				err = fmt.Errorf("store in %s: %w", about[i].alias, &refusal{it.Status, it.Error.Type})
			}
		}
	}
	if err != nil && !errors.Is(err, persistence.ErrNoIndex) {
		e.metrics.failures.WithLabelValues(callIndex).Inc()
	}
	return refused, err
}
