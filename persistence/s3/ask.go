package s3

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"

	"kith/persistence"
)

// The calls, as the metrics name them.
const (
	callStat   = "stat"
	callDelete = "delete"
	callProbe  = "probe"
)

const (
	// emptyHash is the SHA-256 of a request without a body.
	emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	// maxError is as much of an error as is read.
	maxError = 64 << 10
)

// call makes a request, unless the bucket is known to be away, and has use read its
// answer. The error matches persistence.ErrNotFound where there is no such object,
// persistence.ErrAway where the server did not do what was asked, or is that of ctx
// when the caller has gone.
func (s *Store) call(ctx context.Context, name, method, path string, use func(*http.Response) error) error {
	if s.watch.Away() {
		return fmt.Errorf("s3: %s %s: %w", name, path, persistence.ErrAway)
	}
	err := s.ask(ctx, name, method, path, use)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, persistence.ErrNotFound):
	case errors.Is(ctx.Err(), context.Canceled): // nobody waits for it any more
		err = ctx.Err()
	default:
		err = fmt.Errorf("%w: %w", persistence.ErrAway, err)
		s.watch.Suspect()
	}
	return fmt.Errorf("s3: %s %s: %w", name, path, err)
}

// ask makes a request in any case.
func (s *Store) ask(ctx context.Context, name, method, path string, use func(*http.Response) error) (err error) {
	start := s.now()
	defer func() {
		s.metrics.seconds.WithLabelValues(name).Observe(s.now().Sub(start).Seconds())
		if err != nil && !errors.Is(err, persistence.ErrNotFound) && !errors.Is(ctx.Err(), context.Canceled) {
			s.metrics.failures.WithLabelValues(name).Inc()
		}
	}()
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	if err := s.signer.SignHTTP(ctx, s.credentials, r, emptyHash, "s3", s.region, start); err != nil {
		return fmt.Errorf("sign a request: %w", err)
	}
	a, err := s.client.Do(r)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = a.Body.Close() }() // it was only read
	switch a.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		return use(a)
	}
	return refusal(a)
}

// refusal returns what the server says. Only by the code can a missing object be
// told from a missing bucket.
func refusal(a *http.Response) error {
	var said struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	err := xml.NewDecoder(io.LimitReader(a.Body, maxError)).Decode(&said)
	switch {
	case err != nil:
		return fmt.Errorf("the server answers %s", a.Status)
	case a.StatusCode == http.StatusNotFound && said.Code == "NoSuchKey":
		return persistence.ErrNotFound
	}
	return fmt.Errorf("the server answers %s, %s: %s", a.Status, said.Code, said.Message)
}
