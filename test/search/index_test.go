package search_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// index is the index of one server in an engine, seen past the server.
type index struct {
	t         *testing.T
	at, alias string
}

// newIndex returns an index that nobody has in the engine at a URL.
func newIndex(t *testing.T, at string) index {
	t.Helper()
	return index{t, at, "kith-" + strings.ToLower(rand.Text())}
}

// setting tells a server of the index, in an engine that it finds at a URL.
func (x index) setting(at string) string { return "KITH_SEARCH_URL=" + at + "?index=" + x.alias }

// source is all that a document shows.
type source struct {
	UID      string `json:"uid"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Picture  string `json:"profile_picture"`
}

// document is a document with its version.
type document struct {
	Version int64

	source
}

// stored is a document as the engine shows it.
type stored struct {
	ID      string          `json:"_id"`
	Version int64           `json:"_version"`
	Source  json.RawMessage `json:"_source"`
}

// read wants the source to have exactly the fields that it is to have.
func (x index) read(s stored) document {
	x.t.Helper()
	d := document{Version: s.Version}
	var fields map[string]any
	if err := errors.Join(json.Unmarshal(s.Source, &d.source), json.Unmarshal(s.Source, &fields)); err != nil {
		x.t.Fatal(err)
	}
	for _, field := range []string{"uid", "username", "name", "profile_picture"} {
		if _, ok := fields[field]; !ok || len(fields) != 4 {
			x.t.Fatalf("a document shows %s", s.Source)
		}
	}
	return d
}

// try sends the engine a request, and returns the status and the answer; body is
// JSON, nil for none.
func (x index) try(method, path string, body any) (status int, answer []byte) {
	x.t.Helper()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			x.t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(x.t.Context(), method, x.at+path, bytes.NewReader(content))
	if err != nil {
		x.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	answer, err = io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		x.t.Fatal(err)
	}
	return response.StatusCode, answer
}

// ask is try, of what must succeed; into is read from the answer unless it is nil.
func (x index) ask(method, path string, body, into any) {
	x.t.Helper()
	status, answer := x.try(method, path, body)
	if status >= http.StatusMultipleChoices {
		x.t.Fatalf("%s %s: status %d: %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		x.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

// document returns the document of a user, as soon as it is stored.
func (x index) document(id int64) (d document, ok bool) {
	x.t.Helper()
	status, answer := x.try(http.MethodGet, fmt.Sprintf("/%s/_doc/%d", x.alias, id), nil)
	if status == http.StatusNotFound {
		return document{}, false
	}
	var s stored
	if err := json.Unmarshal(answer, &s); err != nil || status != http.StatusOK {
		x.t.Fatalf("status %d: %v: %s", status, err, answer)
	}
	return x.read(s), true
}

// plant stores a document past the server, found by its username and a word.
func (x index) plant(id int64, d document, word string) {
	x.t.Helper()
	x.ask(http.MethodPut, fmt.Sprintf("/%s/_doc/%d?version_type=external&refresh=true&version=%d", x.alias, id, d.Version), map[string]any{
		"uid": d.UID, "username": d.Username, "name": d.Name, "profile_picture": d.Picture, "prefixes": []string{word},
	}, nil)
}

// documents returns all documents by the ids of their users.
func (x index) documents() map[int64]document {
	x.t.Helper()
	x.ask(http.MethodPost, "/"+x.alias+"/_refresh", nil, nil)
	var found struct {
		Hits struct {
			Total struct {
				Value int `json:"value"`
			} `json:"total"`
			Hits []stored `json:"hits"`
		} `json:"hits"`
	}
	x.ask(http.MethodPost, "/"+x.alias+"/_search", map[string]any{"size": 10_000, "version": true, "track_total_hits": true}, &found)
	docs := make(map[int64]document, len(found.Hits.Hits))
	for _, s := range found.Hits.Hits {
		id, err := strconv.ParseInt(s.ID, 10, 64)
		if err != nil {
			x.t.Fatal(err)
		}
		docs[id] = x.read(s)
	}
	if found.Hits.Total.Value != len(docs) {
		x.t.Fatalf("read %d of %d documents", len(docs), found.Hits.Total.Value)
	}
	return docs
}

// indexes returns the names of the indexes that a pattern of names and aliases
// matches, ascending.
func (x index) indexes(pattern string) (names []string) {
	x.t.Helper()
	status, answer := x.try(http.MethodGet, "/_cat/indices/"+pattern+"?h=index", nil)
	if status == http.StatusNotFound {
		return nil
	}
	if status != http.StatusOK {
		x.t.Fatalf("status %d: %s", status, answer)
	}
	names = strings.Fields(string(answer))
	slices.Sort(names)
	return names
}

// only returns the index behind the alias, and wants it to be the only one.
func (x index) only() string {
	x.t.Helper()
	all, used := x.indexes(x.alias+"*"), x.indexes(x.alias)
	if len(used) != 1 || !slices.Equal(all, used) {
		x.t.Fatalf("of the indexes %v are used %v", all, used)
	}
	return used[0]
}

// block has the engine refuse what is written to the index, or no more.
func (x index) block(is bool) {
	x.t.Helper()
	x.ask(http.MethodPut, "/"+x.alias+"/_settings", map[string]any{"index.blocks.write": is}, nil)
}
