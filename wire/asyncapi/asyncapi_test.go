package asyncapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"kith/streams"
	"kith/wire/asyncapi"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew; what it holds was promised, so read the diff")

const promised = "testdata/asyncapi.json"

// described returns the document as it is read.
func described(t *testing.T) object {
	t.Helper()
	return decode(t, encode(t, asyncapi.New("dev")))
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func decode(t *testing.T, b []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return o
}

// Whoever was written for the promised document must go on working.
func TestWhatWasPromisedHolds(t *testing.T) {
	t.Parallel()
	now := encode(t, asyncapi.New("dev"))
	old := golden(t, promised, now, false)
	for _, what := range breaks(decode(t, old), decode(t, now)) {
		t.Errorf("breaks consumers: %s", what)
	}
	if !bytes.Equal(old, now) && !t.Failed() {
		t.Logf("%s is not what is described now; -rewrite promises it", promised)
	}
}

func TestEveryTopicIsDescribed(t *testing.T) {
	t.Parallel()
	addresses := map[string]bool{}
	for _, c := range asyncapi.New("dev").Channels {
		addresses[c.Address] = true
	}
	for _, topic := range streams.Topics(1, 0) {
		if !addresses[topic.Name] {
			t.Errorf("%s is not", topic.Name)
		}
	}
}

func TestTheDocumentIsWhole(t *testing.T) {
	t.Parallel()
	document := described(t)
	if document["asyncapi"] != "3.0.0" || at(document, "info")["version"] != "dev" {
		t.Errorf("it is of version %v and about %v", document["asyncapi"], document["info"])
	}
	used := map[string]bool{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case object:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				if len(resolve(document, v)) == 0 {
					t.Errorf("%s: %s is nowhere", path, ref)
				}
			}
			for key, e := range v {
				walk(path+"/"+key, e)
			}
		}
	}
	walk("", document)
	for _, kind := range []string{"schemas", "messages"} {
		for _, key := range keys(at(document, "components", kind)) {
			if !used["#/components/"+kind+"/"+key] || strings.ContainsAny(key, " {}[]") {
				t.Errorf("%s %q is of no use", kind, key)
			}
		}
	}
}

// golden returns what a file holds, after it was written anew if it shall be. When
// exact, it must hold what is.
func golden(t *testing.T, path string, is []byte, exact bool) []byte {
	t.Helper()
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, is, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if exact && !bytes.Equal(was, is) {
		t.Errorf("%s: it is\n%s\nand was\n%s", path, is, was)
	}
	return was
}

// valid wants that JSON is what a schema says.
func valid(t *testing.T, what string, d *asyncapi.Document, s *huma.Schema, b []byte) {
	t.Helper()
	for _, err := range faults(t, d, s, b) {
		t.Errorf("%s is not as described: %v", what, err)
	}
}

// faults says how JSON differs from a schema.
func faults(t *testing.T, d *asyncapi.Document, s *huma.Schema, b []byte) []error {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	var result huma.ValidateResult
	huma.Validate(d.Components.Schemas, s, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, &result)
	return result.Errors
}

// encoder decodes JSON into a type and encodes it again. A field that the type does
// not have is an error.
type encoder func(b []byte) ([]byte, error)

func through[T any]() encoder {
	return func(b []byte) ([]byte, error) {
		var v T
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		return json.Marshal(v)
	}
}

// same wants that a described type is encoded to exactly the bytes that were sent:
// it has their fields, in their order, and no others.
func same(t *testing.T, what string, e encoder, b []byte) {
	t.Helper()
	again, err := e(b)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%s: the described type gives (%v)\n%s\nwhere it is\n%s", what, err, again, b)
	}
}

// seen collects which fields of messages there were.
type seen map[string]bool

// note notes the fields of a value.
func (s seen) note(path string, v any) {
	o, _ := v.(object)
	for name, field := range o {
		s[path+"."+name] = true
		s.note(path+"."+name, field)
	}
}

// whole wants that every field that a schema describes was seen.
func (s seen) whole(t *testing.T, document object, path string, schema any) {
	t.Helper()
	o := resolve(document, schema)
	for name, property := range at(o, "properties") {
		if !s[path+"."+name] {
			t.Errorf("%s.%s is described, and in no golden file", path, name)
		}
		s.whole(t, document, path+"."+name, property)
	}
	if reflect.ValueOf(o).Len() == 0 {
		t.Errorf("%s is not described", path)
	}
}
