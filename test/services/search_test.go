package services_test

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"kith/test/services"
	"kith/test/services/server"
)

// request asks a search engine, and returns the status and what it answers: 0 where
// nobody does.
func request(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	content, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// documents returns how many documents an index has.
func documents(t *testing.T, url string) int {
	t.Helper()
	status, answer := request(t, http.MethodGet, url+"/_count", "")
	var counted struct{ Count int }
	if err := json.Unmarshal([]byte(answer), &counted); err != nil || status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	return counted.Count
}

// What is not Kith's stays.
func TestASearchEngineHasNoIndexOfAnotherTest(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(testing.TB) string{"OpenSearch": services.Search, "Elasticsearch": services.Elastic} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			foreign := "kithless-" + strings.ToLower(rand.Text())
			for i := range 2 {
				t.Run("one after another", func(t *testing.T) {
					url := take(t)
					if status, _ := request(t, http.MethodHead, url+"/kith-mine", ""); status != http.StatusNotFound {
						t.Errorf("status %d of an index of another test", status)
					}
					indices := []string{"kith-mine", foreign}
					if i > 0 {
						indices = indices[:1]
						if status, answer := request(t, http.MethodDelete, url+"/"+foreign, ""); status != http.StatusOK {
							t.Errorf("status %d: %s", status, answer)
						}
					}
					for _, index := range indices {
						if status, answer := request(t, http.MethodPut, url+"/"+index, ""); status != http.StatusOK {
							t.Errorf("status %d: %s", status, answer)
						}
					}
				})
			}
		})
	}
}

func TestASearchEngineKeepsWhatItAcknowledgedThroughKillAndStop(t *testing.T) {
	t.Parallel()
	for engine, says := range map[server.Kind]string{services.OpenSearch: `"distribution" : "opensearch"`, services.Elasticsearch: `"number" : "7.10.2"`} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			s := services.StartSearch(t, services.SearchConfig{Engine: engine, Settings: map[string]string{"cluster.max_shards_per_node": "17"}})
			url := s.URL()
			if _, answer := request(t, http.MethodGet, url, ""); !strings.Contains(answer, says) {
				t.Errorf("it says %s", answer)
			}
			if _, answer := request(t, http.MethodGet, url+"/_nodes/settings", ""); !strings.Contains(answer, `"max_shards_per_node":"17"`) {
				t.Errorf("its settings are %s", answer)
			}
			for i, end := range []func(){s.Kill, s.Stop} {
				if status, answer := request(t, http.MethodPost, url+"/kept/_doc", `{"name":"a"}`); status != http.StatusCreated {
					t.Fatalf("status %d: %s", status, answer)
				}
				end()
				if status, _ := request(t, http.MethodGet, url, ""); status != 0 || s.PID() != 0 {
					t.Error("it runs")
				}
				s.Start()
				if n := documents(t, url+"/kept"); n != i+1 || s.URL() != url {
					t.Errorf("%d documents, want %d, at %s", n, i+1, s.URL())
				}
			}
		})
	}
}
