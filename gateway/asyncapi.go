package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"kith/wire/asyncapi"
)

// addAsyncAPI adds the description of the topics and of the socket.
func (s *Server) addAsyncAPI() error {
	b, err := json.Marshal(asyncapi.New(s.cfg.Version))
	if err != nil {
		return fmt.Errorf("gateway: encode the description of the topics: %w", err)
	}
	handleStream(s, route{
		method: http.MethodGet, path: "/asyncapi.json", id: "get-asyncapi", tag: tagHealth, public: true, hidden: true,
	}, func(x *exchange, _ *struct{}) error {
		writeFile(x, contentJSON, b)
		return nil
	})
	return nil
}
