package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"syscall"

	"kith/persistence"
	"kith/persistence/photo"
)

// Put implements persistence.HostedBlobs. Of one path it takes one upload at a
// time, so that nobody can hold the places of the others; the second is refused
// with persistence.ErrBusy.
func (s *Store) Put(ctx context.Context, u persistence.Upload, body io.Reader) (persistence.BlobInfo, error) {
	if !s.begin(u.Path) {
		s.uploads.WithLabelValues("busy").Inc()
		return persistence.BlobInfo{}, persistence.ErrBusy
	}
	defer s.end(u.Path)
	info, err := s.put(ctx, u, body)
	switch {
	case err == nil:
		s.uploads.WithLabelValues("stored").Inc()
		return info, nil
	case errors.Is(err, persistence.ErrTooLarge), errors.Is(err, persistence.ErrNotPhoto):
		s.uploads.WithLabelValues("refused").Inc()
	default:
		s.uploads.WithLabelValues("failed").Inc()
	}
	return persistence.BlobInfo{}, fmt.Errorf("disk: put: %w", err)
}

// begin takes a place for an upload to a path, if there is one.
func (s *Store) begin(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.filling[path]; there || len(s.filling) >= s.places {
		return false
	}
	s.filling[path] = struct{}{}
	return true
}

func (s *Store) end(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.filling, path)
}

func (s *Store) put(ctx context.Context, u persistence.Upload, body io.Reader) (persistence.BlobInfo, error) {
	if !persistence.ValidBlobPath(u.Path) || !persistence.PhotoType(u.ContentType) {
		return persistence.BlobInfo{}, errors.New("not an authorised upload")
	}
	temporary := path.Join(pending, rand.Text())
	f, err := s.root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("create: %w", err)
	}
	info, err := s.fill(ctx, f, u.ContentType, body)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = s.move(temporary, u.Path)
	}
	if err != nil {
		return persistence.BlobInfo{}, errors.Join(err, s.root.Remove(temporary))
	}
	// If this fails the file is there, though perhaps not after a crash: the
	// uploader is told to try again, which is harmless.
	for dir := path.Dir(u.Path); ; dir = path.Dir(dir) { // the directories may be new
		if err := s.sync(dir); err != nil {
			return persistence.BlobInfo{}, err
		}
		if dir == "." {
			return info, nil
		}
	}
}

func (s *Store) move(from, to string) error {
	if err := s.root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	if err := s.root.Rename(from, to); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	return nil
}

// fill writes, checks and syncs the file.
func (s *Store) fill(ctx context.Context, f *os.File, contentType string, body io.Reader) (persistence.BlobInfo, error) {
	size, err := io.Copy(f, io.LimitReader(body, persistence.MaxPhotoBytes+1))
	if err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("take the bytes: %w", err)
	}
	if size > persistence.MaxPhotoBytes {
		return persistence.BlobInfo{}, persistence.ErrTooLarge
	}
	if photo.Kind(f, size) != contentType {
		return persistence.BlobInfo{}, persistence.ErrNotPhoto
	}
	if err := f.Sync(); err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("sync: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return persistence.BlobInfo{}, fmt.Errorf("stat: %w", err)
	}
	if err := ctx.Err(); err != nil { // nobody waits for it any more
		return persistence.BlobInfo{}, err
	}
	return persistence.BlobInfo{Size: size, ContentType: contentType, ModTime: info.ModTime().UTC()}, nil
}

// notADirectory reports whether a file stands where a directory would have to be.
func notADirectory(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
