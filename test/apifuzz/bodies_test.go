package apifuzz_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// body returns a good body.
func (m *maker) body(s *schema) string {
	switch m.o.ID {
	case "record-events":
		if m.IntN(3) == 0 {
			return object([]member{{"events", "[" + m.event() + "," + m.event() + "]"}})
		}
		return m.event()
	case "login":
		p := m.pick(m.alice.username, m.bob.username)
		return object([]member{{"username", quote(p)}, {"password", quote(password)}})
	case "refresh":
		return object([]member{{"refresh_token", quote(m.bob.refresh)}})
	case "logout":
		return m.pick(`{}`, `{"all":false}`, `{"all":null}`)
	case "mark-notifications-seen":
		return object([]member{{"id", quote(m.alice.uid + "/" + strconv.Itoa(1+m.IntN(99)))}})
	}
	return m.valid(s, "")
}

// event returns an event with the fields that its type needs and allows.
func (m *maker) event() string {
	kind := m.pick("view", "rating", "watchlist_add", "watchlist_remove", "review")
	fields := []member{{"type", quote(kind)}, {"movie_id", strconv.Itoa(1 + m.IntN(99))}, {"event_id", quote("e" + strconv.FormatUint(m.Uint64(), 36))}}
	switch kind {
	case "rating":
		fields = append(fields, member{"rating", "7.5"})
	case "review":
		fields = append(fields, member{"review", quote(marker + "\n\tgood")})
	}
	return object(append(fields, member{"event_details", `{"` + marker + `":[1,null]}`}, member{"session_id", quote(marker)}))
}

// bodies sends what bodies must not be, as a whole and field by field.
func (m *maker) bodies() {
	s := m.o.json()
	if s == nil {
		return
	}
	good := m.body(s)
	for _, what := range slices.Sorted(maps.Keys(brokenTexts(good))) {
		r := m.base()
		r.what, r.keep, r.body, r.expect.refused = what, what == "half", []byte(brokenTexts(good)[what]), true
		m.add(r)
	}
	empty := m.base()
	empty.what, empty.keep, empty.body, empty.expect.refused = "no body", true, nil, m.o.RequestBody.Required
	m.add(empty)
	for _, one := range m.alternatives(s) {
		m.fields(m.resolve(one))
	}
	for _, kind := range []string{
		"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/json;", "json",
		"application/jsonx", "application/problem+json", "", "\xff", "application/json, text/plain", "APPLICATION/JSON; charset=UTF-8", strings.Repeat("a/", 500),
	} {
		r := m.base()
		r.what = "another content type"
		r.header[len(r.header)-1][1] = kind
		r.keep = kind == "text/plain"
		if plain := strings.TrimSuffix(strings.ToLower(kind), ";"); !strings.HasPrefix(plain, contentJSON) || strings.Contains(plain, "latin1") || strings.ContainsAny(plain, ",x") {
			r.expect.statuses = []int{http.StatusUnsupportedMediaType}
		}
		m.add(r)
	}
	if m.o.method == http.MethodPatch {
		r := m.base()
		r.what, r.keep, r.header[len(r.header)-1][1], r.expect.accepted = "a merge patch", true, "application/merge-patch+json", true
		m.add(r)
	}
	twice := m.base()
	twice.what, twice.header = "two content types", append(twice.header, [2]string{"Content-Type", "text/plain"})
	m.add(twice)
	large := m.base()
	large.what, large.keep, large.body, large.announce, large.expect.statuses = "too large", true, nil, 1<<20+1, []int{http.StatusRequestEntityTooLarge}
	m.add(large)
	if m.o.ID != "record-events" {
		r := m.base()
		r.what, r.body, r.expect.statuses = "a little too large", []byte(`{"more":"`+strings.Repeat("x", 64<<10)+`"}`), []int{http.StatusRequestEntityTooLarge}
		m.add(r)
	}
	chunks := m.base()
	chunks.what, chunks.chunked = "in chunks", true
	chunks.body = fmt.Appendf(nil, "1\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", good[:1], len(good)-1, good[1:])
	m.add(chunks)
	broken := m.base()
	broken.what, broken.chunked, broken.body, broken.expect.refused = "in broken chunks", true, []byte("zz\r\n"+good+"\r\n0\r\n\r\n"), true
	m.add(broken)
}

// alternatives are the schemas that a body may have.
func (m *maker) alternatives(s *schema) []*schema {
	if s = m.resolve(s); len(s.OneOf) > 0 {
		return s.OneOf
	}
	return []*schema{s}
}

// kept is how many of the values that a field may have are tried where each costs
// the hash of a password.
const kept = 3

// fields sends each field with values at its limits and odd ones, without it, and
// with more.
func (m *maker) fields(s *schema) {
	good := m.members(s, true)
	switch m.o.ID {
	case "record-events":
		if s.Properties["events"] == nil {
			good = []member{{"type", `"review"`}, {"movie_id", "1"}, {"review", `"` + marker + `"`}}
		}
	case "logout":
		good = nil
	}
	send := func(what string, members []member, mustRefuse bool) {
		r := m.base()
		r.what, r.body, r.expect.refused = what, []byte(object(members)), mustRefuse
		m.add(r)
	}
	expensive := m.o.ID == "register" || m.o.ID == "login"
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		rest := slices.DeleteFunc(slices.Clone(good), func(f member) bool { return f.name == name })
		allowed := 0
		candidates := append(m.boundary(property), oddValues()...)
		m.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		for _, value := range candidates {
			members := append(slices.Clone(rest), member{name, value})
			refuse := m.refusesField(s, property, members, value)
			if !refuse && expensive && value != "null" {
				if allowed++; allowed > kept {
					continue
				}
			}
			if name != "username" && slices.ContainsFunc(members, func(f member) bool { return f.name == "username" }) && m.o.ID != "login" {
				members = slices.Concat([]member{{"username", quote(m.username())}}, slices.DeleteFunc(members, func(f member) bool { return f.name == "username" }))
			}
			send(fmt.Sprintf("%s is %.40s", name, value), members, refuse)
		}
		if slices.Contains(s.Required, name) {
			send("without "+name, rest, true)
			send(name+" is null", append(slices.Clone(rest), member{name, "null"}), true)
		}
		send(name+" in upper case", append(slices.Clone(rest), member{strings.ToUpper(name), m.valid(property, name)}), slices.Contains(s.Required, name))
	}
	send("an unknown field", append(slices.Clone(good), member{marker, `{"a":[1,"\n"]}`}), false)
	if len(good) > 0 {
		send("a field twice", slices.Concat([]member{{good[0].name, "[]"}}, good), false)
	}
}

// refusesField reports whether a body must be refused for a value of one of its
// fields. null means absent, or reset.
func (m *maker) refusesField(s, property *schema, members []member, value string) bool {
	if s.Properties["events"] != nil || value == "null" {
		return false // each event of a batch is judged for itself
	}
	text := []byte(object(members))
	if strings.Contains(value, `:null`) && utf8.Valid(text) {
		return false
	}
	if m.checkJSON(s, text) != "" {
		return true
	}
	for _, bad := range []string{`\ud800`, `\udc00\ud`, `\u0000`, `\u0007`, `\u007f`} {
		if strings.Contains(value, bad) && m.resolve(property).kind() == "string" {
			return true
		}
	}
	return false
}
