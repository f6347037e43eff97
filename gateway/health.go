package gateway

import (
	"context"
	"net/http"
)

const tagHealth = "health"

// Readiness is whether the process can serve.
type Readiness struct {
	// Ready is false while the database or the lanes are away; Reasons says which.
	Ready   bool
	Reasons []string
	// Degraded names other parts that do not answer. What needs them waits or is
	// slower; the rest works.
	Degraded []string
}

func (s *Server) addHealth() {
	handle(s, route{
		method: http.MethodGet, path: "/healthz", id: "get-health", tag: tagHealth, public: true,
		summary: "Whether the process is alive", also: []int{http.StatusNotModified},
	}, s.getHealth)
	handle(s, route{
		method: http.MethodGet, path: "/readyz", id: "get-readiness", tag: tagHealth, public: true,
		summary: "Whether the process can serve", description: "503 while the database or the lanes are away.",
		also: []int{http.StatusNotModified},
	}, s.getReadiness)
}

// healthAnswer is {status}.
type healthAnswer struct {
	Status success `json:"status"`
}

func (s *Server) getHealth(ctx context.Context, _ *struct{}) (*taggedOutput[healthAnswer], error) {
	return tagged(ctx, &healthAnswer{})
}

// readinessAnswer is {status,degraded}.
type readinessAnswer struct {
	Status   success  `json:"status"`
	Degraded []string `json:"degraded" nullable:"false" doc:"Parts that do not answer, without which the rest works"`
}

func (s *Server) getReadiness(ctx context.Context, _ *struct{}) (*taggedOutput[readinessAnswer], error) {
	r := s.cfg.Ready(ctx)
	if !r.Ready {
		reasons := r.Reasons
		if reasons == nil {
			reasons = []string{}
		}
		refused := *errNotReady
		refused.reasons = reasons
		return nil, &refused
	}
	degraded := r.Degraded
	if degraded == nil {
		degraded = []string{}
	}
	return tagged(ctx, &readinessAnswer{Degraded: degraded})
}
