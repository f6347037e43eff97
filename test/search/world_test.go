package search_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/test/kithtest"
)

// Series of the metrics.
const (
	lagSeries      = `kith_tail_lag_records{tail="index"}`
	fallbackSeries = "kith_search_fallbacks_total"
	searchSeries   = `kith_search_seconds_count{call="search"}`
	issuer         = "https://id.example.com"
	audience       = "kith"

	// mostPages is more than any search of a test has.
	mostPages = 1000
)

// world is a server, its index, and an outside provider, whose people need no
// passwords, which would take most of the time.
type world struct {
	*kithtest.Server

	t       *testing.T
	index   index
	options kithtest.Options
	key     ed25519.PrivateKey
	seeker  person // who searches
}

// begin starts a server that is told of an engine at a URL, with settings.
func begin(t *testing.T, x index, at string, o kithtest.Options) *world {
	t.Helper()
	w := prepare(t, x, o)
	w.start(x.setting(at))
	w.seeker = w.join("seeker_of_all", "Nobody")
	return w
}

// prepare makes a world whose server is not started.
func prepare(t *testing.T, x index, o kithtest.Options) *world {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, index: x, options: o, key: key}
	keys := httptest.NewServer(http.HandlerFunc(w.serveKeys))
	t.Cleanup(keys.Close)
	if o.DataDir == "" {
		w.options.DataDir = kithtest.DataDir(t)
	}
	w.options.Env = append(slices.Clone(o.Env), "KITH_JWT_JWKS_URL="+keys.URL, "KITH_JWT_ISSUER="+issuer, "KITH_JWT_AUDIENCE="+audience)
	return w
}

// start starts another server on the data, with further settings. One that ran
// before has ended.
func (w *world) start(env ...string) {
	w.t.Helper()
	o := w.options
	o.Env = append(slices.Clone(o.Env), env...)
	w.Server = kith.Start(w.t, o)
}

func (w *world) serveKeys(rw http.ResponseWriter, _ *http.Request) {
	public, _ := w.key.Public().(ed25519.PublicKey)
	rw.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(rw, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"outside","x":%q}]}`,
		base64.RawURLEncoding.EncodeToString(public)) // who asked finds out that it is not whole
}

// outsider returns a client with a token of the provider, for whom nobody knows.
func (w *world) outsider(subject string) *kithtest.Client {
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"sub": subject, "exp": time.Now().Add(time.Hour).Unix(), "iss": issuer, "aud": audience,
	})
	token.Header["kid"] = "outside"
	signed, err := token.SignedString(w.key)
	if err != nil {
		panic(err) // the key is right
	}
	return w.bearer(signed)
}

// bearer returns a client of whichever server runs now.
func (w *world) bearer(token string) *kithtest.Client { return w.Client().As(token) }

// person is a user with a token.
type person struct {
	w *world

	kithtest.User

	token string
}

// client speaks as the person to the server that runs now.
func (p *person) client() *kithtest.Client { return p.w.bearer(p.token) }

// join makes a user of the outside provider.
func (w *world) join(username, name string) person {
	w.t.Helper()
	c := w.outsider(username + "/" + fmt.Sprint(time.Now().UnixNano()))
	return person{w, *want(w.t, http.StatusCreated)(c.Do(w.t.Context(), joining(username, name))).User, c.Token()}
}

func joining(username, name string) kithtest.Request {
	return kithtest.Request{Method: http.MethodPost, Path: "/users", Body: map[string]string{"username": username, "name": name}}
}

// becomes changes the profile.
func (p *person) becomes(field, value string) {
	p.w.t.Helper()
	p.User = *want(p.w.t, http.StatusOK)(p.client().Update(p.w.t.Context(), map[string]string{field: value})).User
}

func (p *person) leaves() {
	p.w.t.Helper()
	want(p.w.t, http.StatusOK)(p.client().Delete(p.w.t.Context(), p.Username))
}

// want takes an answer with a status.
var want = kithtest.Want

// soon waits until something is so.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	began := time.Now()
	if !kithtest.Poll(t.Context(), often, func() bool { return time.Since(began) > patience || so() }) || time.Since(began) > patience {
		t.Fatalf("after %s it is not so: %s", patience, what)
	}
}

// searching is the path of a page of a search.
func searching(q string, limit int, cursor string) string {
	query := url.Values{"q": {q}, "limit": {fmt.Sprint(limit)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return "/users/search?" + query.Encode()
}

// page answers a page of a search, whoever finds it.
func (w *world) page(q string, limit int, cursor string) *kithtest.Answer {
	w.t.Helper()
	a := want(w.t, http.StatusOK)(w.seeker.client().Get(w.t.Context(), searching(q, limit, cursor)))
	if a.Count != len(a.Users) {
		w.t.Errorf("q=%q: count %d of %d", q, a.Count, len(a.Users))
	}
	return a
}

// pages answers all pages of a search, at least one, whoever finds them.
func (w *world) pages(q string, limit int) (pages []*kithtest.Answer) {
	w.t.Helper()
	for cursor := ""; ; {
		a := w.page(q, limit, cursor)
		pages = append(pages, a)
		switch {
		case a.NextCursor == nil:
			return pages
		case len(pages) > mostPages:
			w.t.Fatalf("q=%q: there is no end", q)
		}
		cursor = *a.NextCursor
	}
}

// byEngine does searches again until the engine has found all that they found; it may
// be slow at times.
func (w *world) byEngine(do func()) {
	w.t.Helper()
	soon(w.t, "the engine answers", func() bool {
		before := w.answered()
		do()
		after := w.answered()
		return after.database == before.database && after.engine > before.engine
	})
}

// answered is how many searches the engine was asked, and how many the database
// answered in its stead.
type answered struct{ engine, database float64 }

func (w *world) answered() answered {
	w.t.Helper()
	values := w.series(searchSeries, fallbackSeries)
	return answered{values[0], values[1]}
}

// series returns the values of series of the metrics; 0 where there is none. They are
// not compressed on the way, which takes the server longer than to find them.
func (w *world) series(names ...string) []float64 {
	w.t.Helper()
	a := want(w.t, http.StatusOK)(w.Client().Do(w.t.Context(), kithtest.Request{
		Method: http.MethodGet, Path: "/metrics", Ops: true, Header: http.Header{"Accept-Encoding": {"identity"}},
	}))
	values := make([]float64, len(names))
	for line := range strings.Lines(string(a.Body)) {
		for i, name := range names {
			value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" ")
			if !ok {
				continue
			}
			var err error
			if values[i], err = strconv.ParseFloat(value, 64); err != nil {
				w.t.Fatalf("read the metric %s: %v", name, err)
			}
		}
	}
	return values
}

// metric returns the value of one.
func (w *world) metric(name string) float64 {
	w.t.Helper()
	return w.series(name)[0]
}

// finds waits until a search by the engine finds exactly these, in this order.
func (w *world) finds(q string, usernames ...string) {
	w.t.Helper()
	var found []string
	soon(w.t, fmt.Sprintf("%q finds %v", q, usernames), func() bool {
		w.byEngine(func() { found = namesOf(w.pages(q, 100)) })
		return slices.Equal(found, usernames)
	})
}

func namesOf(pages []*kithtest.Answer) (usernames []string) {
	for _, a := range pages {
		for _, u := range a.Users {
			usernames = append(usernames, u.Username)
		}
	}
	return usernames
}

// rows returns what the engine is to have of everybody, from the database.
func (w *world) rows() map[int64]document {
	w.t.Helper()
	query := `SELECT json_group_array(json_object('id', id, 'uid', lower(hex(uid)), 'username', username, 'name', name,
		'profile_picture', picture, 'version', version)) FROM users`
	if len(w.Stores()) > 0 {
		query = `SELECT json_agg(json_build_object('id', id, 'uid', replace(uid::text, '-', ''), 'username', username, 'name', name,
			'profile_picture', picture, 'version', version)) FROM users`
	}
	var all []struct {
		ID      int64 `json:"id"`
		Version int64 `json:"version"`
		source
	}
	if err := json.Unmarshal([]byte(w.Ask(query)), &all); err != nil {
		w.t.Fatal(err)
	}
	rows := make(map[int64]document, len(all))
	for _, r := range all {
		rows[r.ID] = document{r.Version, r.source}
	}
	return rows
}

// lag is how many records the engine was not told of.
func (w *world) lag() float64 { return w.metric(lagSeries) }

// caughtUp waits until the engine was told of everything, and wants its documents to
// be the rows, all of them and nothing else.
func (w *world) caughtUp() {
	w.t.Helper()
	soon(w.t, "the engine is told of everything", func() bool { return w.lag() == 0 })
	w.same()
}

// same wants the documents to be the rows.
func (w *world) same() {
	w.t.Helper()
	rows, docs := w.rows(), w.index.documents()
	if maps.Equal(rows, docs) {
		return
	}
	for id, row := range rows {
		if doc, ok := docs[id]; !ok || doc != row {
			w.t.Errorf("user %d: the document is %+v (%t), the row %+v", id, doc, ok, row)
		}
	}
	for id, doc := range docs {
		if _, ok := rows[id]; !ok {
			w.t.Errorf("user %d: there is a document and no row: %+v", id, doc)
		}
	}
	w.t.Fatalf("%d documents, %d rows", len(docs), len(rows))
}

// degraded waits until the server names the search as degraded, or does not; it is
// ready all the time.
func (w *world) degraded(is bool) {
	w.t.Helper()
	body := `"degraded":[]`
	if is {
		body = `"degraded":["search"]`
	}
	soon(w.t, "/readyz says "+body, func() bool {
		return strings.Contains(string(want(w.t, http.StatusOK)(w.Client().Get(w.t.Context(), "/readyz")).Body), body)
	})
}

// gauge waits until a series has a value.
func (w *world) gauge(series string, value float64) {
	w.t.Helper()
	soon(w.t, fmt.Sprint(series, " is ", value), func() bool { return w.metric(series) == value })
}
