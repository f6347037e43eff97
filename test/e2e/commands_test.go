package e2e_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// run runs a command on the data dir of the server and wants it to succeed.
func (a *api) run(t *testing.T, args ...string) kithtest.Result {
	t.Helper()
	r := a.Command(args...)
	if r.Code != 0 || r.Stderr != "" {
		t.Fatalf("kith %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r
}

// fails wants a command to fail with a code and one line that holds what is
// wanted.
func fails(t *testing.T, r kithtest.Result, code int, holds ...string) {
	t.Helper()
	if r.Code != code || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "kith: ") || strings.Count(r.Stderr, "\n") != 1 || !strings.HasSuffix(r.Stderr, "\n") {
		t.Errorf("exit code %d, want %d and one line\nstandard output: %s\nstandard error: %s", r.Code, code, r.Stdout, r.Stderr)
	}
	for _, part := range holds {
		if !strings.Contains(r.Stderr, part) {
			t.Errorf("standard error lacks %q: %s", part, r.Stderr)
		}
	}
}

// Every command works through the server that runs, and on the data when none
// does, with the same result.
func TestCommandsWorkWhileTheServerRunsAndWhileItDoesNot(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada := a.register(t, "ada_zq")
	a.register(t, "bob_zq")
	want(t, http.StatusCreated)(ada.Follow(t.Context(), "bob_zq"))
	a.Settle()

	commands := func(t *testing.T) (token string) {
		t.Helper()
		token = a.run(t, "token", "--username", " ADA_zq").Stdout
		if strings.Count(token, "\n") != 1 {
			t.Errorf("token is %q", token)
		}
		fails(t, a.Command("token", "--username", "nobody_zq"), 1, "nobody_zq")
		fails(t, a.Command("token", "--username", "im-possible"), 2, "Username may contain only")
		fails(t, a.Command("token", "--username", "ada_zq", "--ttl", "soon"), 2, "--ttl", "soon")

		v := a.Verify()
		if v.Code != 0 || v.Counts["users"] != 2 || v.Counts["follow edges"] != 1 || v.Counts["differences"] != 0 || v.Pending() != 0 || v.Counts["journal records"] != 4 {
			t.Errorf("verify: exit code %d\n%s%s", v.Code, v.Stdout, v.Stderr)
		}
		status := a.run(t, "migrate", "status").Stdout
		if !strings.Contains(status, "to do") || !strings.Contains(status, "nothing") {
			t.Errorf("migrate status: %s", status)
		}
		return strings.TrimSpace(token)
	}

	running := commands(t)
	if answer := want(t, http.StatusOK)(a.Client().As(running).Get(t.Context(), "/users/self")); answer.User.Username != "ada_zq" {
		t.Errorf("token is of %s", answer)
	}
	if !kithtest.Production() { // PostgreSQL is migrated beside its servers
		fails(t, a.Command("migrate", "up"), 1, "in use")
	}
	private(t, a.DataDir())

	a.Stop()
	stopped := commands(t)
	if up := a.run(t, "migrate", "up").Stdout; !strings.Contains(up, "nothing") {
		t.Errorf("migrate up: %s", up)
	}
	private(t, a.DataDir())

	a.Launch()
	a.AwaitReady()
	for _, token := range []string{running, stopped} {
		want(t, http.StatusOK)(a.Client().As(token).Get(t.Context(), "/users/self"))
	}
	// A socket that a killed server left is no server.
	a.Kill()
	commands(t)
}

// private wants that nobody but its owner can read what is in a data dir.
func private(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestCommandsNeedADatabase(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"token", "--username", "ada_zq"}, {"verify"}, {"migrate", "status"}} {
		dir := filepath.Join(kithtest.DataDir(t), "none")
		fails(t, kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, args...), 1, dir, "KITH_DATA_DIR")
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("kith %s made the data dir", strings.Join(args, " "))
		}
	}
	dir := kithtest.DataDir(t)
	for range 2 { // the second time there is nothing to do
		if r := kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, "migrate", "up"); r.Code != 0 || !strings.Contains(r.Stdout, "nothing") {
			t.Errorf("migrate up: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	}
	if v := kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, "verify"); v.Code != 0 {
		t.Errorf("verify of nothing: exit code %d\n%s%s", v.Code, v.Stdout, v.Stderr)
	}
}

// A secret that is given in the environment signs the tokens of kith token as
// well, and none is generated.
func TestTokensAreSignedWithTheGivenSecret(t *testing.T) {
	t.Parallel()
	const secret = "KITH_JWT_SECRET=0123456789abcdef0123456789ABCDEF-zq"
	s := kith.Start(t, kithtest.Options{Env: []string{secret}})
	want(t, http.StatusCreated)(s.Client().Register(t.Context(), kithtest.Registration{Username: "ada_zq", Name: "Ada", Password: password}))
	env := append([]string{"KITH_DATA_DIR=" + s.DataDir(), secret}, s.Stores()...)
	tokens := []string{kith.Run(t, env, "token", "--username", "ada_zq").Stdout}
	s.Stop()
	tokens = append(tokens, kith.Run(t, env, "token", "--username", "ada_zq").Stdout)
	s.Launch()
	s.AwaitReady()
	for _, token := range tokens {
		want(t, http.StatusOK)(s.Client().As(strings.TrimSpace(token)).Get(t.Context(), "/users/self"))
	}
	if _, err := os.Stat(s.File("jwt-secret")); err == nil {
		t.Error("a secret was generated though one was given")
	}
	if log := s.Log(); strings.Contains(log, "0123456789abcdef") {
		t.Error("the log holds the secret")
	}
}
