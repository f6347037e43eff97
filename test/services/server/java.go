package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// java runs the classes of a server that is made of jars.
type java struct {
	path string // of the program
	jars string // the folder
}

// java gets what a server needs that is made of jars and whose directory is dir.
func (y *Yard) java(ctx context.Context, k Kind, dir string) (java, error) {
	set, ok := jarSetOf(k)
	if !ok {
		return java{}, fmt.Errorf("server: %s is not made of jars", k)
	}
	path, err := set.find()
	if err != nil {
		return java{}, err
	}
	cached, err := set.get(ctx)
	if err != nil {
		return java{}, err
	}
	jars, err := y.reach(cached, filepath.Join(dir, "jars"))
	return java{path, jars}, err
}

// reach returns a folder with the jars to which the account of servers gets: a
// user's cache is their own, so that it needs a copy.
func (y *Yard) reach(cached, dir string) (string, error) {
	if y.account == nil {
		return cached, nil
	}
	if err := os.CopyFS(dir, os.DirFS(cached)); err != nil {
		return "", fmt.Errorf("server: copy jars: %w", err)
	}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return y.give(path)
	})
	if err != nil {
		return "", fmt.Errorf("server: give jars to a server: %w", err)
	}
	return dir, nil
}

// command runs a class for a server; args are further options of Java, the class and
// its arguments. It takes little memory, and starts fast rather than becoming fast.
func (j java) command(d *daemon, args ...string) command {
	return command{
		path: j.path, dir: d.dir, log: d.logPath(),
		args: append([]string{
			"-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.io.tmpdir=" + d.dir, "-cp", filepath.Join(j.jars, "*"),
		}, args...),
	}
}
