package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Files of the data dir.
const (
	lockFile     = "lock"
	databaseFile = "kith.db"
	secretFile   = "jwt-secret"
	nodeFile     = "node-id"
	socketFile   = "admin.sock"
	photosDir    = "photos"
	brokerDir    = "broker"
	erasuresDir  = "erasures"
)

// errInUse: another process has the data dir.
var errInUse = errors.New("the data dir is in use")

// dataDir is a data dir that this process alone uses.
type dataDir struct {
	path string
	lock *flock.Flock
}

// openDataDir makes the directory if it is missing and locks it. The lock goes
// with the process, however that ends.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data dir (KITH_DATA_DIR): %w", err)
	}
	d := &dataDir{path: path, lock: flock.New(filepath.Join(path, lockFile), flock.SetPermissions(0o600))}
	locked, err := d.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data dir (KITH_DATA_DIR): %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: another kith runs on %s; stop it, or choose another KITH_DATA_DIR", errInUse, path)
	}
	return d, nil
}

func (d *dataDir) close() error {
	if err := d.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock the data dir: %w", err)
	}
	return nil
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// secret returns the key of access tokens, and makes it the first time.
func (d *dataDir) secret() ([]byte, error) {
	key, err := d.once(secretFile)
	if err != nil {
		return nil, err
	}
	if len(key) < minSecret {
		return nil, fmt.Errorf("%s holds %d bytes, at least %d are needed: put the key back, or remove the file to make a new one (all tokens end)", d.file(secretFile), len(key), minSecret)
	}
	return []byte(key), nil
}

// nodeID returns the name under which this data dir's server owns lanes.
func (d *dataDir) nodeID() (string, error) { return d.once(nodeFile) }

// once returns the content of a file, which the first time is made of 32 random
// bytes in hex. It is complete or absent, also after a crash.
func (d *dataDir) once(name string) (string, error) {
	path := d.file(name)
	b, err := os.ReadFile(path) //nolint:gosec // a file of our own data dir
	switch {
	case err == nil:
		content := strings.TrimSpace(string(b))
		if content == "" {
			return "", fmt.Errorf("%s is empty; remove it to make a new one", path)
		}
		return content, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	content := hex.EncodeToString(raw)
	if err := writeWhole(path, content+"\n"); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return content, nil
}

// writeWhole writes a private file so that a crash leaves all of it or nothing.
func writeWhole(path, content string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // 0600
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // what went wrong first is what matters
		}
	}()
	_, err = f.WriteString(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("rename: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	return errors.Join(dir.Sync(), dir.Close())
}
