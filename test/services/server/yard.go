package server

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Yard is where the servers of this process live.
type Yard struct {
	dir     string
	account *account
	janitor *process
	orders  *os.File // to the janitor

	mu   sync.Mutex
	made int // directories
}

// janitor is told on its input of every process that begins and of every one that
// has been waited for. When the input ends, which it does with the process that
// holds its other end, it ends those that are left and removes the directory. They
// may still be writing into it, so that takes more than one attempt.
const janitor = `live=
while read -r verb pid; do
	if [ "$verb" = began ]; then
		live="$live $pid"
	else
		rest=
		for p in $live; do [ "$p" = "$pid" ] || rest="$rest $p"; done
		live=$rest
	fi
done
for p in $live; do kill -QUIT "$p"; done
tries=0
until rm -rf "$1" || [ "$tries" -ge 50 ]; do tries=$((tries + 1)); sleep 0.1; done
for p in $live; do kill -KILL "$p"; done
rm -rf "$1"`

// Open makes a yard.
func Open() (*Yard, error) {
	a, err := serverAccount()
	if err != nil {
		return nil, err
	}
	base, err := reachable(a)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(base, "kith-services-")
	if err != nil {
		return nil, fmt.Errorf("server: make a directory: %w", err)
	}
	y := &Yard{dir: dir, account: a}
	if err := y.open(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return y, nil
}

func (y *Yard) open() error {
	// Servers pass through it to what is theirs.
	if err := os.Chmod(y.dir, 0o711); err != nil { //nolint:gosec // said above
		return fmt.Errorf("server: open a directory to servers: %w", err)
	}
	in, orders, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("server: make a pipe: %w", err)
	}
	y.janitor, err = start(command{path: "/bin/sh", args: []string{"-c", janitor, "janitor", y.dir}, dir: "/", in: in})
	if closed := in.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return errors.Join(err, orders.Close())
	}
	y.orders = orders
	return nil
}

// Dir returns the directory.
func (y *Yard) Dir() string { return y.dir }

// Close ends what still runs, removes everything, and returns when that is done.
func (y *Yard) Close() error {
	err := y.orders.Close()
	if !y.janitor.await() {
		err = errors.Join(err, fmt.Errorf("server: %s is not removed after %s", y.dir, closeTime))
	}
	return err
}

// subdirectory makes a directory that belongs to the servers.
func (y *Yard) subdirectory(kind string) (string, error) {
	y.mu.Lock()
	y.made++
	dir := filepath.Join(y.dir, kind+strconv.Itoa(y.made))
	y.mu.Unlock()
	return dir, y.mkdir(dir)
}

// mkdir makes a directory for the servers.
func (y *Yard) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("server: make a directory: %w", err)
	}
	return y.give(dir)
}

// give makes a file belong to the servers.
func (y *Yard) give(path string) error {
	if y.account == nil {
		return nil
	}
	if err := os.Chown(path, y.account.uid, y.account.gid); err != nil {
		return fmt.Errorf("server: give a file to %s: %w", y.account.name, err)
	}
	return nil
}

// write writes a file for the servers.
func (y *Yard) write(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("server: write a file: %w", err)
	}
	return y.give(path)
}

// begin starts a server and tells the janitor.
func (y *Yard) begin(c command) (*process, error) {
	c.account = y.account
	p, err := start(c)
	if err != nil {
		return nil, err
	}
	p.gone = func() { y.tell("gone", p.pid) }
	y.tell("began", p.pid)
	return p, nil
}

func (y *Yard) tell(verb string, pid int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	// Of a janitor that is gone nothing can be expected, and nobody can be told.
	_, _ = io.WriteString(y.orders, verb+" "+strconv.Itoa(pid)+"\n")
}

// reachable returns a directory for temporary files to which an account gets.
func reachable(a *account) (string, error) {
	tried := []string{os.TempDir(), "/tmp", "/var/tmp"}
	if a == nil {
		return tried[0], nil
	}
	for _, dir := range tried {
		if passable(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("server: the user %s gets to none of %s; set TMPDIR", a.name, strings.Join(tried, ", "))
}

// passable reports whether everybody gets through a directory and all above it.
func passable(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		info, statErr := os.Stat(dir)
		if statErr != nil || info.Mode()&1 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
	return false
}
