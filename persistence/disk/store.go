package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/photo"
)

// Config is what a Store needs.
type Config struct {
	Dir string // of the files; made when it is not there
	// Base is where the gateway takes uploads, such as
	// http://127.0.0.1:8080/uploads.
	Base string
	// Secret signs upload URLs: at least 32 bytes. URLs do not outlive it.
	Secret []byte
	// Uploads is how many are taken at once, one of each path; more are refused
	// with ErrBusy. They need that many times persistence.MaxPhotoBytes of disk.
	// 0: 32.
	Uploads    int
	Registerer prometheus.Registerer // nil: not registered
	Now        func() time.Time      // nil: time.Now
}

// Store is a directory of photos.
type Store struct {
	root    *os.Root
	base    string
	key     [sha256.Size]byte
	now     func() time.Time
	places  int
	uploads *prometheus.CounterVec

	mu      sync.Mutex
	filling map[string]struct{} // paths of uploads in flight, at most places; full: the upload is refused
}

var _ persistence.HostedBlobs = (*Store)(nil)

const (
	defaultUploads = 32
	minSecret      = 32
	// pending holds uploads that are not complete. No valid path leads there.
	pending = ".pending"
)

// New opens the directory and clears what uploads that did not end have left.
func New(cfg Config) (*Store, error) {
	switch {
	case cfg.Dir == "":
		return nil, errors.New("disk: the photos need a directory")
	case len(cfg.Secret) < minSecret:
		return nil, fmt.Errorf("disk: the secret has %d bytes, need %d", len(cfg.Secret), minSecret)
	case cfg.Base == "":
		return nil, errors.New("disk: the upload URLs need a base")
	}
	if cfg.Uploads <= 0 {
		cfg.Uploads = defaultUploads
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("disk: %w", err)
	}
	err = root.RemoveAll(pending)
	if err == nil {
		err = root.Mkdir(pending, 0o700)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("disk: clear unfinished uploads: %w", err), root.Close())
	}
	s := &Store{
		root: root, base: strings.TrimSuffix(cfg.Base, "/"), key: deriveKey(cfg.Secret), now: cfg.Now,
		places: cfg.Uploads, filling: make(map[string]struct{}),
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_disk_uploads_total", Help: "Uploads of photos by result: stored, refused (for what they are), busy, failed.",
		}, []string{"result"}),
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(s.uploads)
	}
	return s, nil
}

// Close gives the directory up. Open files stay open.
func (s *Store) Close() error {
	if err := s.root.Close(); err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	return nil
}

// Stat implements persistence.Blobs.
func (s *Store) Stat(ctx context.Context, name string) (persistence.BlobInfo, error) {
	b, err := s.Open(ctx, name)
	if err != nil {
		return persistence.BlobInfo{}, err
	}
	if err := b.Close(); err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("disk: stat %s: %w", name, err)
	}
	return b.BlobInfo, nil
}

// Open implements persistence.HostedBlobs.
func (s *Store) Open(_ context.Context, name string) (*persistence.Blob, error) {
	if !persistence.ValidBlobPath(name) {
		return nil, fmt.Errorf("disk: open: %w", persistence.ErrNotFound)
	}
	f, err := s.root.Open(name)
	if missing(err) {
		return nil, fmt.Errorf("disk: open %s: %w", name, persistence.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("disk: open: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("disk: open: %w", err), f.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("disk: open %s: %w", name, persistence.ErrNotFound), f.Close())
	}
	head := make([]byte, photo.MagicBytes)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("disk: read: %w", err), f.Close())
	}
	return &persistence.Blob{
		ReadSeekCloser: f,
		BlobInfo:       persistence.BlobInfo{Size: info.Size(), ContentType: photo.Magic(head[:n]), ModTime: info.ModTime().UTC()},
	}, nil
}

// Delete implements persistence.Blobs. What is open stays readable until it is
// closed.
func (s *Store) Delete(_ context.Context, name string) error {
	if !persistence.ValidBlobPath(name) {
		return errors.New("disk: delete: not a path of a blob")
	}
	err := s.root.Remove(name)
	if missing(err) {
		return nil
	}
	if err == nil {
		err = s.sync(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("disk: delete: %w", err)
	}
	return nil
}

// missing reports whether there is no such file, nor the directory it would be in.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) || notADirectory(err) }

// sync makes what happened in a directory durable.
func (s *Store) sync(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return fmt.Errorf("sync a directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync a directory: %w", err)
	}
	return nil
}
