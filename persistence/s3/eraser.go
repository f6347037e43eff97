package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"kith/persistence"
)

const (
	// eraseAfter is when nothing that an upload URL began can still arrive: the time
	// of the URL, and more than twice that for an upload that takes long.
	eraseAfter = persistence.UploadTTL + 40*time.Minute
	// eraseEvery is how often what is due is looked for.
	eraseEvery = 10 * time.Second
	// slash stands for the slash of a path in the name of a file. No path has it.
	slash = "~"
)

// EraserConfig is what an Eraser needs.
type EraserConfig struct {
	Blobs  persistence.Blobs
	Dir    string // of what has to be erased once more; made when it is not there
	Logger *slog.Logger
	Now    func() time.Time // nil: time.Now
}

// Eraser erases for good what is in a store that cannot refuse an upload. A URL that
// was handed out before could bring it back, so it erases at once, and once more an
// hour later. What is left to do is noted in a directory, durably, a file each: empty
// until the first time has worked. Erasing twice is harmless, so a crash at any moment
// is, too.
type Eraser struct {
	cfg  EraserConfig
	root *os.Root
}

// NewEraser opens the directory.
func NewEraser(cfg EraserConfig) (*Eraser, error) {
	if cfg.Blobs == nil || cfg.Dir == "" || cfg.Logger == nil {
		return nil, errors.New("s3: an eraser needs blobs, a directory and a logger")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("s3: the directory of erasures: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("s3: the directory of erasures: %w", err)
	}
	return &Eraser{cfg: cfg, root: root}, nil
}

// Close gives the directory up.
func (e *Eraser) Close() error {
	if err := e.root.Close(); err != nil {
		return fmt.Errorf("s3: the directory of erasures: %w", err)
	}
	return nil
}

// Erase erases what is at path, and notes that it has to be done again. Nobody must
// use the path any more. A store that is away is no error: what is noted is erased when
// it is back, and who calls has other things to do.
func (e *Eraser) Erase(ctx context.Context, path string) error {
	if !persistence.ValidBlobPath(path) {
		return errors.New("s3: erase: not a path of a blob")
	}
	name := strings.ReplaceAll(path, "/", slash)
	if err := e.note(name, false); err != nil {
		return err
	}
	err := e.erase(ctx, name)
	if errors.Is(err, persistence.ErrAway) {
		return nil
	}
	return err
}

// erase erases what is noted, the first time.
func (e *Eraser) erase(ctx context.Context, name string) error {
	if err := e.cfg.Blobs.Delete(ctx, strings.ReplaceAll(name, slash, "/")); err != nil {
		return fmt.Errorf("s3: erase: %w", err)
	}
	return e.note(name, true)
}

// note writes a file, durably. Its time is when that was.
func (e *Eraser) note(name string, erased bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("s3: note what to erase: %w", err)
		}
	}()
	f, err := e.root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if erased {
		_, err = f.WriteString("once\n")
	}
	err = errors.Join(err, e.root.Chtimes(name, e.cfg.Now(), e.cfg.Now()))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := e.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Run erases what is due until ctx ends. What does not work is tried again.
func (e *Eraser) Run(ctx context.Context) error {
	ticker := time.NewTicker(eraseEvery)
	defer ticker.Stop()
	for {
		if err := e.round(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, persistence.ErrAway) { // that is told once by who is asked
			e.cfg.Logger.Warn("photos of deleted users are not erased yet", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// round erases what is due, until the first error.
func (e *Eraser) round(ctx context.Context) error {
	noted, err := fs.ReadDir(e.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("s3: read what to erase: %w", err)
	}
	for _, entry := range noted {
		if !persistence.ValidBlobPath(strings.ReplaceAll(entry.Name(), slash, "/")) {
			continue // not ours
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("s3: read what to erase: %w", err)
		}
		again := info.Size() > 0
		if again && e.cfg.Now().Sub(info.ModTime()) < eraseAfter {
			continue
		}
		if err := e.erase(ctx, entry.Name()); err != nil {
			return err
		}
		if again {
			if err := e.root.Remove(entry.Name()); err != nil {
				return fmt.Errorf("s3: forget what was erased: %w", err)
			}
		}
	}
	return nil
}
