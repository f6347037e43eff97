package apifuzz_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// schema is the part of JSON Schema 2020-12 that the description uses. Reading one
// with another keyword fails.
type schema struct {
	Ref        string             `json:"$ref"`
	Type       kinds              `json:"type"`
	Enum       []any              `json:"enum"`
	Properties map[string]*schema `json:"properties"`
	Required   []string           `json:"required"`
	Additional *additional        `json:"additionalProperties"`
	Items      *schema            `json:"items"`
	OneOf      []*schema          `json:"oneOf"`
	Minimum    *float64           `json:"minimum"`
	Maximum    *float64           `json:"maximum"`
	MinLength  *int               `json:"minLength"`
	MaxLength  *int               `json:"maxLength"`
	MinItems   *int               `json:"minItems"`
	MaxItems   *int               `json:"maxItems"`
	Pattern    string             `json:"pattern"`
	Format     string             `json:"format"`

	// Annotations, which say nothing about values.
	Description string `json:"description"`
	Default     any    `json:"default"`
	Examples    any    `json:"examples"`
	Title       string `json:"title"`
	Deprecated  bool   `json:"deprecated"`
	MediaType   string `json:"contentMediaType"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *schema) UnmarshalJSON(b []byte) error {
	type plain schema
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(s)); err != nil {
		return fmt.Errorf("schema %.80s: %w", b, err)
	}
	return nil
}

// kinds is the keyword type: one name or several.
type kinds []string

// UnmarshalJSON implements json.Unmarshaler.
func (k *kinds) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*k = kinds{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(k))
}

// additional is the keyword additionalProperties: true, false or a schema.
type additional struct {
	none   bool
	schema *schema
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *additional) UnmarshalJSON(b []byte) error {
	var allowed bool
	if json.Unmarshal(b, &allowed) == nil {
		a.none = !allowed
		return nil
	}
	a.schema = &schema{}
	return json.Unmarshal(b, a.schema)
}

const refPrefix = "#/components/schemas/"

// resolve follows a reference.
func (d *document) resolve(s *schema) *schema {
	for s.Ref != "" {
		next := d.Components.Schemas[strings.TrimPrefix(s.Ref, refPrefix)]
		if next == nil {
			panic("there is no schema " + s.Ref)
		}
		s = next
	}
	return s
}

// checkJSON returns what is wrong with a text that must be one JSON value of a
// schema, "" when nothing is.
func (d *document) checkJSON(s *schema, text []byte) string {
	if !utf8.Valid(text) {
		return "is not valid UTF-8"
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return "is not JSON: " + err.Error()
	}
	if _, err := decoder.Token(); err != io.EOF {
		return "has more behind it"
	}
	return d.check(s, v, "")
}

// check returns the first thing that is wrong with a value, with its path.
func (d *document) check(s *schema, v any, at string) string {
	s = d.resolve(s)
	if len(s.OneOf) > 0 {
		return d.checkOneOf(s, v, at)
	}
	if len(s.Enum) > 0 && !slices.ContainsFunc(s.Enum, func(e any) bool { return e == v }) && v != nil {
		return fmt.Sprintf("%s: %v is none of %v", at, v, s.Enum)
	}
	kind := kindOf(v)
	if len(s.Type) > 0 && !slices.ContainsFunc(s.Type, func(want string) bool {
		return want == kind || want == "number" && kind == "integer"
	}) {
		return fmt.Sprintf("%s: is %s, not %v", at, kind, s.Type)
	}
	switch v := v.(type) {
	case string:
		return s.checkString(v, at)
	case json.Number:
		return s.checkNumber(v, at)
	case []any:
		if s.MinItems != nil && len(v) < *s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
			return fmt.Sprintf("%s: has %d items", at, len(v))
		}
		for i, item := range v {
			if wrong := d.check(s.Items, item, fmt.Sprintf("%s[%d]", at, i)); wrong != "" {
				return wrong
			}
		}
	case map[string]any:
		return d.checkObject(s, v, at)
	}
	return ""
}

func (d *document) checkOneOf(s *schema, v any, at string) string {
	var wrong []string
	for _, one := range s.OneOf {
		if w := d.check(one, v, at); w != "" {
			wrong = append(wrong, w)
		}
	}
	if len(s.OneOf)-len(wrong) != 1 {
		return fmt.Sprintf("%s: is %d of the %d it may be: %s", at, len(s.OneOf)-len(wrong), len(s.OneOf), strings.Join(wrong, "; "))
	}
	return ""
}

func (d *document) checkObject(s *schema, v map[string]any, at string) string {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			return at + ": lacks " + name
		}
	}
	for name, item := range v {
		property := s.Properties[name]
		switch {
		case property != nil:
		case s.Additional == nil:
			continue
		case s.Additional.none:
			return at + ": must not have " + name
		case s.Additional.schema == nil:
			continue
		default:
			property = s.Additional.schema
		}
		if wrong := d.check(property, item, at+"."+name); wrong != "" {
			return wrong
		}
	}
	return ""
}

func (s *schema) checkString(v, at string) string {
	n := utf8.RuneCountInString(v)
	switch {
	case s.MinLength != nil && n < *s.MinLength, s.MaxLength != nil && n > *s.MaxLength:
		return fmt.Sprintf("%s: has %d characters", at, n)
	case s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v):
		return fmt.Sprintf("%s: %.80q does not match %s", at, v, s.Pattern)
	}
	switch s.Format {
	case "", "binary":
	case "date-time":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return fmt.Sprintf("%s: %.80q is no RFC 3339 time", at, v)
		}
	default:
		return at + ": there is a format that this test does not know: " + s.Format
	}
	return ""
}

func (s *schema) checkNumber(v json.Number, at string) string {
	n, ok := new(big.Rat).SetString(v.String())
	if !ok {
		return fmt.Sprintf("%s: %s is no number", at, v)
	}
	switch s.Format {
	case "", "double":
	case "int64":
		if !n.IsInt() || !n.Num().IsInt64() {
			return fmt.Sprintf("%s: %s is no int64", at, v)
		}
	default:
		return at + ": there is a format that this test does not know: " + s.Format
	}
	if s.Minimum != nil && n.Cmp(new(big.Rat).SetFloat64(*s.Minimum)) < 0 || s.Maximum != nil && n.Cmp(new(big.Rat).SetFloat64(*s.Maximum)) > 0 {
		return fmt.Sprintf("%s: %s is out of range", at, v)
	}
	return ""
}

// maxExponent keeps a number such as 1e999999999 from being written out.
const maxExponent = 400

// kindOf names the type of a decoded value as a schema does.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if f, err := v.Float64(); err != nil || f > 1e300 || f < -1e300 || len(v) > maxExponent {
			return "number"
		}
		if n, ok := new(big.Rat).SetString(v.String()); ok && n.IsInt() {
			return "integer"
		}
		return "number"
	}
	return fmt.Sprintf("%T", v)
}

// A checker that finds nothing would make every other test here pass.
func TestTheCheckerFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const text = `{"type":"object","required":["id"],"properties":{
		"id":{"type":"integer","format":"int64","minimum":1},
		"name":{"type":["string","null"],"maxLength":3,"pattern":"^a"},
		"at":{"type":"string","format":"date-time"},
		"kind":{"type":"string","enum":["x","y"]},
		"list":{"type":"array","items":{"type":"boolean"},"maxItems":2},
		"map":{"type":"object","additionalProperties":{"type":"number"}},
		"either":{"oneOf":[{"type":"string"},{"type":"integer"}]}}}`
	s := &schema{}
	if err := json.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	d := &document{}
	for _, good := range []string{
		`{"id":1}`, `{"id":1e2,"name":null}`, `{"id":9223372036854775807,"name":"aéé"}`, `{"id":1,"at":"2024-01-15T10:30:00Z"}`,
		`{"id":1,"kind":"y","list":[true,false],"map":{"a":1.5},"either":3,"more":[]}`,
	} {
		if wrong := d.checkJSON(s, []byte(good)); wrong != "" {
			t.Errorf("%s: %s", good, wrong)
		}
	}
	for _, bad := range []string{
		``, `{`, `{"id":1}{}`, `[]`, `null`, `{}`, `{"id":null}`, `{"id":"1"}`, `{"id":0}`, `{"id":1.5}`, `{"id":9223372036854775808}`, `{"id":1e400}`,
		`{"id":1,"name":"aaaa"}`, `{"id":1,"name":"b"}`, `{"id":1,"at":"now"}`, `{"id":1,"kind":"z"}`, `{"id":1,"list":[1]}`,
		`{"id":1,"list":[true,true,true]}`, `{"id":1,"map":{"a":"b"}}`, `{"id":1,"either":true}`, "{\"id\":1,\"either\":\"\xff\"}",
	} {
		if d.checkJSON(s, []byte(bad)) == "" {
			t.Errorf("%s: nothing is wrong", bad)
		}
	}
	if json.Unmarshal([]byte(`{"type":"string","contains":1}`), s) == nil {
		t.Error("a keyword that the checker does not know was read")
	}
}
