package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/away"
	"kith/persistence/photo"
)

// Config is what a Store needs.
type Config struct {
	Endpoint  string // http[s]://host[:port]
	Bucket    string
	Region    string // "": us-east-1
	AccessKey string
	SecretKey string
	// Prefix begins all paths; below it the health of the bucket is asked for.
	Prefix string
	// Timeout bounds every call. 0: 3 s.
	Timeout time.Duration
	// Logger is told when the bucket goes and comes. nil: nobody is.
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: not registered
	Now        func() time.Time      // nil: time.Now
	// Transport makes the requests. nil: one of its own.
	Transport http.RoundTripper
}

// DefaultRegion is where buckets are that are nowhere else.
const DefaultRegion = "us-east-1"

const (
	defaultTimeout = 3 * time.Second
	// readers is how many photos are looked at at once. One can hold
	// persistence.MaxPhotoBytes of memory, though most are told by their beginning.
	readers = 16
	// maxTTL is the longest time for which a URL can be signed.
	maxTTL = 7 * 24 * time.Hour
)

// Store is a bucket of photos.
type Store struct {
	base        string // of the URLs of objects, with a slash
	region      string
	credentials aws.Credentials
	probed      string // the path that is asked for to see whether the bucket is there
	timeout     time.Duration
	logger      *slog.Logger
	now         func() time.Time
	client      *http.Client
	signer      *v4.Signer
	metrics     *metrics

	reading chan struct{} // a place each; full: the next waits, for as long as a call may take
	watch   *away.Watch
}

var _ persistence.Blobs = (*Store)(nil)

// New makes a Store. It asks nothing of the server: Run does.
func New(cfg Config) (*Store, error) {
	if cfg.Region == "" {
		cfg.Region = DefaultRegion
	}
	for _, err := range []error{
		CheckEndpoint(cfg.Endpoint), CheckBucket(cfg.Bucket), CheckRegion(cfg.Region), CheckAccessKey(cfg.AccessKey), CheckSecretKey(cfg.SecretKey),
	} {
		if err != nil {
			return nil, fmt.Errorf("s3: need %w", err)
		}
	}
	probed := cfg.Prefix + "kith-probe"
	switch {
	case !persistence.ValidBlobPath(probed):
		return nil, errors.New("s3: the prefix begins no path")
	case cfg.Timeout < 0:
		return nil, fmt.Errorf("s3: timeout %s", cfg.Timeout)
	case cfg.Timeout == 0:
		cfg.Timeout = defaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: readers, IdleConnTimeout: time.Minute,
			DisableCompression: true, // sizes are those of the objects
		}
	}
	s := &Store{
		base: strings.TrimRight(cfg.Endpoint, "/") + "/" + cfg.Bucket + "/", region: cfg.Region, probed: probed,
		credentials: aws.Credentials{AccessKeyID: cfg.AccessKey, SecretAccessKey: cfg.SecretKey},
		timeout:     cfg.Timeout, logger: cfg.Logger, now: cfg.Now, metrics: newMetrics(),
		// A redirect says that the bucket is elsewhere, where this signature does not hold.
		client:  &http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		signer:  v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), // as S3 wants it
		reading: make(chan struct{}, readers),
	}
	s.watch = away.New(s.timeout, s.probe, s.told)
	if err := s.metrics.register(cfg.Registerer, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Close closes connections that are idle.
func (s *Store) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// UploadURL implements persistence.Blobs. The PUT must have the content type as its
// Content-Type. A URL for a bucket that is known to be away is not made, though it
// could be: nobody could use it.
func (s *Store) UploadURL(ctx context.Context, path, contentType string, ttl time.Duration) (string, error) {
	switch {
	case !persistence.ValidBlobPath(path):
		return "", errors.New("s3: upload URL: not a path of a blob")
	case !persistence.PhotoType(contentType):
		return "", fmt.Errorf("s3: upload URL for %s: %w", path, persistence.ErrNotPhoto)
	case ttl < time.Second || ttl > maxTTL:
		return "", fmt.Errorf("s3: upload URL for %s: it cannot work for %s", path, ttl)
	case s.watch.Away():
		return "", fmt.Errorf("s3: upload URL for %s: %w", path, persistence.ErrAway)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.base+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("s3: upload URL for %s: %w", path, err)
	}
	r.Header.Set("Content-Type", contentType) // signed, like the host
	// From the second that has begun, so that it works for all of ttl.
	seconds := int64((ttl + 2*time.Second - time.Nanosecond) / time.Second)
	r.URL.RawQuery = url.Values{"X-Amz-Expires": {strconv.FormatInt(min(seconds, int64(maxTTL/time.Second)), 10)}}.Encode()
	signed, _, err := s.signer.PresignHTTP(ctx, s.credentials, r, "UNSIGNED-PAYLOAD", "s3", s.region, s.now())
	if err != nil {
		return "", fmt.Errorf("s3: upload URL for %s: %w", path, err)
	}
	return signed, nil
}

// Stat implements persistence.Blobs. It reads the photo as far as needed to know
// what it is. One that was uploaded as another kind than it is has the content type
// "": whoever gets it from the bucket is told a wrong one.
func (s *Store) Stat(ctx context.Context, path string) (persistence.BlobInfo, error) {
	if !persistence.ValidBlobPath(path) {
		return persistence.BlobInfo{}, fmt.Errorf("s3: stat: %w", persistence.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return persistence.BlobInfo{}, fmt.Errorf("s3: stat %s: %w", path, persistence.ErrBusy)
	}
	var info persistence.BlobInfo
	err := s.call(ctx, callStat, http.MethodGet, path, func(a *http.Response) (err error) {
		info, err = look(a)
		return err
	})
	return info, err
}

// look reads what an object is.
func look(a *http.Response) (persistence.BlobInfo, error) {
	modified, err := http.ParseTime(a.Header.Get("Last-Modified"))
	if err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("it does not say when the object was made: %w", err)
	}
	if a.ContentLength < 0 {
		return persistence.BlobInfo{}, errors.New("it does not say how large the object is")
	}
	info := persistence.BlobInfo{Size: a.ContentLength, ModTime: modified.UTC()}
	if info.Size > persistence.MaxPhotoBytes {
		return info, nil // whatever it is
	}
	body := &readerAt{r: a.Body}
	if kind := photo.Kind(body, info.Size); kind == a.Header.Get("Content-Type") {
		info.ContentType = kind
	}
	return info, body.err
}

// Delete implements persistence.Blobs.
func (s *Store) Delete(ctx context.Context, path string) error {
	if !persistence.ValidBlobPath(path) {
		return errors.New("s3: delete: not a path of a blob")
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.call(ctx, callDelete, http.MethodDelete, path, func(*http.Response) error { return nil })
	if errors.Is(err, persistence.ErrNotFound) { // as some servers say
		return nil
	}
	return err
}

// readerAt reads a stream as far as somebody wants to see, and keeps that.
type readerAt struct {
	r    io.Reader
	read []byte
	err  error // why it does not go on, unless that is its end
}

// ReadAt implements io.ReaderAt. It is not for concurrent use.
func (r *readerAt) ReadAt(p []byte, off int64) (int, error) {
	if want := off + int64(len(p)); r.err == nil && want > int64(len(r.read)) {
		more, err := io.ReadAll(io.LimitReader(r.r, want-int64(len(r.read))))
		r.read, r.err = append(r.read, more...), err
	}
	if off >= int64(len(r.read)) {
		return 0, io.EOF
	}
	n := copy(p, r.read[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
