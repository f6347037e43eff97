package browser_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"kith/test/kithtest"
)

var lastFront string
var fronts = map[*kithtest.Server]string{}

func front(t *testing.T, s *kithtest.Server) string {
	if f := fronts[s]; f != "" {
		return f
	}
	cmd := exec.Command("/tmp/fakelive/fakelive", s.URL(), "127.0.0.1:0")
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	fronts[s] = "http://" + strings.TrimSpace(line)
	lastFront = fronts[s]
	return lastFront
}

func devRequest(t *testing.T, token, method, path string, body any) {
	t.Helper()
	b, _ := json.Marshal(body)
	r, _ := http.NewRequest(method, lastFront+path, bytes.NewReader(b))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatal(method, path, err, resp)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}
