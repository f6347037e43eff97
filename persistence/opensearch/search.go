package opensearch

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"

	"kith/actors/user"
	"kith/persistence"
)

// afterAll is above whatever follows a prefix in a username, which is made of a to z,
// digits and underscores.
const afterAll = "{"

// maxUsername is longer than usernames are.
const maxUsername = 64

// Search implements persistence.Search. Both lists are asked for in one request: those
// whose username begins so, which are a range, and those of whom a word of the name
// does and who are not in that range. Each is in the order of the index.
func (e *Engine) Search(ctx context.Context, q persistence.SearchQuery, after persistence.SearchCursor, limit int) ([]persistence.SearchHit, error) {
	if limit <= 0 {
		return nil, nil
	}
	if len(q.Username) > maxUsername {
		q.Username = "" // nobody's begins so, and an engine may refuse to look for it
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	var (
		searches []object
		byName   []bool
	)
	if q.Username != "" && !after.ByName {
		searches, byName = append(searches, byUsername(q.Username, after.Username, limit)), append(byName, false)
	}
	if q.Word != "" {
		above := ""
		if after.ByName {
			above = after.Username
		}
		searches, byName = append(searches, byWord(q, above, limit)), append(byName, true)
	}
	if len(searches) == 0 {
		return nil, nil
	}
	lists, err := e.ask(ctx, callSearch, searches)
	if err != nil {
		return nil, fmt.Errorf("opensearch: search: %w", err)
	}
	var hits []persistence.SearchHit
	for i, list := range lists {
		for _, f := range list {
			hits = append(hits, persistence.SearchHit{ID: f.id, At: persistence.SearchCursor{ByName: byName[i], Username: f.username}})
		}
	}
	return hits[:min(len(hits), limit)], nil
}

// byUsername asks for usernames that begin so, above one.
func byUsername(prefix, above string, limit int) object {
	bounds := object{"gte": prefix, "lt": prefix + afterAll}
	if above >= prefix {
		bounds = object{"gt": above, "lt": prefix + afterAll}
	}
	return sorted(limit, object{"filter": []object{{"range": object{"username": bounds}}}})
}

// byWord asks for names of which a word begins so, and usernames do not, above one.
func byWord(q persistence.SearchQuery, above string, limit int) object {
	conditions := object{}
	filter := []object{{"term": object{"prefixes": q.Word}}}
	if above != "" {
		filter = append(filter, object{"range": object{"username": object{"gt": above}}})
	}
	conditions["filter"] = filter
	if q.Username != "" {
		conditions["must_not"] = []object{{"range": object{"username": object{"gte": q.Username, "lt": q.Username + afterAll}}}}
	}
	return sorted(limit, conditions)
}

// sorted asks for the first in the order of the index, and for nothing else of them.
func sorted(limit int, conditions object) object {
	return object{
		"query": object{"bool": conditions}, "sort": []string{"username"}, "size": limit,
		"track_total_hits": false, "_source": false,
	}
}

// found is a user in a list.
type found struct {
	id       user.ID
	username string
}

// listsAnswer is the answer to several searches.
type listsAnswer struct {
	Responses []struct {
		Status int `json:"status"`
		Error  struct {
			Type string `json:"type"`
		} `json:"error"`
		TimedOut bool `json:"timed_out"`
		Shards   struct {
			Failed int `json:"failed"`
		} `json:"_shards"`
		Hits struct {
			Hits []struct {
				ID   string   `json:"_id"`
				Sort []string `json:"sort"`
			} `json:"hits"`
		} `json:"hits"`
	} `json:"responses"`
}

// ask does searches in one request and returns what each found. A list of which a
// part is missing is an error: others could find the rest.
func (e *Engine) ask(ctx context.Context, name string, searches []object) ([][]found, error) {
	lines := make([]any, 0, 2*len(searches))
	for _, s := range searches {
		lines = append(lines, object{}, s)
	}
	body, err := jsonBody(lines...)
	if err != nil {
		return nil, err
	}
	answer, err := call[listsAnswer](ctx, e, name, http.MethodPost, opensearchapi.MSearchReq{Indices: []string{e.index}, Body: body, Params: opensearchapi.MSearchParams{
		FilterPath: []string{"responses.status", "responses.error.type", "responses.timed_out", "responses._shards.failed", "responses.hits.hits._id", "responses.hits.hits.sort"},
	}})
	if err != nil {
		return nil, err
	}
	if len(answer.Responses) != len(searches) {
		return nil, errAnswer
	}
	lists := make([][]found, len(searches))
	for i, r := range answer.Responses {
		switch {
		case r.Status != http.StatusOK:
			return nil, &refusal{r.Status, r.Error.Type}
		case r.TimedOut, r.Shards.Failed > 0:
			return nil, &refusal{http.StatusServiceUnavailable, "part of the index did not answer"}
		}
		for _, h := range r.Hits.Hits {
			id, err := strconv.ParseUint(h.ID, 10, 64)
			if err != nil || len(h.Sort) != 1 {
				return nil, errAnswer
			}
			lists[i] = append(lists[i], found{user.ID(id), h.Sort[0]})
		}
	}
	return lists, nil
}
