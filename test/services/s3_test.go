package services_test

import (
	"net/http"
	"testing"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/s3"
	"kith/test/services"
)

// album returns a store on a bucket.
func album(t *testing.T, b services.Bucket) *s3.Store {
	t.Helper()
	s, err := s3.New(s3.Config{Endpoint: b.Endpoint, Bucket: b.Name, Region: b.Region, AccessKey: b.AccessKey, SecretKey: b.SecretKey, Prefix: "photos/"})
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

func TestS3KeepsWhatItHasThroughKillAndStop(t *testing.T) {
	t.Parallel()
	s := services.StartS3(t)
	bucket := s.Bucket()
	store := album(t, bucket)
	url, err := store.UploadURL(t.Context(), "photos/a.jpg", persistence.TypePNG, persistence.UploadTTL)
	if err != nil {
		t.Fatal(err)
	}
	if status := persistencetest.PutPhoto(t, url, persistence.TypePNG, persistencetest.Photo(persistence.TypePNG, 3)); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	guest := bucket
	guest.AccessKey, guest.SecretKey = s.Guest()
	for _, end := range []func(){s.Kill, s.Stop} {
		end()
		if _, err := store.Stat(t.Context(), "photos/a.jpg"); err == nil || s.PID() != 0 {
			t.Error("it answers")
		}
		s.Start()
		if _, err := store.Stat(t.Context(), "photos/a.jpg"); err != nil {
			t.Errorf("it came back without: %v", err)
		}
		if _, err := album(t, guest).Stat(t.Context(), "photos/a.jpg"); err == nil {
			t.Error("a guest may read")
		}
	}
}

func TestNobodySharesABucket(t *testing.T) {
	t.Parallel()
	a, b := services.S3(t), services.S3(t)
	if a.Name == b.Name || a.Endpoint != b.Endpoint {
		t.Errorf("the buckets are %s of %s and %s of %s", a.Name, a.Endpoint, b.Name, b.Endpoint)
	}
}
