// Package s3_test looks at the real binary with its photos in a bucket of a real
// server that verifies signatures.
//
//   - photos_test.go: a photo from its upload to the deletion of its user.
//   - away_test.go: buckets that are away, that refuse, that do not answer.
//   - settings_test.go: what stops a start.
//   - policy_test.go: the least that the keys must be allowed.
package s3_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/s3"
	"kith/test/kithtest"
	"kith/test/services"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }

const (
	password = "correct horse battery"
	prefix   = "ProfileProto/users/"
	// patience bounds what has to happen soon, on a machine that is busy.
	patience = time.Minute
	pollTime = 20 * time.Millisecond
)

// want takes an answer with a status.
var want = kithtest.Want

// person is a user with a client.
type person struct {
	*kithtest.Client
	kithtest.User
}

func register(t *testing.T, s *kithtest.Server, username string) person {
	t.Helper()
	a := want(t, http.StatusCreated)(s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: "A Name", Password: password}))
	return person{s.Client().As(a.Token), *a.User}
}

// path is where the photo of the person is.
func (p person) path() string { return prefix + p.UID + ".jpg" }

// upload asks for an upload URL of a kind of photo.
func (p person) upload(t *testing.T, kind string) string {
	t.Helper()
	a := want(t, http.StatusOK)(p.Do(t.Context(), uploading(kind)))
	var said struct {
		URL  string `json:"gateway_url"`
		Path string `json:"path"`
	}
	if err := json.Unmarshal(a.Body, &said); err != nil {
		t.Fatal(err)
	}
	if said.Path != p.path() {
		t.Errorf("path %q, want %q", said.Path, p.path())
	}
	return said.URL
}

func uploading(kind string) kithtest.Request {
	return kithtest.Request{Method: http.MethodPost, Path: "/users/profile-photo/upload", Body: map[string]string{"content_type": kind}}
}

// wears sets the profile picture to the upload.
func (p person) wears(ctx context.Context) (*kithtest.Answer, error) {
	return p.Update(ctx, map[string]any{"profile_picture": p.path()})
}

// look returns a store on a bucket, to see what is there.
func look(t *testing.T, b services.Bucket) *s3.Store {
	t.Helper()
	s, err := s3.New(s3.Config{Endpoint: b.Endpoint, Bucket: b.Name, Region: b.Region, AccessKey: b.AccessKey, SecretKey: b.SecretKey, Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// soon waits until something is so.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !kithtest.Poll(ctx, pollTime, so) {
		t.Fatalf("after %s it is not so: %s", patience, what)
	}
}

// gone waits until there is no photo of a person.
func gone(t *testing.T, s persistence.Blobs, p person) {
	t.Helper()
	soon(t, "the photo is gone", func() bool {
		_, err := s.Stat(t.Context(), p.path())
		return missing(err)
	})
}

// degraded waits until the server names, or does not name, the object store as
// degraded, ready all the time.
func degraded(t *testing.T, s *kithtest.Server, is bool) {
	t.Helper()
	body, gauge := `"degraded":[]`, "\nkith_s3_away 0\n"
	if is {
		body, gauge = `"degraded":["objects"]`, "\nkith_s3_away 1\n"
	}
	soon(t, "/readyz says "+body, func() bool {
		return strings.Contains(string(want(t, http.StatusOK)(s.Client().Get(t.Context(), "/readyz")).Body), body)
	})
	soon(t, "/metrics say"+gauge, func() bool {
		a := want(t, http.StatusOK)(s.Client().Do(t.Context(), kithtest.Request{Method: http.MethodGet, Path: "/metrics", Ops: true}))
		return strings.Contains(string(a.Body), gauge)
	})
}
