package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"kith/wire/asyncapi"
)

// addAsyncAPI adds the description of the topics and of the socket. It is made when
// somebody first asks for it.
func (s *Server) addAsyncAPI() {
	described := sync.OnceValues(func() ([]byte, error) {
		b, err := json.Marshal(asyncapi.New(s.cfg.Version))
		if err != nil {
			return nil, fmt.Errorf("encode the description of the topics: %w", err)
		}
		return b, nil
	})
	handleStream(s, route{
		method: http.MethodGet, path: "/asyncapi.json", id: "get-asyncapi", tag: tagHealth, public: true, hidden: true,
	}, func(x *exchange, _ *struct{}) error {
		b, err := described()
		if err != nil {
			return err
		}
		writeFile(x, contentJSON, b)
		return nil
	})
}
