package gateway

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// docsPage renders the description of the API. It loads nothing else.
//
//go:embed docs.html
var docsPage string

func (s *Server) addDocs() {
	handleStream(s, route{
		method: http.MethodGet, path: "/openapi.json", id: "get-openapi", tag: tagHealth, public: true, hidden: true,
	}, func(x *exchange, _ *struct{}) error {
		b, err := s.described()
		if err != nil {
			return err
		}
		writeFile(x, contentJSON, b)
		return nil
	})
	page := []byte(docsPage)
	policy := docsPolicy(docsPage)
	handleStream(s, route{
		method: http.MethodGet, path: "/docs", id: "get-docs", tag: tagHealth, public: true, hidden: true,
	}, func(x *exchange, _ *struct{}) error {
		h := x.w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		writeFile(x, "text/html; charset=utf-8", page)
		return nil
	})
}

// docsPolicy allows what the page itself holds, and to fetch from where it came.
func docsPolicy(page string) string {
	return "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"script-src " + hashOf(page, "script") + "; style-src " + hashOf(page, "style")
}

// hashOf names the content of the one element of a kind, as a policy does.
func hashOf(page, element string) string {
	_, rest, _ := strings.Cut(page, "<"+element+">")
	content, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// writeFile answers with what stays as it is while the process runs.
func writeFile(x *exchange, contentType string, b []byte) {
	h := x.w.Header()
	tag := bytesTag(b)
	h.Set("ETag", tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if unchanged(x.r.Header["If-None-Match"], tag) {
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = x.w.Write(b) // the server finds out by itself that the client is gone
}

// encodeDescription encodes the description.
func (s *Server) encodeDescription() ([]byte, error) {
	b, err := json.Marshal(s.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode the description of the API: %w", err)
	}
	return b, nil
}
