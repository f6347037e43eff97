package services

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kith/test/services/server"
)

// installTime bounds fetching a handful of packages.
const installTime = 5 * time.Minute

// Chromium returns the path of a Chromium.
func Chromium(tb testing.TB) string {
	tb.Helper()
	path, err := server.Find(server.KindChromium)
	must(tb, server.KindChromium, err)
	return path
}

// Python makes an environment with the packages of a requirements file, which goes
// with the test, and returns the path of its Python.
func Python(tb testing.TB, requirements string) string {
	tb.Helper()
	path, err := server.Find(server.KindPython)
	must(tb, server.KindPython, err)
	dir := tb.TempDir()
	python := filepath.Join(dir, "bin", "python")
	must(tb, server.KindPython, install(tb, server.KindPython, "", path, "-m", "venv", dir))
	must(tb, server.KindPython, install(tb, server.KindPython, "", python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements))
	return python
}

// Node copies a folder with a package.json and its lock, installs the packages that
// they name, none of whose scripts is run, and returns the path of Node and of the
// copy, which goes with the test.
func Node(tb testing.TB, folder string) (node, dir string) {
	tb.Helper()
	npm, err := server.Find(server.KindNode)
	must(tb, server.KindNode, err)
	node, err = exec.LookPath("node")
	if err != nil {
		err = &server.MissingError{Kind: server.KindNode}
	}
	must(tb, server.KindNode, err)
	dir = tb.TempDir()
	check(tb, os.CopyFS(dir, os.DirFS(folder)))
	must(tb, server.KindNode, install(tb, server.KindNode, dir, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"))
	return node, dir
}

// install runs a program that gets packages. Where it cannot, they are missing like
// a program that is not installed.
func install(tb testing.TB, k server.Kind, dir, program string, args ...string) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), installTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // of the tests
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Logf("%s %v: %v\n%s", program, args, err, out)
		return fmt.Errorf("packages of %s: %w", k, &server.MissingError{Kind: k})
	}
	return nil
}
