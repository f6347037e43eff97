package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"kith/actors/user"
	"kith/persistence"
)

func (s *Server) addAvailability() {
	handle(s, route{
		method: http.MethodGet, path: "/users/availability/{username}", id: "check-availability", tag: tagUsers, public: true,
		summary:     "Whether a username is free",
		description: "The name is trimmed and lower-cased first. A reserved name is never available.",
		also:        []int{http.StatusNotModified}, errors: []int{http.StatusBadRequest},
	}, s.checkAvailability)
	// A name that is nothing at all does not reach the route above.
	handleStream(s, route{
		method: http.MethodGet, path: "/users/availability/", id: "check-no-availability", tag: tagUsers, public: true, hidden: true,
	}, func(*exchange, *struct{}) error { return errUsernameRequired })
}

// nameInput is the path of a route about a name that nobody need have.
type nameInput struct {
	Username string `path:"username" doc:"The username to check" example:"johndoe"`
}

type availabilityOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         *encoded[availabilityAnswer]
}

// availabilityAnswer is {status,available,username}.
type availabilityAnswer struct {
	Status    success `json:"status"`
	Available bool    `json:"available"`
	Username  string  `json:"username" doc:"As it would be registered"`
}

// checkAvailability asks for the claim, not for the row: a name that somebody is
// about to register is not free either.
func (s *Server) checkAvailability(ctx context.Context, in *nameInput) (*availabilityOutput, error) {
	username, err := user.ParseUsername(in.Username)
	if err != nil {
		return nil, usernameRule(err)
	}
	free := false
	if !user.Reserved(username) {
		if free, err = s.free(ctx, username); err != nil {
			return nil, err
		}
	}
	out, err := tagged(ctx, &availabilityAnswer{Available: free, Username: username})
	if err != nil {
		return nil, err
	}
	return &availabilityOutput{Status: out.Status, ETag: out.ETag, CacheControl: "no-cache", Body: out.Body}, nil
}

func (s *Server) free(ctx context.Context, username string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	_, err := s.cfg.Directory.ClaimHolder(ctx, persistence.Claim{Kind: persistence.ClaimUsername, Value: username})
	if errors.Is(err, persistence.ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("find who holds a name: %w", err)
	}
	return false, nil
}

// usernameRule gives the rule that a blank name breaks the code it has elsewhere.
func usernameRule(err error) error {
	if invalid, ok := errors.AsType[*user.InvalidError](err); ok && invalid.Message == errUsernameRequired.message {
		return errUsernameRequired
	}
	return err
}
