package demopage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

// Path is where the page is.
const Path = "/demo"

const (
	// slashed leads to Path.
	slashed = Path + "/"
	folder  = "web"
	index   = "index.html"
	// assets is where the files of the page are, under a name that changes with
	// them: they may be kept for ever, and two versions never mix.
	assets = Path + "/assets/"
)

//go:embed web
var web embed.FS

// policy lets the page load its own files and speak to its own server, and
// nothing else: no inline script or style, no other host, no frame, and no text
// that becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Page serves the live page.
type Page struct {
	files map[string]file // by path
}

type file struct {
	content     []byte
	contentType string
	tag         string
	immutable   bool
}

// New makes the page of the embedded files.
func New() (*Page, error) { return newPage(web) }

func newPage(from fs.FS) (*Page, error) {
	contents, names, err := read(from)
	if err != nil {
		return nil, fmt.Errorf("demopage: %w", err)
	}
	at := assets + version(contents, names)
	p := &Page{files: make(map[string]file, len(names))}
	var modules strings.Builder
	for _, name := range names {
		if name == index {
			continue
		}
		contentType, err := typeOf(name)
		if err != nil {
			return nil, fmt.Errorf("demopage: %w", err)
		}
		p.files[at+"/"+name] = file{contents[name], contentType, tagOf(contents[name]), true}
		// Modules that import each other would else be fetched one after another.
		if strings.HasSuffix(name, ".js") && name != "theme.js" {
			fmt.Fprintf(&modules, "<link rel=\"modulepreload\" href=\"%s/%s\">\n", at, name)
		}
	}
	html := strings.NewReplacer("{{assets}}", at, "{{modules}}\n", modules.String()).Replace(string(contents[index]))
	p.files[Path] = file{[]byte(html), "text/html; charset=utf-8", tagOf([]byte(html)), false}
	return p, nil
}

// Paths returns every path that the page answers, sorted. The rest is not found.
func (p *Page) Paths() []string {
	paths := append(make([]string, 0, len(p.files)+1), slashed)
	for at := range p.files {
		paths = append(paths, at)
	}
	slices.Sort(paths)
	return paths
}

// ServeHTTP answers GET and HEAD of one of Paths.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == slashed {
		http.Redirect(w, r, Path, http.StatusPermanentRedirect)
		return
	}
	f, ok := p.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("ETag", f.tag)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	}
	// The tag alone says whether a client has it: an embedded file has no time.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// read returns the files of the page, and their names in order.
func read(from fs.FS) (contents map[string][]byte, names []string, err error) {
	entries, err := fs.ReadDir(from, folder)
	if err != nil {
		return nil, nil, fmt.Errorf("read the files: %w", err)
	}
	contents = make(map[string][]byte, len(entries))
	for _, entry := range entries {
		b, err := fs.ReadFile(from, path.Join(folder, entry.Name()))
		if err != nil {
			return nil, nil, fmt.Errorf("read a file: %w", err)
		}
		contents[entry.Name()] = b
		names = append(names, entry.Name())
	}
	if contents[index] == nil {
		return nil, nil, errors.New("there is no " + index)
	}
	return contents, names, nil
}

// version names a state of all files.
func version(contents map[string][]byte, names []string) string {
	all := sha256.New()
	for _, name := range names {
		fmt.Fprintf(all, "%s %d\n", name, len(contents[name]))
		all.Write(contents[name])
	}
	return hex.EncodeToString(all.Sum(nil)[:8])
}

// typeOf does not ask the machine, whose own table of types may say something else.
func typeOf(name string) (string, error) {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8", nil
	case ".js":
		return "text/javascript; charset=utf-8", nil
	case ".svg":
		return "image/svg+xml", nil
	}
	return "", fmt.Errorf("%s is of no known type", name)
}

func tagOf(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}
