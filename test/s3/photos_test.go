package s3_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/test/kithtest"
	"kith/test/services"
)

func missing(err error) bool { return errors.Is(err, persistence.ErrNotFound) }

func TestAPhotoLivesInTheBucket(t *testing.T) {
	t.Parallel()
	bucket := services.S3(t)
	server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
	store := look(t, bucket)
	ada := register(t, server, "photo_ada")

	// An upload may be yet to come.
	if got := want(t, http.StatusOK)(ada.wears(t.Context())); got.User.Picture != ada.path() {
		t.Errorf("picture %q", got.User.Picture)
	}
	for _, kind := range []string{persistence.TypeJPEG, persistence.TypePNG, persistence.TypeWebP} {
		url := ada.upload(t, kind)
		if !strings.HasPrefix(url, bucket.Endpoint+"/"+bucket.Name+"/"+ada.path()+"?") || strings.Contains(url, bucket.SecretKey) {
			t.Errorf("URL %s", url)
		}
		photo := persistencetest.Photo(kind, 20)
		for _, wrong := range []struct{ why, url, kind string }{
			{"another type", url, "text/html"},
			{"another user", strings.Replace(url, ada.UID, strings.Repeat("0", 32), 1), kind},
			{"more time", strings.Replace(url, "X-Amz-Expires=1201", "X-Amz-Expires=9999", 1), kind},
		} {
			if status := persistencetest.PutPhoto(t, wrong.url, wrong.kind, photo); status != http.StatusForbidden {
				t.Errorf("%s: status %d", wrong.why, status)
			}
		}
		if status := persistencetest.PutPhoto(t, url, kind, photo); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
		want(t, http.StatusOK)(ada.wears(t.Context()))
		if info, err := store.Stat(t.Context(), ada.path()); err != nil || info.ContentType != kind || info.Size != int64(len(photo)) {
			t.Errorf("in the bucket: %+v, %v", info, err)
		}
	}
	// Whoever may read is decided by the bucket; here that is nobody, and kith hands
	// out nothing itself.
	if status, _ := send(t, http.MethodGet, bucket.Endpoint+"/"+bucket.Name+"/"+ada.path(), nil); status != http.StatusForbidden {
		t.Errorf("without a signature: status %d", status)
	}
	want(t, http.StatusNotFound)(server.Client().Get(t.Context(), "/media/"+ada.path()))
	if _, err := os.Stat(server.File("photos")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data dir has photos: %v", err)
	}

	// Another server on the same bucket, as after a restart.
	server.Stop()
	server.Launch()
	server.AwaitReady()
	want(t, http.StatusOK)(ada.wears(t.Context()))

	want(t, http.StatusOK)(ada.Delete(t.Context(), ada.Username))
	gone(t, store, ada)
	// A URL that was handed out may bring it back: what is to be erased once more is
	// noted.
	if noted, err := os.ReadDir(server.File("erasures")); err != nil || len(noted) != 1 || !strings.Contains(noted[0].Name(), ada.UID) {
		t.Errorf("noted: %v, %v", noted, err)
	}
	for _, key := range []string{bucket.SecretKey, "X-Amz-Signature"} {
		if strings.Contains(server.Log(), key) {
			t.Errorf("the log shows %s", key)
		}
	}
}

// A signature binds nobody to the limits. They are looked at when the photo is to be
// shown.
func TestWhatBreaksTheLimitsOfAPhotoIsNotTaken(t *testing.T) {
	t.Parallel()
	server := kith.Start(t, kithtest.Options{Env: services.S3(t).Env()})
	ada := register(t, server, "limit_ada")
	large := append(persistencetest.Photo(persistence.TypeJPEG, 9), make([]byte, persistence.MaxPhotoBytes)...)
	url := ada.upload(t, persistence.TypeJPEG)
	for _, tt := range []struct {
		what   string
		body   []byte
		status int
	}{
		{"a page", []byte("<!DOCTYPE html><script>alert(1)</script>"), http.StatusBadRequest},
		{"nothing", nil, http.StatusBadRequest},
		{"a page that begins like a photo", append([]byte("\xff\xd8\xff\xe0"), []byte(strings.Repeat("<script>", 50))...), http.StatusBadRequest},
		{"another kind of photo", persistencetest.Photo(persistence.TypePNG, 9), http.StatusBadRequest},
		{"a byte too much", large[:persistence.MaxPhotoBytes+1], http.StatusBadRequest},
		{"all that is allowed", large[:persistence.MaxPhotoBytes], http.StatusOK},
	} {
		if status := persistencetest.PutPhoto(t, url, persistence.TypeJPEG, tt.body); status != http.StatusOK {
			t.Fatalf("%s: status %d", tt.what, status)
		}
		a := want(t, tt.status)(ada.wears(t.Context()))
		b := want(t, tt.status)(ada.Do(t.Context(), kithtest.Request{
			Method: http.MethodPatch, Path: "/users/self/profile", Body: map[string]string{"avatar_url": ada.path()},
		}))
		if tt.status == http.StatusBadRequest && (a.Code != "invalid_profile_picture" || b.Code != "invalid_avatar_url" || !strings.Contains(a.Message, "5 MiB")) {
			t.Errorf("%s: %s, %s", tt.what, a, b)
		}
	}
}
