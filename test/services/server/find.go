package server

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of server, or of another program that tests run.
type Kind string

// The kinds of server.
const (
	KindPostgres  Kind = "Postgres"
	KindRedis     Kind = "Redis"
	KindPgBouncer Kind = "pgbouncer"
	KindKafka     Kind = "Kafka"
	KindSearch    Kind = "OpenSearch"
	KindElastic   Kind = "Elasticsearch"
	KindS3        Kind = "S3"
)

// What else tests run: a browser, and what runs clients in other languages.
const (
	KindChromium Kind = "Chromium"
	KindNode     Kind = "Node"
	KindPython   Kind = "Python"
)

// Kinds returns all of them.
func Kinds() []Kind {
	return []Kind{
		KindPostgres, KindRedis, KindPgBouncer, KindKafka, KindSearch, KindElastic, KindS3, KindChromium, KindNode, KindPython,
	}
}

// Package returns the name of its package in Debian, "" for what is built instead.
func (k Kind) Package() string {
	switch k {
	case KindPostgres:
		return "postgresql"
	case KindRedis:
		return "redis-server"
	case KindPgBouncer:
		return "pgbouncer"
	case KindKafka, KindSearch, KindElastic:
		return "maven" // which needs Java, and fetches them
	case KindChromium:
		return "chromium"
	case KindNode:
		return "npm" // which needs Node
	case KindPython:
		return "python3-venv" // which needs Python
	}
	return ""
}

// folder begins the names of directories for a kind.
func (k Kind) folder() string { return strings.ToLower(string(k)) }

// MissingError says that a server is not installed.
type MissingError struct{ Kind Kind }

// Error implements error.
func (e *MissingError) Error() string { return string(e.Kind) + " is not installed" }

// places are where packages put what is in no PATH, the newest version last.
var places = []string{ //nolint:gochecknoglobals // a constant list
	"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", // Debian, Red Hat
	"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin", // Homebrew
	"/usr/local/bin", "/usr/local/sbin", "/usr/sbin",
}

// Find returns the path of the program of a kind.
func Find(k Kind) (string, error) {
	if jars, ok := jarSetOf(k); ok {
		return jars.find()
	}
	name := map[Kind]string{
		KindPostgres: "postgres", KindRedis: "redis-server", KindPgBouncer: "pgbouncer", KindS3: s3Name,
		KindChromium: "chromium", KindNode: "npm", KindPython: "python3",
	}[k]
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, pattern := range places {
		found, err := filepath.Glob(filepath.Join(pattern, name))
		if err != nil {
			return "", fmt.Errorf("server: look for %s: %w", name, err)
		}
		slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
		for _, path := range slices.Backward(found) {
			if path, err := exec.LookPath(path); err == nil {
				return path, nil
			}
		}
	}
	if k == KindS3 {
		return findS3()
	}
	return "", &MissingError{k}
}

// version returns the number in the path of a program, 0 for none.
func version(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.Atoi(digits[0])
	if err != nil {
		return 0
	}
	return n
}
