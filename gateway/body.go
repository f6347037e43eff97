package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

const (
	maxBody = 64 << 10 // bytes, where a route does not say otherwise

	invalidBody = "Invalid request body"
)

// badBody refuses a body. field is its path in the body, "" when the body as a
// whole is not what it must be.
func badBody(field, what string) error {
	r := &refusal{status: http.StatusBadRequest, code: "invalid_body", message: invalidBody, field: field}
	if field != "" {
		r.detail = field + " " + what
	}
	return r
}

// readBody reads the body of r, one JSON object of at most limit bytes, into the
// struct that into points to. With optional, no body at all is an empty object.
// kinds are the content types that it may have.
func readBody(r *http.Request, limit int64, optional bool, kinds []string, into any) error {
	if r.ContentLength > limit {
		return errBodyTooLarge
	}
	if optional && r.ContentLength == 0 {
		return nil
	}
	if !isJSON(r.Header["Content-Type"], kinds) {
		return wantedType(r.Method)
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout
	case err != nil:
		return badBody("", "") // the client did not send what it announced
	case int64(len(b)) > limit:
		return errBodyTooLarge
	case optional && len(b) == 0:
		return nil
	}
	return parseBody(b, into)
}

// bodyTypes are the content types of the bodies that a method takes.
func bodyTypes(method string) []string {
	if method == http.MethodPatch {
		return []string{contentJSON, contentPatch}
	}
	return []string{contentJSON}
}

// wantedType says which content types a method takes.
func wantedType(method string) *refusal {
	if method == http.MethodPatch {
		return errPatchType
	}
	return errMediaType
}

// isJSON reports whether a Content-Type is one of JSON's kinds. Without one the
// body is taken for what it must be.
func isJSON(headers, kinds []string) bool {
	if len(headers) == 0 {
		return true
	}
	kind, params, err := mime.ParseMediaType(headers[0])
	if err != nil || len(headers) > 1 || !slices.Contains(kinds, kind) {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// parseBody reads b, which must be one JSON object in valid UTF-8 without lone
// surrogates, into the struct that into points to.
//
// It is stricter than encoding/json: field names match exactly, and strings must
// be text. Fields that the struct does not have are ignored, null means absent,
// and of a name given twice the last counts. Control characters are refused in
// strings, except newline and tab in fields tagged `text:"lines"`. A type with a
// method UnmarshalJSON is given what stands there, null included; so is a patch.
// What is kept unread need not be text.
func parseBody(b []byte, into any) error {
	// Whatever the JSON syntax allows is inside the object: no bytes follow it.
	if !json.Valid(b) {
		return badBody("", "")
	}
	return assign("", b, reflect.ValueOf(into).Elem(), false)
}

var (
	// unmarshaler is the type of values that read themselves.
	unmarshaler = reflect.TypeFor[json.Unmarshaler]() //nolint:gochecknoglobals // a constant
	// keeper is the type of values that keep what stands there.
	keeper = reflect.TypeFor[unread]() //nolint:gochecknoglobals // a constant
	// patchable is the type of fields in which null says something.
	patchable = reflect.TypeFor[patched]() //nolint:gochecknoglobals // a constant
)

// wantError is the error of an UnmarshalJSON that can say what it wants.
type wantError string

// Error implements error.
func (w wantError) Error() string { return string(w) }

// unread is a value that keeps what stands there, for somebody else to read and
// to refuse: its UnmarshalJSON is given what need not be text.
type unread interface {
	json.Unmarshaler
	unread()
}

// patched is a field of a merge patch (RFC 7396).
type patched interface {
	// give notes that the field was given, and returns a pointer to what its value
	// is read into, nil when it is null.
	give(null bool) any
}

// patch is a field of a merge patch: absent, null, or a value.
type patch[T any] struct {
	given bool
	value *T // nil is null
}

func (p *patch[T]) give(null bool) any {
	p.given = true
	if p.value = nil; null {
		return nil // not a nil *T
	}
	p.value = new(T)
	return p.value
}

// or returns what a patch sets a field to: nil when it is absent, reset when it is
// null.
func (p *patch[T]) or(reset T) *T {
	switch {
	case !p.given:
		return nil
	case p.value == nil:
		return &reset
	}
	return p.value
}

// Schema implements huma.SchemaProvider.
func (patch[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = true
	return &s
}

// assign reads raw, which is valid JSON, into v. field is its path.
func assign(field string, raw []byte, v reflect.Value, lines bool) error {
	switch {
	case v.CanAddr() && v.Addr().Type().Implements(unmarshaler) && v.Kind() != reflect.Pointer:
		if err := checkText(raw); err != nil && !v.Addr().Type().Implements(keeper) {
			return badBody(field, err.Error())
		}
		if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
			if want, ok := errors.AsType[wantError](err); ok {
				return badBody(field, "must be "+string(want))
			}
			return badBody(field, "is not what it must be")
		}
		return nil
	case v.CanAddr() && v.Addr().Type().Implements(patchable):
		if p, ok := reflect.TypeAssert[patched](v.Addr()); ok {
			if to := p.give(isNull(raw)); to != nil {
				return assign(field, raw, reflect.ValueOf(to).Elem(), lines)
			}
		}
		return nil
	case v.Kind() == reflect.Pointer:
		if isNull(raw) {
			return nil
		}
		elem := reflect.New(v.Type().Elem())
		if err := assign(field, raw, elem.Elem(), lines); err != nil {
			return err
		}
		v.Set(elem)
		return nil
	case v.Kind() == reflect.Struct:
		return assignObject(field, raw, v)
	case isNull(raw):
		return badBody(field, "must not be null")
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return assignList(field, raw, v, lines)
	case v.Kind() == reflect.Map:
		return assignMap(field, raw, v)
	}
	if err := checkText(raw); err != nil {
		return badBody(field, err.Error())
	}
	if err := assignScalar(raw, v); err != nil {
		return badBody(field, "must be "+wanted(v.Kind()))
	}
	if v.Kind() == reflect.String && strings.ContainsFunc(v.String(), func(r rune) bool {
		return unicode.IsControl(r) && (!lines || r != '\n' && r != '\t')
	}) {
		return badBody(field, "must not contain control characters")
	}
	return nil
}

// assignScalar reads what is usual by itself, and leaves the rest to
// encoding/json, which looks at every value twice: bodies of hundreds of events
// are mostly short strings and whole numbers.
func assignScalar(raw []byte, v reflect.Value) error {
	switch v.Kind() { //nolint:exhaustive // the rest is left
	case reflect.String:
		if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
			v.SetString(string(raw[1 : len(raw)-1]))
			return nil
		}
	case reflect.Int64:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			v.SetInt(n)
			return nil
		}
	}
	return json.Unmarshal(raw, v.Addr().Interface())
}

func assignObject(field string, raw []byte, v reflect.Value) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return badBody(field, "must be an object")
	}
	fields := fieldsOf(v.Type())
	var noText error // of what the struct does not have, told when the rest was read
	for d.More() {
		start := d.InputOffset()
		token, err := d.Token()
		name, isName := token.(string)
		if err != nil || !isName {
			return badBody(field, "must be an object")
		}
		nameErr := checkText(raw[start:d.InputOffset()])
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return badBody(field, "must be an object")
		}
		if nameErr != nil {
			noText = cmp.Or(noText, badBody(field, "must have names that are text"))
			continue
		}
		path := name
		if field != "" {
			path = field + "." + name
		}
		f, known := fields[name]
		switch {
		case !known:
			if err := checkText(value); err != nil {
				noText = cmp.Or(noText, badBody(field, "must hold nothing but text")) // names of the client's own are not repeated
			}
		case f.forgets && isNull(value):
			v.Field(f.index).SetZero() // of a name given twice the last counts
		default:
			if err := assign(path, value, v.Field(f.index), f.lines); err != nil {
				return err
			}
		}
	}
	return noText
}

func assignList(field string, raw []byte, v reflect.Value, lines bool) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return badBody(field, "must be a list")
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		path := field + "[" + strconv.Itoa(i) + "]"
		if isNull(item) {
			return badBody(path, "must not be null")
		}
		if err := assign(path, item, list.Index(i), lines); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

// assignMap reads an object whose names are the client's own. null is a nil
// pointer.
func assignMap(field string, raw []byte, v reflect.Value) error {
	var items map[string]json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return badBody(field, "must be an object")
	}
	if err := checkText(raw); err != nil {
		return badBody(field, err.Error())
	}
	m := reflect.MakeMapWithSize(v.Type(), len(items))
	for name, item := range items {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := assign(field, item, value, false); err != nil {
			return badBody(field, "must hold what each of its names must be") // the name is not repeated
		}
		m.SetMapIndex(reflect.ValueOf(name), value)
	}
	v.Set(m)
	return nil
}

// bodyField is a field of a body.
type bodyField struct {
	index   int
	lines   bool // its text may have lines
	forgets bool // null is the same as absent
}

// bodyFields holds the fields of every type of body that was read, by name.
var bodyFields sync.Map //nolint:gochecknoglobals // a cache of constants: reflect.Type -> map[string]bodyField

// fieldsOf returns the exported fields of a struct by what their json tag says.
func fieldsOf(t reflect.Type) map[string]bodyField {
	if known, ok := bodyFields.Load(t); ok {
		return known.(map[string]bodyField) //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	fields := make(map[string]bodyField)
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && name != "" && name != "-" {
			to := reflect.PointerTo(f.Type)
			fields[name] = bodyField{
				index: i, lines: f.Tag.Get("text") == "lines",
				forgets: !to.Implements(unmarshaler) && !to.Implements(patchable),
			}
		}
	}
	bodyFields.Store(t, fields)
	return fields
}

func isNull(raw []byte) bool { return string(bytes.TrimSpace(raw)) == "null" }

// wanted names what JSON a kind is read from.
func wanted(k reflect.Kind) string {
	switch k { //nolint:exhaustive // the rest is what bodies do not hold
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Map:
		return "an object"
	}
	return "of the right type"
}

var (
	errNotUTF8       = errors.New("must be valid UTF-8")
	errLoneSurrogate = errors.New("must not contain a lone surrogate")
)

// checkText refuses valid JSON whose strings are not text: encoding/json would
// put U+FFFD in their place.
func checkText(raw []byte) error {
	if !utf8.Valid(raw) {
		return errNotUTF8
	}
	for {
		i := bytes.IndexByte(raw, '\\') // escapes exist only in strings
		if i < 0 {
			return nil
		}
		raw = raw[i:]
		if raw[1] != 'u' {
			raw = raw[2:]
			continue
		}
		switch r := unicodeEscape(raw); {
		case r >= 0xd800 && r < 0xdc00:
			if low := unicodeEscape(raw[6:]); low < 0xdc00 || low > 0xdfff {
				return errLoneSurrogate
			}
			raw = raw[12:]
		case r >= 0xdc00 && r <= 0xdfff:
			return errLoneSurrogate
		default:
			raw = raw[6:]
		}
	}
}

// unicodeEscape returns what the \uXXXX at the start of raw says, 0 when there is
// none.
func unicodeEscape(raw []byte) uint64 {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	r, err := strconv.ParseUint(string(raw[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return r
}
