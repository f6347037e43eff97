//go:build unix

package server

import (
	"context"
	"crypto/sha256"
	_ "embed" // the lists of jars
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// fetchTime bounds fetching jars over a slow network.
const fetchTime = 5 * time.Minute

// jarSet is a server that is made of jars: what Maven is to fetch.
type jarSet struct {
	kind Kind
	pom  []byte
}

var (
	//go:embed kafka.pom.xml
	kafkaPOM []byte
	//go:embed opensearch.pom.xml
	openSearchPOM []byte
	//go:embed elasticsearch.pom.xml
	elasticsearchPOM []byte
)

// jarSetOf returns the jars of a kind; false for one that is made otherwise.
func jarSetOf(k Kind) (jarSet, bool) {
	pom := map[Kind][]byte{KindKafka: kafkaPOM, KindSearch: openSearchPOM, KindElastic: elasticsearchPOM}[k]
	return jarSet{k, pom}, pom != nil
}

// get returns the folder that holds the jars. Maven fetches them once into the
// user's cache, whoever of several processes is first. Where it cannot, the server
// is missing.
func (s jarSet) get(ctx context.Context) (string, error) {
	dir, err := s.dir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // as caches are
		return "", fmt.Errorf("server: make a cache: %w", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // ours
	if err != nil {
		return "", fmt.Errorf("server: lock a cache: %w", err)
	}
	defer lock.Close() //nolint:errcheck // ends the lock, which nothing else can
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("server: lock a cache: %w", err)
	}
	if hasJars(dir) {
		return dir, nil
	}
	if err := s.fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("%w: %w", &MissingError{s.kind}, err)
	}
	return dir, nil
}

// dir is named after what is in it.
func (s jarSet) dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("server: look for a cache: %w", err)
	}
	sum := sha256.Sum256(s.pom)
	return filepath.Join(cache, "kith", s.kind.folder()+"-"+hex.EncodeToString(sum[:6])), nil
}

// hasJars reports whether jars are there, which all are when one is.
func hasJars(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "*.jar"))
	return err == nil && len(found) > 0
}

// fetch puts the jars into a folder that is not there before all of them are.
func (s jarSet) fetch(ctx context.Context, dir string) (err error) {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("server: look for Maven: %w", err)
	}
	scratch, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return fmt.Errorf("server: make a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	pom, into := filepath.Join(scratch, "pom.xml"), filepath.Join(scratch, "jars")
	if err := os.WriteFile(pom, s.pom, 0o600); err != nil {
		return fmt.Errorf("server: write a file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, maven, "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+into) //nolint:gosec // of the system
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("server: fetch %s: %w\n%s", s.kind, err, out)
	}
	if err := os.Rename(into, dir); err != nil {
		return fmt.Errorf("server: keep what was fetched: %w", err)
	}
	return nil
}

// find returns the path of the Java that runs the jars, where there is one and they
// are there, or Maven to fetch them.
func (s jarSet) find() (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", &MissingError{s.kind}
	}
	dir, err := s.dir()
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath("mvn"); err != nil && !hasJars(dir) {
		return "", &MissingError{s.kind}
	}
	return java, nil
}
