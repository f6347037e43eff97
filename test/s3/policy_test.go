package s3_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/test/kithtest"
	"kith/test/services"
)

// documented returns a block of the guide, for a bucket.
func documented(t *testing.T, name, bucket string) string {
	t.Helper()
	guide, err := os.ReadFile("../../docs/guide/production.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(guide), "```json "+name+"\n")
	block, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatalf("the guide has no block %q", name)
	}
	return strings.ReplaceAll(block, "kith-photos", bucket)
}

// policy makes statements for users those of a bucket, for one of them.
func policy(t *testing.T, user string, documents ...string) string {
	t.Helper()
	var all struct {
		Version   string
		Statement []map[string]any
	}
	for _, document := range documents {
		var one struct {
			Version   string
			Statement []map[string]any
		}
		if err := json.Unmarshal([]byte(document), &one); err != nil {
			t.Fatal(err)
		}
		for _, statement := range one.Statement {
			if statement["Principal"] == nil {
				statement["Principal"] = map[string]any{"AWS": user}
			}
			all.Statement = append(all.Statement, statement)
		}
		all.Version = one.Version
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func configure(t *testing.T, s *services.S3Server, target, body string) {
	t.Helper()
	if err := s.Configure(t.Context(), target, body); err != nil {
		t.Fatal(err)
	}
}

// What the guide says that the keys must be allowed is enough, and no less is.
func TestThePolicyOfTheGuide(t *testing.T) {
	t.Parallel()
	s := services.StartS3(t)
	bucket := s.Bucket()
	root := look(t, bucket)
	bucket.AccessKey, bucket.SecretKey = s.Guest()
	server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
	degraded(t, server, true) // nothing is allowed yet

	least := documented(t, "policy", bucket.Name)
	configure(t, s, "/"+bucket.Name+"?policy=", policy(t, bucket.AccessKey, least))
	degraded(t, server, false)
	ada := register(t, server, "policy_ada")
	want(t, http.StatusOK)(ada.wears(t.Context()))
	photo := persistencetest.Photo(persistence.TypePNG, 9)
	if status := persistencetest.PutPhoto(t, ada.upload(t, persistence.TypePNG), persistence.TypePNG, photo); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	want(t, http.StatusOK)(ada.wears(t.Context()))

	read := bucket.Endpoint + "/" + bucket.Name + "/" + ada.path()
	if status, _ := send(t, http.MethodGet, read, nil); status != http.StatusForbidden {
		t.Errorf("everybody may read: status %d", status)
	}
	configure(t, s, "/"+bucket.Name+"?policy=", policy(t, bucket.AccessKey, least, documented(t, "reading", bucket.Name)))
	if status, h := send(t, http.MethodGet, read, nil); status != http.StatusOK || h.Get("Content-Type") != persistence.TypePNG {
		t.Errorf("nobody may read: status %d, %v", status, h)
	}

	want(t, http.StatusOK)(ada.Delete(t.Context(), ada.Username))
	gone(t, root, ada)
}

// send sends a request without a signature.
func send(t *testing.T, method, to string, header http.Header) (int, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, to, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	r.Close = true
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Body.Close(); err != nil {
		t.Error(err)
	}
	return a.StatusCode, a.Header
}

// A browser asks before it uploads.
func TestTheCORSOfTheGuide(t *testing.T) {
	t.Parallel()
	s := services.StartS3(t)
	bucket := s.Bucket()
	var cors struct {
		CORSRules []struct {
			AllowedOrigins, AllowedMethods, AllowedHeaders []string
			MaxAgeSeconds                                  int
		}
	}
	if err := json.Unmarshal([]byte(documented(t, "cors", bucket.Name)), &cors); err != nil || len(cors.CORSRules) != 1 {
		t.Fatalf("%+v, %v", cors, err)
	}
	rule := cors.CORSRules[0]
	xml := fmt.Sprintf("<CORSConfiguration><CORSRule>%s%s%s<MaxAgeSeconds>%d</MaxAgeSeconds></CORSRule></CORSConfiguration>",
		elements("AllowedOrigin", rule.AllowedOrigins), elements("AllowedMethod", rule.AllowedMethods), elements("AllowedHeader", rule.AllowedHeaders), rule.MaxAgeSeconds)
	configure(t, s, "/"+bucket.Name+"?cors=", xml)

	server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
	url := register(t, server, "cors_ada").upload(t, persistence.TypePNG)
	for origin, may := range map[string]bool{"https://app.example.com": true, "https://elsewhere.example.com": false} {
		status, h := send(t, http.MethodOptions, url, http.Header{
			"Origin": {origin}, "Access-Control-Request-Method": {http.MethodPut}, "Access-Control-Request-Headers": {"content-type"},
		})
		if got := status == http.StatusOK && h.Get("Access-Control-Allow-Origin") == origin; got != may {
			t.Errorf("%s: status %d, %v", origin, status, h)
		}
	}
}

func elements(name string, values []string) string {
	var b strings.Builder
	for _, v := range values {
		b.WriteString("<" + name + ">" + v + "</" + name + ">")
	}
	return b.String()
}
