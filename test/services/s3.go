package services

import (
	"context"
	"sync"
	"testing"

	"kith/test/services/server"
)

//nolint:gochecknoglobals // of the process, like the others
var sharedS3 = sync.OnceValues(func() (*server.S3, error) {
	y, err := yard()
	if err != nil {
		return nil, err
	}
	return y.S3(context.Background())
})

// Bucket is a bucket of an S3 server, and who may do everything with it.
type Bucket struct{ Endpoint, Name, Region, AccessKey, SecretKey string }

// Env returns the settings of Kith for the bucket.
func (b Bucket) Env() []string {
	return []string{
		"KITH_S3_ENDPOINT=" + b.Endpoint, "KITH_S3_BUCKET=" + b.Name, "KITH_S3_REGION=" + b.Region,
		"KITH_S3_ACCESS_KEY=" + b.AccessKey, "KITH_S3_SECRET_KEY=" + b.SecretKey,
	}
}

// S3 returns a new, empty bucket of a server that verifies signatures. It goes with
// the process.
func S3(tb testing.TB) Bucket {
	tb.Helper()
	s, err := sharedS3()
	must(tb, server.KindS3, err)
	return bucket(tb, s)
}

func bucket(tb testing.TB, s *server.S3) Bucket {
	tb.Helper()
	name, err := s.Bucket(tb.Context())
	must(tb, server.KindS3, err)
	b := Bucket{Endpoint: s.Endpoint(), Name: name, Region: "us-east-1"}
	b.AccessKey, b.SecretKey = s.Keys()
	return b
}

// S3Server is an S3 server of one's own. What it has survives its end.
type S3Server struct {
	*server.S3

	tb testing.TB
}

// StartS3 starts an S3 server that ends with the test.
func StartS3(tb testing.TB) *S3Server {
	tb.Helper()
	_, err := server.Find(server.KindS3)
	must(tb, server.KindS3, err)
	y, err := yard()
	must(tb, server.KindS3, err)
	s, err := y.S3(tb.Context())
	must(tb, server.KindS3, err)
	tb.Cleanup(func() { check(tb, s.Remove()) })
	return &S3Server{S3: s, tb: tb}
}

// Bucket returns a new, empty bucket.
func (s *S3Server) Bucket() Bucket {
	s.tb.Helper()
	return bucket(s.tb, s.S3)
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *S3Server) Kill() {
	s.tb.Helper()
	check(s.tb, s.S3.Kill())
}

// Stop shuts the server down and waits until it is gone.
func (s *S3Server) Stop() {
	s.tb.Helper()
	check(s.tb, s.S3.Stop())
}

// Start starts the server again, on the same port, and waits until it answers.
func (s *S3Server) Start() {
	s.tb.Helper()
	check(s.tb, s.S3.Start(s.tb.Context()))
}
