package apifuzz_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// marker is part of every name, address, password and text that requests hold, so
// that none can reach the log unseen.
const marker = "q7zx"

// values makes JSON texts from schemas. It is a function of its random numbers.
type values struct {
	*document
	*rand.Rand
}

// member is a field of an object in the making. A body may hold what no encoder
// writes, so that its values are texts.
type member struct{ name, value string }

func object(members []member) string {
	parts := make([]string, len(members))
	for i, m := range members {
		parts[i] = quote(m.name) + ":" + m.value
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // every string has an encoding
	}
	return string(b)
}

// username returns a name that nobody has.
func (g *values) username() string { return fmt.Sprintf("%s_%016x", marker, g.Uint64()) }

// valid returns a value of a schema that the server has no reason to refuse. What
// schemas cannot say about a field is known here by its name.
func (g *values) valid(s *schema, name string) string {
	s = g.resolve(s)
	switch name {
	case "username":
		return quote(g.username())
	case "password":
		return quote(marker + " correct horse " + strconv.Itoa(g.IntN(1e6)))
	case "email":
		return quote(g.username() + "@" + marker + ".example")
	case "language":
		return quote(g.pick("en", "de-CH", "zh-Hant-TW", "pt-BR"))
	case "profile_picture", "avatar_url":
		return quote(g.pick("", "https://"+marker+".example/me.jpg"))
	case "rating":
		return g.pick("0", "7", "9.5", "10")
	case "occurred_at":
		return "null"
	}
	switch {
	case len(s.OneOf) > 0:
		return g.valid(s.OneOf[0], name)
	case len(s.Enum) > 0:
		return encode(s.Enum[g.IntN(len(s.Enum))])
	}
	switch s.kind() {
	case "object":
		return object(g.members(s, g.IntN(2) == 0))
	case "array":
		items := make([]string, max(1, g.IntN(3)))
		for i := range items {
			items[i] = g.valid(s.Items, "")
		}
		return "[" + strings.Join(items, ",") + "]"
	case "boolean":
		return g.pick("true", "false")
	case "integer", "number":
		low := 0
		if s.Minimum != nil {
			low = int(*s.Minimum)
		}
		return strconv.Itoa(low + g.IntN(9))
	}
	return quote(g.text(g.within(s)))
}

// kind returns the type of a schema beside null.
func (s *schema) kind() string {
	for _, k := range s.Type {
		if k != "null" {
			return k
		}
	}
	return ""
}

// within returns a length that a string of a schema may have.
func (g *values) within(s *schema) int {
	low, high := 1, 24
	if s.MinLength != nil {
		low = max(low, *s.MinLength)
	}
	if s.MaxLength != nil {
		high = min(high, *s.MaxLength)
	}
	return low + g.IntN(high-low+1)
}

// text returns so many characters, of those that every pattern here allows.
func (g *values) text(n int) string {
	return (marker + strings.Repeat("x", n))[:n]
}

func (g *values) pick(from ...string) string { return from[g.IntN(len(from))] }

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	return string(b)
}

// members returns the fields of an object: the required ones, or all.
func (g *values) members(s *schema, all bool) []member {
	var members []member
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		if all || slices.Contains(s.Required, name) {
			members = append(members, member{name, g.valid(s.Properties[name], name)})
		}
	}
	return members
}

// boundary returns values at the limits of a schema, and next to them on both
// sides.
func (g *values) boundary(s *schema) []string {
	s = g.resolve(s)
	var all []string
	for _, e := range s.Enum {
		all = append(all, encode(e))
	}
	switch s.kind() {
	case "string":
		for _, n := range lengths(s.MinLength, s.MaxLength) {
			all = append(all, quote(g.text(n)), quote(strings.Repeat("é", n)), quote(strings.Repeat("🦊", n)))
		}
	case "integer", "number":
		for _, n := range []*float64{s.Minimum, s.Maximum} {
			if n != nil {
				for _, by := range []float64{-1, 0, 1} {
					all = append(all, strconv.FormatFloat(*n+by, 'f', -1, 64))
				}
			}
		}
		all = append(all, "0", "9223372036854775807", "9223372036854775808", "-9223372036854775809")
	case "array":
		for _, n := range lengths(s.MinItems, s.MaxItems) {
			items := make([]string, n)
			for i := range items {
				if items[i] = g.valid(s.Items, ""); g.resolve(s.Items).kind() == "integer" {
					items[i] = strconv.Itoa(i) // those that are alike may count once
				}
			}
			all = append(all, "["+strings.Join(items, ",")+"]")
		}
		for _, item := range append(g.boundary(s.Items), g.pick(oddValues()...), "null") {
			all = append(all, "["+item+"]")
		}
	case "boolean":
		all = append(all, "true", "false")
	case "object":
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			for _, v := range append(g.boundary(s.Properties[name]), "null", g.pick(oddValues()...)) {
				all = append(all, object([]member{{name, v}}))
			}
		}
		if s.Additional != nil && s.Additional.schema != nil {
			for _, v := range append(g.boundary(s.Additional.schema), "null", g.pick(oddValues()...)) {
				all = append(all, object([]member{{marker, v}}))
			}
			all = append(all, object([]member{{strings.Repeat("k", 65), g.valid(s.Additional.schema, "")}}))
		}
	}
	return all
}

func lengths(low, high *int) []int {
	all := []int{0, 1}
	for _, n := range []*int{low, high} {
		if n != nil {
			all = append(all, max(0, *n-1), *n, *n+1)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// oddValues are values, and texts that look like some, that few fields take.
func oddValues() []string {
	return []string{
		`null`, `true`, `0`, `-1`, `1.5`, `1e400`, `-0`, `1E+2`, `0.1e1`, `123456789012345678901234567890`, `""`, `" "`, `"x"`, `[]`, `{}`, `[[[[]]]]`,
		`{"":{"":null}}`, `[null]`, `"\u0000"`, `"a\u0007b"`, `"a\nb"`, `"\u007f\u0085"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud83e\udd8a"`, `"\ufffe\uffff"`,
		`"\u202e` + marker + `\u2066"`, `"е́̂̃` + marker + `"`, "\"\xff\xfe\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", `"` + strings.Repeat("A", 11000) + `"`,
		`"'; DROP TABLE users; --"`, `"../../etc/passwd"`, `"%00%0d%0a"`, `"${jndi:ldap://x}"`, `"<script>alert(1)</script>"`,
		`"İ` + marker + `ſK"`, `"ｑ７ｚｘ"`, `"http://[::1"`, `"javascript:alert(1)"`, `"2024-13-45T99:99:99Z"`, `"a@b"`, `"a@b@c.example"`,
	}
}

// brokenTexts are bodies that are not one JSON object.
func brokenTexts(good string) map[string]string {
	return map[string]string{
		"null": "null", "a list": "[" + good + "]", "a string": quote(good), "a number": "1", "truncated": good[:len(good)-1], "half": good[:len(good)/2],
		"more behind it": good + "x", "two objects": good + good, "a byte order mark": "\ufeff" + good, "a zero byte": good + "\x00",
		"a single quote": strings.ReplaceAll(good, `"`, "'") + "'", "a comma too many": good[:len(good)-1] + ",}", "invalid UTF-8": `{"` + "\xff" + `":1}`,
		"a lone surrogate in a name": `{"\ud800":1}`, "a lone surrogate in an unknown field": `{"more":"\udfff"}`, "nested deeply": strings.Repeat("[", 20000),
		"nested deeply in a field": `{"more":` + strings.Repeat(`{"a":`, 11000) + `1` + strings.Repeat("}", 11001), "a bare word": "{more:1}", "a control character": "{\"more\":\"\x01\"}",
		"not a number": `{"more":NaN}`, "a comment": good + "//", "blank": " \n\t",
	}
}
