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
		summary: "Whether the process is alive",
	}, s.getHealth)
	handle(s, route{
		method: http.MethodGet, path: "/readyz", id: "get-readiness", tag: tagHealth, public: true,
		summary: "Whether the process can serve", description: "503 while the database or the lanes are away.",
	}, s.getReadiness)
}

type healthOutput struct{ Body *healthAnswer }

// healthAnswer is {status}.
type healthAnswer struct {
	Status success `json:"status"`
}

func (a *healthAnswer) appendJSON(b []byte) []byte { return append(b, openSuccess+`}`...) }

func (s *Server) getHealth(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{Body: &healthAnswer{}}, nil
}

type readinessOutput struct{ Body *readinessAnswer }

// readinessAnswer is {status,degraded}.
type readinessAnswer struct {
	Status   success  `json:"status"`
	Degraded []string `json:"degraded" nullable:"false" doc:"Parts that do not answer, without which the rest works"`
}

func (a *readinessAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"degraded":`...)
	return append(appendStrings(b, a.Degraded), '}')
}

func (s *Server) getReadiness(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
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
	return &readinessOutput{Body: &readinessAnswer{Degraded: r.Degraded}}, nil
}
