package s3_test

import (
	"testing"

	"go.uber.org/goleak"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/s3"
	"kith/test/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	prefix = "ProfileProto/users/"
	path   = prefix + "0190a1b2c3d4e5f60718293a4b5c6d7e.jpg"
)

// config returns what a store on a bucket needs.
func config(b services.Bucket) s3.Config {
	return s3.Config{Endpoint: b.Endpoint, Bucket: b.Name, Region: b.Region, AccessKey: b.AccessKey, SecretKey: b.SecretKey, Prefix: prefix}
}

// open makes a store that ends with the test.
func open(t *testing.T, cfg s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.New(cfg)
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

func TestBlobs(t *testing.T) {
	t.Parallel()
	persistencetest.RunBlobs(t, func(t *testing.T) persistence.Blobs {
		t.Helper()
		return open(t, config(services.S3(t)))
	})
}
