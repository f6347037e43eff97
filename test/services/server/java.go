package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// java runs the classes of a server that is made of jars.
type java struct {
	path    string // of the program
	jars    string // the folder
	options []string
}

// smallJava are options for little memory, and for starting fast rather than becoming
// fast.
func smallJava() []string {
	return []string{"-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

// LargeJava are options as in production, for what is measured.
func LargeJava() []string { return []string{"-Xms1g", "-Xmx1g", "-XX:+UseG1GC"} }

// java gets what a server needs that is made of jars and whose directory is dir, to
// run it with these options; nil: small.
func (y *Yard) java(ctx context.Context, k Kind, dir string, options []string) (java, error) {
	if options == nil {
		options = smallJava()
	}
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
	return java{path, jars, options}, err
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
// its arguments.
func (j java) command(d *daemon, args ...string) command {
	return command{
		path: j.path, dir: d.dir, log: d.logPath(),
		args: slices.Concat(j.options, []string{"-Djava.io.tmpdir=" + d.dir, "-cp", filepath.Join(j.jars, "*")}, args),
	}
}
