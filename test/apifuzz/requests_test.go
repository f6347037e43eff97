package apifuzz_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maker makes the requests of one operation.
type maker struct {
	*world
	*document
	values

	o   *operation
	all []*request
}

// requestsFor returns requests for an operation, all there are or a part, the same
// for the same numbers.
func (w *world) requestsFor(o *operation, rnd *rand.Rand, all bool) []*request {
	m := &maker{world: w, document: w.document, values: values{w.document, rnd}, o: o}
	for range 3 {
		r := m.base()
		r.what, r.keep, r.expect.accepted = "valid", true, true
		m.add(r)
	}
	if m.cursors[o.ID] != "" {
		r := m.base()
		r.what, r.keep, r.expect.accepted = "a cursor", true, true
		r.target = m.path("username", m.bob.username) + "?q=" + marker + "&cursor=" + m.cursors[o.ID]
		m.add(r)
	}
	m.paths()
	m.queries()
	m.bodies()
	m.tokens()
	m.headers()
	m.mixtures()
	if all {
		return m.all
	}
	return slices.DeleteFunc(m.all, func(r *request) bool { return !r.keep && m.IntN(share) > 0 })
}

// share is how many of the requests there are for each that is sent: over many
// runs all are.
const share = 6

// add adds a request of the operation, or of another that its path turned out to
// be of: GET /users/self is one of its own.
func (m *maker) add(r *request) {
	if r.operation != nil {
		r.operation = m.match(r.method, r.target)
	}
	m.all = append(m.all, r)
}

// base returns a request that the operation has no reason to refuse.
func (m *maker) base() *request {
	r := &request{operation: m.o, method: m.o.method, target: m.path("", "") + m.query()}
	if !m.o.public() {
		r.header = append(r.header, [2]string{"Authorization", "Bearer " + m.token()})
	}
	switch s := m.o.json(); {
	case s != nil:
		r.header = append(r.header, [2]string{"Content-Type", contentJSON})
		r.body = []byte(m.body(s))
	case m.o.RequestBody != nil:
		r.header = append(r.header, [2]string{"Content-Type", "image/png"})
		r.body = []byte("\x89PNG\r\n\x1a\n" + marker)
	}
	return r
}

// token returns the token of whoever sends requests for the operation. What they
// do to themselves must not keep others from going on.
func (m *maker) token() string {
	switch m.o.ID {
	case "logout":
		return m.sign(m.erin.uid, hour)
	case "create-user":
		return m.outside()
	}
	return m.alice.token
}

// path fills in the path; the parameter that is named gets a text as it stands.
func (m *maker) path(name, text string) string {
	path := m.o.path
	for _, p := range m.o.Parameters {
		if p.In != "path" {
			continue
		}
		value := text
		if p.Name != name {
			value = m.segment(p.Name)
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
	}
	return path
}

// segment returns a good value of a path's parameter.
func (m *maker) segment(name string) string {
	switch name {
	case "username":
		known := []string{m.bob.username, m.bob.username, strings.ToUpper(m.bob.username), m.carol.username, m.username()}
		switch m.o.ID {
		case "delete-user":
		case "follow-user", "unfollow-user":
			known = append(known, m.alice.username, "self")
		default:
			known = append(known, m.alice.username, "self", "Self")
		}
		return m.pick(known...)
	case "id":
		return m.pick("1", "2", "287", "9223372036854775807")
	case "event_id":
		return m.pick("known_0", "known_9", strings.Repeat("e", 64), "A-_z")
	case "file":
		return m.pick(m.alice.uid, m.bob.uid, strings.Repeat("0", 32)) + ".jpg"
	}
	panic("there is a path parameter that this test does not know: " + name)
}

// query returns the required parameters and some of the others.
func (m *maker) query() string {
	var parts []string
	for _, p := range m.o.Parameters {
		if p.In != "query" || p.Name == "cursor" || !p.Required && m.IntN(3) == 0 {
			continue
		}
		parts = append(parts, p.Name+"="+m.argument(p))
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

// argument returns a good value of a query's parameter.
func (m *maker) argument(p parameter) string {
	switch {
	case p.Name == "cursor":
		return m.cursors[m.o.ID] // of bob's list
	case p.Name == "q":
		return m.pick("q", marker, "%C3%A9", marker+"+n")
	case p.Name == "username":
		return m.pick(m.bob.username, m.carol.username, "nobody_"+marker) + "&username=" + m.alice.username
	case len(p.Schema.Enum) > 0:
		s, _ := p.Schema.Enum[m.IntN(len(p.Schema.Enum))].(string)
		return s
	case p.Schema.kind() == "integer":
		return m.pick("1", "7", "100")
	}
	return marker
}

// paths asks for what the path's parameters must not be, and for other paths.
func (m *maker) paths() {
	odd := []string{
		"", "%20", "%09", "%00", "%ff", "%C3%28", "%ED%A0%80", "%2F", "a%2Fb", "..", ".", "%2e%2e", "self", "SELF", "%73elf", "list", "search", "availability",
		"relationships", strings.Repeat("a", 31), strings.Repeat("a", 3000), "%F0%9F%A6%8A", "-1", "0", "01", "+1", "1.0", "9223372036854775808",
		"99999999999999999999999", "a b", "%zz", "%", "%4", "a\x01b", "{username}", ";a=b", "a;b", "*", "a+b", "é", "\xff", "a%23b", "a%3Fb", "%0d%0aX:%20y", "a,b", "%C4%B0" + marker,
	}
	for _, p := range m.o.Parameters {
		if p.In != "path" {
			continue
		}
		for _, text := range odd {
			m.elsewhere("odd path", m.path(p.Name, text)+m.query()).keep = text == "%20"
		}
		m.elsewhere("nobody", m.path(p.Name, m.username())+m.query()).keep = true
	}
	good := m.path("", "")
	for _, target := range []string{
		good + "/", "/" + good, good + "//", strings.ToUpper(good), good + "/more", good + "/..", "/./" + good[1:], "/x/.." + good, good + "%2F", good + "%00", good + ";x",
		"http://other.example" + good, good + "#x", "/%75" + good[2:], good[1:],
	} {
		m.elsewhere("other path", target)
	}
}

// elsewhere adds a request whose target may belong to any operation or none.
func (m *maker) elsewhere(what, target string) *request {
	r := m.base()
	r.what, r.target = what, target
	r.operation = m.match(r.method, target)
	if m.o.method == http.MethodDelete {
		// It may name the caller in some spelling, who must not go.
		r.header = [][2]string{{"Authorization", "Bearer " + m.dead.token}}
		if r.operation == m.o && m.o.ID != "delete-user" {
			r.header[0][1] = "Bearer " + m.alice.token
		}
	}
	m.add(r)
	return r
}

// queries asks with what parameters must not be.
func (m *maker) queries() {
	odd := []string{
		"", "%20", "%00", "%ff", "%C3%28", "%ED%A0%80", "-1", "0", "1", "100", "101", "+1", "%2B1", "01", "1.0", "1e1", "99999999999999999999", "%F0%9F%A6%8A", "a;b", "a%0d%0ab",
		strings.Repeat("9", 300), strings.Repeat("a", 128), strings.Repeat("a", 129), strings.Repeat("%F0%9F%A6%8A", 128), strings.Repeat("a", 257), strings.Repeat("a", 6000),
		"null", "true", "[]", "%zz", "%", "AAAA", "AQ==", marker, "%5B1%5D", "%E2%80%AE", "1&1",
	}
	for _, p := range m.o.Parameters {
		if p.In != "query" {
			continue
		}
		for _, text := range odd {
			r := m.base()
			r.what = "odd " + p.Name
			var rest string
			for _, other := range m.o.Parameters {
				if other.In == "query" && other.Required && other.Name != p.Name {
					rest += "&" + other.Name + "=" + m.argument(other)
				}
			}
			r.target = m.path("", "") + "?" + p.Name + "=" + text + rest
			r.expect.refused = m.refuses(p, text)
			r.keep = text == "%20" || len(text) == 129
			m.add(r)
		}
		r := m.base()
		r.what = p.Name + " twice"
		good := m.argument(p)
		r.target = m.path("", "") + "?" + p.Name + "=" + good + "&" + p.Name + "=" + good
		m.add(r)
	}
	for _, query := range []string{
		"", "&&&", "=", "=x", "x", "x=y&x=y", "%zz=1", "a;b=c", "%00=%00", marker + "=" + marker, strings.Repeat("x=y&", 2000), "access_token=" + m.alice.token,
		strings.TrimSuffix(strings.Repeat("username="+marker+"_a&", 101), "&"),
	} {
		r := m.base()
		r.what, r.target = "odd query", m.path("", "")+"?"+query
		r.keep = strings.HasPrefix(query, "username=")
		m.add(r)
	}
}

var integer = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// refuses reports whether a parameter that is documented as it is must not be a
// text.
func (m *maker) refuses(p parameter, text string) bool {
	decoded, err := url.QueryUnescape(text)
	if err != nil || strings.Contains(text, "&") || strings.Contains(text, ";") || m.o.ID == "list-users" && p.Schema.kind() == "integer" {
		return false // the list of all users takes the default
	}
	if p.Schema.kind() == "integer" {
		return !integer.MatchString(decoded) || m.check(p.Schema, json.Number(decoded), "") != ""
	}
	if p.Schema.kind() == "string" {
		return !utf8.ValidString(decoded) && p.Name != "signature" || m.check(p.Schema, decoded, "") != ""
	}
	return false
}

// tokens asks with tokens that are none, or are somebody else's.
func (m *maker) tokens() {
	with := func(what string, expect expectation, header ...string) {
		r := m.base()
		r.what, r.expect, r.keep = what, expect, what == "no token" || what == "a deleted user"
		r.header = slices.DeleteFunc(r.header, func(h [2]string) bool { return h[0] == "Authorization" })
		for _, h := range header {
			r.header = append(r.header, [2]string{"Authorization", h})
		}
		m.add(r)
	}
	out, gone := expectation{statuses: []int{http.StatusUnauthorized}}, expectation{statuses: []int{http.StatusUnauthorized, http.StatusNotFound}}
	if m.o.public() {
		out, gone = expectation{}, expectation{}
	}
	if m.o.json() != nil || m.o.ID == "delete-event" || strings.HasSuffix(m.o.ID, "crew-members") || strings.HasSuffix(m.o.ID, "studios") {
		gone.statuses = nil // what is wrong with the rest may be seen first
	}
	strangers := m.strangers()
	for _, what := range slices.Sorted(maps.Keys(strangers)) {
		with(what, out, strangers[what])
	}
	with("no token", out)
	with("the token twice", out, "Bearer "+m.alice.token, "Bearer "+m.alice.token)
	with("a deleted user", gone, "Bearer "+m.dead.token)
	with("nobody's uid", gone, "Bearer "+m.sign(strings.Repeat("0", 31)+"1", hour))
	if m.o.ID != "create-user" {
		with("an outside identity without a user", gone, "Bearer "+m.outside())
	}
	if m.o.ID != "logout" {
		with("a scheme in lower case", expectation{accepted: true}, "bearer  "+m.token())
	}
}

// headers asks for other forms of the answer, and for parts of it.
func (m *maker) headers() {
	with := func(what string, header ...[2]string) *request {
		r := m.base()
		r.what, r.header = what, append(r.header, header...)
		m.add(r)
		return r
	}
	for _, accept := range []string{contentProblem, "text/html", "*/*", "", "application/problem+json;q=0, */*", "application/problem+json;q=x", "\xff", ";;,,", "application/xml"} {
		with("Accept", [2]string{"Accept", accept})
		r := with("Accept with what is refused", [2]string{"Accept", accept})
		if m.o.json() != nil {
			r.body = []byte("{")
		} else {
			r.header = slices.DeleteFunc(r.header, func(h [2]string) bool { return h[0] == "Authorization" })
		}
	}
	for _, id := range []string{"plain-1", "", "a b", strings.Repeat("x", 65), "\xff", "{}", "a\tb"} {
		with("a request id", [2]string{"X-Request-Id", id})
	}
	with("odd headers", [2]string{"X-Forwarded-For", "1.2.3.4, " + marker}, [2]string{"Cookie", marker + "=1"}, [2]string{"X-HTTP-Method-Override", "DELETE"},
		[2]string{"Forwarded", "for=\"[::\""}, [2]string{"Origin", "null"}, [2]string{"Accept-Encoding", "gzip, br"}, [2]string{"If-Modified-Since", "x"})
	if m.o.RequestBody == nil {
		r := with("a large body that nobody reads")
		r.keep, r.announce, r.expect.statuses = true, 1<<20+1, []int{http.StatusRequestEntityTooLarge}
		r.target, r.operation = m.path("username", m.bob.username)+m.query(), m.o // by self it would be another's, and nothing else asks for this
	}
	if m.o.method != http.MethodGet {
		return
	}
	for _, tag := range []string{`*`, `"x"`, `W/"x", *`, `x`, `"`, ``, `"x", "`, strings.Repeat(`"x",`, 500), "\xff"} {
		r := with("If-None-Match", [2]string{"If-None-Match", tag})
		if r.keep = tag == "*"; r.keep {
			r.target, r.operation = m.path("username", m.bob.username)+m.query(), m.o // whom everybody may see
		}
	}
	for _, span := range []string{"bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-1", "bytes=99999999-", "bytes=0-0,2-3", "bytes=", "lines=1-2", "\xff", "bytes=-0", "bytes=a-b"} {
		with("Range", [2]string{"Range", span}, [2]string{"If-Range", `"x"`}, [2]string{"If-Match", `"x"`})
		with("Range", [2]string{"Range", span})
	}
	for range 3 {
		with("HEAD").method = http.MethodHead
		r := with("HEAD without a token")
		r.method, r.header = http.MethodHead, nil
		with("HEAD of what is not changed", [2]string{"If-None-Match", "*"}).method = http.MethodHead
	}
}

// mixtures puts parts of several requests together.
func (m *maker) mixtures() {
	made := slices.Clone(m.all)
	for range len(made) / 12 {
		a, b, c := made[m.IntN(len(made))], made[m.IntN(len(made))], made[m.IntN(len(made))]
		if m.o.method == http.MethodDelete {
			c = a // whose target may name the caller
		}
		r := &request{
			operation: a.operation, method: a.method, target: a.target, body: b.body, announce: b.announce, chunked: b.chunked, header: c.header,
			what: a.what + " and " + b.what + " and " + c.what,
		}
		m.add(r)
	}
}

// methodsOf returns requests with the methods that a path does not have.
func (w *world) methodsOf(path string, rnd *rand.Rand) []*request {
	m := &maker{world: w, document: w.document, values: values{w.document, rnd}}
	var all []*request
	for _, method := range []string{
		http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodHead, "PROPFIND", "M-SEARCH", "get", "X", strings.Repeat("X", 300),
	} {
		if _, ok := w.Paths[path]["get"]; ok && method == http.MethodHead {
			continue
		}
		m.o = w.Paths[path][slices.Min(slices.Collect(maps.Keys(w.Paths[path])))] // for what its path may be
		target := m.path("", "")
		if w.match(method, target) != nil {
			continue
		}
		r := &request{method: method, target: target, what: "another method", expect: expectation{statuses: []int{http.StatusMethodNotAllowed}}}
		if m.IntN(2) == 0 {
			r.header = [][2]string{{"Authorization", "Bearer " + w.alice.token}, {"Accept", contentProblem}}
		}
		all = append(all, r)
	}
	return all
}
