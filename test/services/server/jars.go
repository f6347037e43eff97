//go:build unix

package server

import (
	"context"
	"crypto/sha256"
	_ "embed" // the list of jars
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

//go:embed kafka.pom.xml
var kafkaJars []byte

// jars returns the folder that holds Kafka and what it needs. Maven fetches them
// once into the user's cache, whoever of several processes is first. Where it
// cannot, Kafka is missing.
func jars(ctx context.Context) (string, error) {
	dir, err := jarsDir()
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
	if err := fetch(ctx, dir); err != nil {
		return "", fmt.Errorf("%w: %w", &MissingError{KindKafka}, err)
	}
	return dir, nil
}

// jarsDir is named after what is in it.
func jarsDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("server: look for a cache: %w", err)
	}
	sum := sha256.Sum256(kafkaJars)
	return filepath.Join(cache, "kith", "kafka-"+hex.EncodeToString(sum[:6])), nil
}

// hasJars reports whether jars are there, which all are when one is.
func hasJars(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "kafka_*.jar"))
	return err == nil && len(found) > 0
}

// fetch puts the jars into a folder that is not there before all of them are.
func fetch(ctx context.Context, dir string) (err error) {
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
	if err := os.WriteFile(pom, kafkaJars, 0o600); err != nil {
		return fmt.Errorf("server: write a file: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, maven, "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+into) //nolint:gosec // of the system
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("server: fetch Kafka: %w\n%s", err, out)
	}
	if err := os.Rename(into, dir); err != nil {
		return fmt.Errorf("server: keep what was fetched: %w", err)
	}
	return nil
}

// findKafka returns the path of the Java that runs Kafka, where there is one and
// the jars are there, or Maven to fetch them.
func findKafka() (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", &MissingError{KindKafka}
	}
	dir, err := jarsDir()
	if err != nil {
		return "", err
	}
	if _, err := exec.LookPath("mvn"); err != nil && !hasJars(dir) {
		return "", &MissingError{KindKafka}
	}
	return java, nil
}
