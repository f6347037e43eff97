package disk_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kith/persistence"
	"kith/persistence/disk"
	"kith/persistence/persistencetest"
)

func TestBlobs(t *testing.T) {
	t.Parallel()
	persistencetest.RunBlobs(t, func(t *testing.T) persistence.Blobs {
		t.Helper()
		var s *disk.Store
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { take(w, r, s) }))
		t.Cleanup(server.Close)
		s, err := disk.New(disk.Config{Dir: t.TempDir(), Base: server.URL + "/uploads", Secret: bytes.Repeat([]byte("s"), 32)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// take takes an upload as the gateway does.
func take(w http.ResponseWriter, r *http.Request, s *disk.Store) {
	upload, err := s.Authorise(strings.TrimPrefix(r.URL.Path, "/uploads/"), r.URL.RawQuery)
	if err == nil {
		_, err = s.Put(r.Context(), upload, r.Body)
	}
	switch {
	case err == nil:
	case errors.Is(err, persistence.ErrUpload):
		w.WriteHeader(http.StatusForbidden)
	case errors.Is(err, persistence.ErrTooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case errors.Is(err, persistence.ErrNotPhoto):
		w.WriteHeader(http.StatusUnsupportedMediaType)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}
