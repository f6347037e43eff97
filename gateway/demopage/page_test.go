package demopage_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"kith/gateway/demopage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func page(t *testing.T) *demopage.Page {
	t.Helper()
	p, err := demopage.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is what the page says.
type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, h http.Handler, method, at string, header ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, at, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

func TestEveryPathIsServed(t *testing.T) {
	t.Parallel()
	p := page(t)
	if len(p.Paths()) < 10 || !slices.Contains(p.Paths(), demopage.Path) || !slices.IsSorted(p.Paths()) {
		t.Errorf("the paths are %v", p.Paths())
	}
	for _, at := range p.Paths() {
		if at == "/demo/" {
			continue
		}
		a := ask(t, p, http.MethodGet, at)
		h := a.header
		if a.status != http.StatusOK || a.body == "" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("ETag") == "" {
			t.Errorf("%s: %d, %d bytes, %v", at, a.status, len(a.body), h)
		}
		want := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", "": "text/html; charset=utf-8"}[path.Ext(at)]
		if h.Get("Content-Type") != want || want == "" {
			t.Errorf("%s is %s", at, h.Get("Content-Type"))
		}
		if immutable := strings.Contains(h.Get("Cache-Control"), "immutable"); immutable == (at == demopage.Path) {
			t.Errorf("%s: %s", at, h.Get("Cache-Control"))
		}
		if again := ask(t, p, http.MethodGet, at, "If-None-Match", h.Get("ETag")); again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("%s, asked for again: %d", at, again.status)
		}
		if head := ask(t, p, http.MethodHead, at); head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != h.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", at, head.status, head.header)
		}
	}
	if a := ask(t, p, http.MethodGet, "/demo/"); a.status != http.StatusPermanentRedirect || a.header.Get("Location") != "/demo" || !slices.Contains(p.Paths(), "/demo/") {
		t.Errorf("/demo/: %d to %s", a.status, a.header.Get("Location"))
	}
	for _, at := range []string{"/demo/assets/", "/demo/assets/0/main.js", "/demo/index.html", "/"} {
		if a := ask(t, p, http.MethodGet, at); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", at, a.status)
		}
	}
}

// Nothing but the page's own files may run, and nothing may be loaded from
// elsewhere.
func TestThePolicyIsStrict(t *testing.T) {
	t.Parallel()
	a := ask(t, page(t), http.MethodGet, demopage.Path)
	html, policy := a.body, a.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
		t.Errorf("the policy is %s", policy)
	}
	if inline := regexp.MustCompile(`(?i)<style|<script>|\sstyle=|\son[a-z]+=|javascript:`).FindString(html); inline != "" {
		t.Errorf("the page has %q in it", inline)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if to := m[1]; !strings.HasPrefix(to, "/demo/assets/") && !strings.HasPrefix(to, "#") && to != "/docs" {
			t.Errorf("the page refers to %s", to)
		}
	}
}

// source returns a file of the page.
func source(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(demopage.Web(), "web/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func names(t *testing.T, extension string) []string {
	t.Helper()
	all, err := fs.Glob(demopage.Web(), "web/*"+extension)
	if err != nil || len(all) == 0 {
		t.Fatalf("%v: %v", all, err)
	}
	for i := range all {
		all[i] = path.Base(all[i])
	}
	return all
}

// No text of anybody becomes markup: nothing in the page can make it so.
func TestTextIsNeverMarkup(t *testing.T) {
	t.Parallel()
	way := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|parseFromString|\beval\(|new Function|setHTML`)
	for _, name := range names(t, ".js") {
		if found := way.FindString(source(t, name)); found != "" {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

// Every module is fetched at once, and what the page and its modules name is there.
func TestNothingIsMissing(t *testing.T) {
	t.Parallel()
	p := page(t)
	html := ask(t, p, http.MethodGet, demopage.Path).body
	for _, m := range regexp.MustCompile(`"(/demo/assets/[^"]*)"`).FindAllStringSubmatch(html, -1) {
		if !slices.Contains(p.Paths(), m[1]) {
			t.Errorf("the page refers to %s", m[1])
		}
	}
	if strings.Contains(html, "{{") {
		t.Error("a placeholder is left in the page")
	}
	modules := names(t, ".js")
	for _, name := range modules {
		for _, m := range regexp.MustCompile(`from "([^"]*)"`).FindAllStringSubmatch(source(t, name), -1) {
			if !slices.Contains(modules, strings.TrimPrefix(m[1], "./")) {
				t.Errorf("%s imports %s", name, m[1])
			}
		}
		if name != "theme.js" && !regexp.MustCompile(`<link rel="modulepreload" href="/demo/assets/[0-9a-f]+/`+name+`">`).MatchString(html) {
			t.Errorf("%s is not preloaded", name)
		}
		for _, m := range regexp.MustCompile(`\$\("([a-z-]+)"\)`).FindAllStringSubmatch(source(t, name), -1) {
			// What a dialog shows is made when it opens.
			if !strings.Contains(html, `id="`+m[1]+`"`) && m[1] != "dialog-title" {
				t.Errorf("%s looks for #%s", name, m[1])
			}
		}
	}
}

// A file that changes has another path: the old one may be kept for ever.
func TestAChangeChangesThePaths(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"web/index.html": {Data: []byte(`<script src="{{assets}}/a.js"></script>`)}, "web/a.js": {Data: []byte("1")}, "web/b.js": {Data: []byte("2")},
	}
	paths := func() []string {
		p, err := demopage.NewPage(files)
		if err != nil {
			t.Fatal(err)
		}
		return p.Paths()
	}
	before := paths()
	files["web/b.js"] = &fstest.MapFile{Data: []byte("3")}
	for _, at := range paths() {
		if slices.Contains(before, at) && strings.Contains(at, "assets") {
			t.Errorf("%s stays", at)
		}
	}
	files["web/c.exe"] = &fstest.MapFile{Data: []byte("4")}
	if _, err := demopage.NewPage(files); err == nil {
		t.Error("a file of no known type is served")
	}
	delete(files, "web/index.html")
	if _, err := demopage.NewPage(files); err == nil {
		t.Error("there is a page without its index")
	}
}

// The films of the page are those of the demo's world, and each has its poster.
func TestTheFilmsAreThoseOfTheDemo(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../demo/data/films.txt")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), "|"); len(f) == 3 {
			want = append(want, strings.Join(f, "|"))
		}
	}
	motifs, palettes := source(t, "motifs.js"), source(t, "poster.js")
	var got []string
	for _, m := range regexp.MustCompile(`\[(\d+), "([^"]*)", "([^"]*)", (\d{4}), "(\w+)", "(\w+)"\]`).FindAllStringSubmatch(source(t, "films.js"), -1) {
		got = append(got, strings.Join(m[1:4], "|"))
		if !strings.Contains(motifs, "\n  "+m[5]+": ") || !strings.Contains(palettes, "\n  "+m[6]+": [") {
			t.Errorf("the poster of %s is %s in %s", m[2], m[5], m[6])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d films, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
}
