package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kith/test/kithtest"
)

const demoSize = "12"

// demo starts a demo on a data dir and waits until it shows itself.
func demo(t *testing.T, dir string) *kithtest.Server {
	t.Helper()
	s := kith.Start(t, kithtest.Options{Embedded: true, DataDir: dir, Args: []string{"demo", "--users", demoSize, "--once"}})
	awaitDemo(t, s)
	return s
}

func awaitDemo(t *testing.T, s *kithtest.Server) {
	t.Helper()
	if !s.AwaitLog(func(log string) bool { return strings.Contains(log, "The server runs until you stop it") }) {
		t.Fatalf("the demo does not show itself: %s", s.Log())
	}
}

// tour runs the curl lines of the last start and returns what they are without the
// token and the address.
func tour(t *testing.T, s *kithtest.Server) []string {
	t.Helper()
	_, log, _ := strings.Cut(s.Log()[strings.LastIndex(s.Log(), "kith is ready"):], "Look around:")
	sh := s.Shell()
	var lines []string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "curl ") {
			sh.Run(line)
			line = regexp.MustCompile(`Bearer [^']+`).ReplaceAllString(line, "Bearer")
			lines = append(lines, strings.ReplaceAll(line, s.URL(), ""))
		}
	}
	if statuses := fmt.Sprint(sh.Statuses()); statuses != "[200 200 200]" {
		t.Errorf("the lines of the demo are answered with %s:\n%s", statuses, log)
	}
	return lines
}

// roster returns who is there, with how many followers.
func roster(t *testing.T, s *kithtest.Server) map[string]int {
	t.Helper()
	token := regexp.MustCompile(`(?m)^(ey\S+)$`).FindString(s.Log())
	answer := want(t, http.StatusOK)(s.Client().As(token).Get(t.Context(), "/users/list?limit=100"))
	users := make(map[string]int)
	for _, u := range answer.Users {
		users[u.Username] = u.Followers
	}
	return users
}

// A demo fills a world that depends on its seed alone, shows lines that work, and
// on the same data dir goes on where it was, also after a kill in the middle.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := kithtest.DataDir(t)
	s := demo(t, dir)
	lines := tour(t, s)
	s.Settle()
	people := roster(t, s)
	if len(people) != 12 {
		t.Errorf("the world is %v", people)
	}
	if strings.Contains(s.Log(), "level=ERROR") || strings.Contains(s.Log(), "level=WARN") {
		t.Errorf("the demo complains: %s", s.Log())
	}
	records := s.Verify().Counts["journal records"]
	s.Stop()
	s.Launch()
	s.AwaitReady()
	awaitDemo(t, s)
	if again := tour(t, s); fmt.Sprint(again) != fmt.Sprint(lines) {
		t.Errorf("the lines are\n%v, were\n%v", again, lines)
	}
	if n := s.Verify().Counts["journal records"]; n != records {
		t.Errorf("%d records, were %d", n, records)
	}

	other := kith.Start(t, kithtest.Options{Embedded: true, Args: []string{"demo", "--users", demoSize, "--once"}})
	if !other.AwaitLog(func(log string) bool { return strings.Contains(log, "is being filled") }) {
		t.Fatal("nothing is filled")
	}
	other.Restart()
	awaitDemo(t, other)
	other.Settle()
	if same := roster(t, other); fmt.Sprint(same) != fmt.Sprint(people) {
		t.Errorf("the world is %v, was %v", same, people)
	}
	if n := other.Verify().Counts["journal records"]; n < records {
		t.Errorf("%d records, of another with the same seed %d", n, records)
	}
	fails(t, kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, "demo"), 1, "another kith runs on")
	s.Stop()
	fails(t, kith.Run(t, []string{"KITH_DATA_DIR=" + dir}, "demo", "--seed", "7"), 1, "--seed 1 --users 12")
}

func TestDemoLeavesOtherDataAlone(t *testing.T) {
	t.Parallel()
	dir := kithtest.DataDir(t)
	env := []string{"KITH_DATA_DIR=" + dir}
	if r := kith.Run(t, env, "migrate", "up"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	fails(t, kith.Run(t, env, "demo"), 1, dir, "--data-dir")
	if err := os.WriteFile(filepath.Join(dir, "demo.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, kith.Run(t, env, "demo"), 1, "demo.json", "damaged")
	fails(t, kith.Run(t, env, "demo", "--users", "1"), 2, "--users")
}
