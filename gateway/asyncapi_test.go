package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"kith/wire/asyncapi"
)

func TestTheDescriptionOfTheTopicsIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.get(t, "", "/asyncapi.json")
	b, err := json.Marshal(asyncapi.New("dev"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/json" || got.Body.String() != string(b) {
		t.Errorf("%d %s", got.Code, got.Header())
	}
	again := w.call(t, call{method: http.MethodGet, path: "/asyncapi.json", header: []string{"If-None-Match", got.Header().Get("ETag")}})
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("%d, %d bytes", again.Code, again.Body.Len())
	}
}
