package e2e_test

import (
	"context"
	"database/sql"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver of databases that are not ours

	"kith/test/kithtest"
)

// serve tries to start a server with settings; it must end by itself.
func serve(t *testing.T, env ...string) kithtest.Result {
	t.Helper()
	return kith.Run(t, append([]string{"KITH_HTTP_ADDR=127.0.0.1:0", "KITH_OPS_ADDR=127.0.0.1:0", "KITH_KAFKA_LISTEN=127.0.0.1:0"}, env...), "serve")
}

// hidden is what must never be shown.
const hidden = "hunter2"

func TestABadSettingStopsTheStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(kithtest.DataDir(t), "data")
	for _, bad := range []struct{ name, value, shown string }{ // "": as it is
		{name: "KITH_HTTP_ADDR", value: "nonsense"},
		{name: "KITH_OPS_ADDR", value: "127.0.0.1:65536"},
		{name: "KITH_JWT_SECRET", value: (hidden + strings.Repeat("x", 31))[:31], shown: `"***": allowed is at least 32 bytes`},
		{name: "KITH_PUBLIC_URL", value: "ftp://example.com"},
		{name: "KITH_PUBLIC_URL", value: "http://user:hunter2@example.com", shown: "***@example.com"},
		{name: "KITH_ACCESS_TTL", value: "soon"},
		{name: "KITH_REFRESH_TTL", value: "99999d"},
		{name: "KITH_LOG_LEVEL", value: "loud"},
		{name: "KITH_LOG_FORMAT", value: "xml"},

		{name: "KITH_DATABASE_URL", value: "http://kith:hunter2@db.example.com/kith", shown: "http://***@db.example.com/kith"},
		{name: "KITH_DATABASE_URL", value: "hunter2@db.example.com", shown: `"***"`},
		{name: "KITH_DATABASE_URL", value: "user=kith password=hunter2 host=db.example.com", shown: `"***"`},
		{name: "KITH_DATABASE_URL", value: "postgres://kith:x?hunter2@db.example.com:port/kith", shown: `"***"`},
		{name: "KITH_DATABASE_URL", value: "postgres://kith:hunter2@db.example.com:port/kith", shown: "postgres://***@db.example.com:port/kith"},
		{name: "KITH_DATABASE_URL", value: "postgres://kith:hunter2%zz@db.example.com/kith", shown: "postgres://***@db.example.com/kith"},
		{name: "KITH_DATABASE_URL", value: "postgres://db.example.com/kith?user=kith&password=hunter2&sslmode=perhaps", shown: `"postgres://db.example.com/kith"`},
		{name: "KITH_DATABASE_URL", value: "postgres://kith@db.example.com/kith?connect_timeout=hunter2", shown: `"postgres://***@db.example.com/kith"`},
		{name: "KITH_DATABASE_POOL", value: "-1"},
		{name: "KITH_DATABASE_POOL", value: "1001"},
		{name: "KITH_REDIS_URL", value: "http://:hunter2@cache.example.com:6379", shown: "http://***@cache.example.com:6379"},
		{name: "KITH_REDIS_URL", value: "cache.example.com:6379", shown: `"***"`},
		{name: "KITH_REDIS_URL", value: "redis:hunter2", shown: `"***"`},
		{name: "KITH_REDIS_URL", value: "redis://"},
		{name: "KITH_REDIS_URL", value: "redis://:hunter2@cache.example.com:port", shown: "redis://***@cache.example.com:port"},
		{name: "KITH_REDIS_URL", value: "rediss://:hunter2@cache.example.com/first", shown: "rediss://***@cache.example.com/first"},
		{name: "KITH_REDIS_URL", value: "redis://:hunter2%zz@cache.example.com", shown: "redis://***@cache.example.com"},
		{name: "KITH_REDIS_URL", value: "redis://cache.example.com?password=hunter2", shown: `"redis://cache.example.com"`},
		{name: "KITH_WS_ORIGINS", value: "https://app.example.com/path"},
		{name: "KITH_WS_ORIGINS", value: "ftp://app.example.com"},
		{name: "KITH_WS_ORIGINS", value: "https://"},
		{name: "KITH_WS_ORIGINS", value: "https://app.example.com, https://hunter2@app.example.com", shown: `"***@app.example.com"`},
		{name: "KITH_WS_ORIGINS", value: "https://app.example.com:port"},

		{name: "KITH_SEARCH_URL", value: "search.example.com:9200", shown: `"***"`},
		{name: "KITH_SEARCH_URL", value: "hunter2@search.example.com", shown: `"***"`},
		{name: "KITH_SEARCH_URL", value: "ftp://kith:hunter2@search.example.com", shown: "ftp://***@search.example.com"},
		{name: "KITH_SEARCH_URL", value: "http://kith:hunter2@", shown: "http://***@"},
		{name: "KITH_SEARCH_URL", value: "https://kith:hunter2@search.example.com?index=Users", shown: `"https://***@search.example.com"`},
		{name: "KITH_SEARCH_URL", value: "https://search.example.com?password=hunter2", shown: `"https://search.example.com"`},
		{name: "KITH_SEARCH_URL", value: "https://kith:hunter2%zz@search.example.com", shown: "https://***@search.example.com"},

		{name: "KITH_KAFKA_BROKERS", value: "localhost"},
		{name: "KITH_KAFKA_LISTEN", value: "9092"},
		{name: "KITH_KAFKA_RETENTION", value: "a week"},
		{name: "KITH_LIMIT_AVAILABILITY", value: "30"},
		{name: "KITH_LIMIT_REGISTER", value: "0/min"},
		{name: "KITH_LIMIT_LOGIN", value: "10/day"},
		{name: "KITH_LIMIT_USER", value: "many"},
		{name: "KITH_LIMIT_EVENTS", value: "1e9/s"},
		{name: "KITH_TRUSTED_PROXIES", value: "10.0.0.0/33"},
		{name: "KITH_USERNAME_QUARANTINE", value: "never"},
	} {
		t.Run(bad.name+"="+bad.value, func(t *testing.T) {
			t.Parallel()
			shown := bad.shown
			if shown == "" {
				shown = bad.value
			}
			for _, r := range bothWays(t, dir, bad.name, bad.value) {
				fails(t, r, 2, bad.name, shown, "allowed is")
				conceals(t, r)
			}
		})
	}
	for _, value := range []string{"many", "1.5", strings.Repeat("9", 20)} {
		t.Run("KITH_DATABASE_POOL="+value, func(t *testing.T) {
			t.Parallel()
			for _, r := range bothWays(t, dir, "KITH_DATABASE_POOL", value) { // it is no number, which the command line says
				fails(t, r, 2, "--database-pool", value, "--help")
			}
		})
	}
	t.Run("an outside provider without its other settings", func(t *testing.T) {
		t.Parallel()
		fails(t, serve(t, "KITH_DATA_DIR="+dir, "KITH_JWT_JWKS_URL=https://id.example.com/keys"), 2, "KITH_JWT_ISSUER", "go together")
		all := []string{"KITH_DATA_DIR=" + dir, "KITH_JWT_JWKS_URL=file:///keys", "KITH_JWT_ISSUER=i", "KITH_JWT_AUDIENCE=a"}
		fails(t, serve(t, all...), 2, "KITH_JWT_JWKS_URL", "allowed is")
	})
	t.Run("KITH_DATA_DIR", func(t *testing.T) {
		t.Parallel()
		fails(t, kith.Run(t, nil, "serve", "--data-dir", ""), 2, "KITH_DATA_DIR", "allowed is")
	})
	t.Cleanup(func() {
		if _, err := os.Stat(dir); err == nil {
			t.Error("a start with a bad setting made the data dir")
		}
	})
}

// bothWays tries to start a server with a setting, in the environment and as a
// flag.
func bothWays(t *testing.T, dir, name, value string) []kithtest.Result {
	t.Helper()
	flag := "--" + strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "KITH_")), "_", "-")
	return []kithtest.Result{
		serve(t, "KITH_DATA_DIR="+dir, name+"="+value),
		kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, "serve", flag+"="+value),
	}
}

// conceals wants that a command showed no secret.
func conceals(t *testing.T, r kithtest.Result) {
	t.Helper()
	if out := r.Stdout + r.Stderr; strings.Contains(out, hidden) {
		t.Errorf("a secret is shown: %s", out)
	}
}

// Every command that needs the database judges its settings as serve does.
func TestABadDatabaseStopsEveryCommand(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(kithtest.DataDir(t), "data")
	for _, args := range [][]string{{"migrate", "status"}, {"migrate", "up"}, {"verify"}, {"token", "--username", "ada_zq"}, {"role", "ada_zq", "admin"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			r := kith.Run(t, []string{"KITH_DATA_DIR=" + dir, "KITH_DATABASE_URL=mysql://kith:hunter2@db.example.com/kith"}, args...)
			fails(t, r, 2, "KITH_DATABASE_URL", "mysql://***@db.example.com/kith", "allowed is")
			conceals(t, r)
			fails(t, kith.Run(t, []string{"KITH_DATA_DIR=" + dir, "KITH_DATABASE_POOL=-1"}, args...), 2, "KITH_DATABASE_POOL", "allowed is")
		})
	}
	t.Cleanup(func() {
		if _, err := os.Stat(dir); err == nil {
			t.Error("a bad setting made the data dir")
		}
	})
}

func TestASecondServerOnADataDirRefusesToStart(t *testing.T) {
	t.Parallel()
	first := kith.Start(t, kithtest.Options{})
	fails(t, serve(t, "KITH_DATA_DIR="+first.DataDir()), 1, "KITH_DATA_DIR", first.DataDir(), "in use")
	want(t, 200)(first.Client().Get(t.Context(), "/readyz"))
	first.Verify()
	first.Stop()
}

func TestAUsedPortStopsTheStart(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, name := range []string{"KITH_HTTP_ADDR", "KITH_OPS_ADDR", "KITH_KAFKA_LISTEN"} {
		fails(t, serve(t, "KITH_DATA_DIR="+kithtest.DataDir(t), name+"="+l.Addr().String()), 1, name, l.Addr().String(), "in use")
	}
}

func TestADataDirThatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(kithtest.DataDir(t), "file")
	if err := os.WriteFile(file, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		fails(t, serve(t, "KITH_DATA_DIR="+dir), 1, "KITH_DATA_DIR", file)
	}
	closed := filepath.Join(kithtest.DataDir(t), "closed")
	if err := os.Mkdir(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Create(filepath.Join(closed, "probe")); err == nil { // modes do not bind us
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	fails(t, serve(t, "KITH_DATA_DIR="+closed), 1, "KITH_DATA_DIR", closed)
}

func TestADatabaseThatCannotBeUsedStopsTheStart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make  func(t *testing.T, path string)
		holds string
	}{
		"of a newer kith": {func(t *testing.T, path string) {
			t.Helper()
			if r := kith.Run(t, []string{"KITH_DATA_DIR=" + filepath.Dir(path)}, "migrate", "up"); r.Code != 0 {
				t.Fatalf("migrate up: %s", r.Stderr)
			}
			execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)")
		}, "newer"},
		"of something else": {func(t *testing.T, path string) {
			t.Helper()
			execute(t, path, "CREATE TABLE recipes (name TEXT)")
		}, "not a Kith database"},
		"that is none": {func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a Kith database"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := kithtest.DataDir(t)
			path := filepath.Join(dir, "kith.db")
			test.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fails(t, serve(t, "KITH_DATA_DIR="+dir), 1, path, test.holds)
			for _, args := range [][]string{{"verify"}, {"migrate", "up"}, {"token", "--username", "ada_zq"}} {
				fails(t, kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, args...), 1, path, test.holds)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// execute runs SQL on a database file.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(context.WithoutCancel(t.Context()), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAnUnknownCommandLineIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{}, {"dance"}, {"serve", "--loudly"}, {"serve", "now"}, {"token"}, {"migrate"}, {"migrate", "down"}, {"serve", "--http-addr"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			fails(t, kith.Run(t, nil, args...), 2, "--help")
		})
	}
}

func TestHelpShowsEveryFlagWithItsVariable(t *testing.T) {
	t.Parallel()
	r := kith.Run(t, nil, "--help")
	if r.Code != 0 || r.Stderr != "" {
		t.Fatalf("exit code %d: %s", r.Code, r.Stderr)
	}
	for _, command := range []string{"serve", "token", "verify", "reindex", "migrate"} {
		if !strings.Contains(r.Stdout, command) {
			t.Errorf("help lacks %s:\n%s", command, r.Stdout)
		}
	}
	r = kith.Run(t, nil, "serve", "--help")
	if r.Code != 0 || r.Stderr != "" {
		t.Fatalf("exit code %d: %s", r.Code, r.Stderr)
	}
	var flags []string
	for _, match := range regexp.MustCompile(`--([a-z0-9-]+)[= ]`).FindAllStringSubmatch(r.Stdout, -1) {
		if match[1] == "help" {
			continue
		}
		variable := "KITH_" + strings.ToUpper(strings.ReplaceAll(match[1], "-", "_"))
		flags = append(flags, variable)
		if !strings.Contains(r.Stdout, "$"+variable) {
			t.Errorf("--%s has no variable %s:\n%s", match[1], variable, r.Stdout)
		}
	}
	for _, variable := range []string{
		"KITH_DATA_DIR", "KITH_HTTP_ADDR", "KITH_OPS_ADDR", "KITH_PUBLIC_URL", "KITH_JWT_SECRET", "KITH_ACCESS_TTL", "KITH_REFRESH_TTL", "KITH_LOG_LEVEL", "KITH_LOG_FORMAT",
		"KITH_KAFKA_BROKERS", "KITH_KAFKA_LISTEN", "KITH_KAFKA_RETENTION", "KITH_JWT_JWKS_URL", "KITH_JWT_ISSUER", "KITH_JWT_AUDIENCE", "KITH_TRUSTED_PROXIES",
		"KITH_LIMIT_AVAILABILITY", "KITH_LIMIT_REGISTER", "KITH_LIMIT_LOGIN", "KITH_LIMIT_USER", "KITH_LIMIT_EVENTS", "KITH_USERNAME_QUARANTINE",
		"KITH_DATABASE_URL", "KITH_DATABASE_POOL", "KITH_REDIS_URL", "KITH_WS_ORIGINS", "KITH_SEARCH_URL",
		"KITH_KAFKA_TLS", "KITH_KAFKA_TLS_CA", "KITH_KAFKA_SASL_MECHANISM", "KITH_KAFKA_SASL_USERNAME", "KITH_KAFKA_SASL_PASSWORD",
		"KITH_S3_ENDPOINT", "KITH_S3_BUCKET", "KITH_S3_REGION", "KITH_S3_ACCESS_KEY", "KITH_S3_SECRET_KEY",
	} {
		if !strings.Contains(strings.Join(flags, " ")+" ", variable+" ") {
			t.Errorf("no flag for %s:\n%s", variable, r.Stdout)
		}
	}
}

// With JSON logs every line is an object.
func TestTheLogIsJSONWhenAsked(t *testing.T) {
	t.Parallel()
	s := kith.Launch(t, kithtest.Options{Env: []string{"KITH_LOG_FORMAT=json", "KITH_LOG_LEVEL=debug"}})
	if !s.AwaitLog(func(log string) bool { return strings.Contains(log, `"ops":"http://`) }) {
		t.Fatal("no line with the addresses")
	}
	s.Stop()
	for line := range strings.Lines(s.Log()) {
		if !jsonObject(line) {
			t.Errorf("a line that is no JSON object: %s", line)
		}
	}
}
