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
		errors:      []int{http.StatusBadRequest},
	}, s.checkAvailability)
}

// nameInput is the path of a route about a name that nobody need have.
type nameInput struct {
	Username string `path:"username" doc:"The username to check" example:"johndoe"`
}

type availabilityOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         *availabilityAnswer
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
	out := &availabilityOutput{CacheControl: "no-store", Body: &availabilityAnswer{Username: username}}
	if user.Reserved(username) {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	_, err = s.cfg.Directory.ClaimHolder(ctx, persistence.Claim{Kind: persistence.ClaimUsername, Value: username})
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		out.Body.Available = true
	case err != nil:
		return nil, fmt.Errorf("find who holds a name: %w", err)
	}
	return out, nil
}

// usernameRule gives the rule that a blank name breaks the code it has elsewhere.
func usernameRule(err error) error {
	if invalid, ok := errors.AsType[*user.InvalidError](err); ok && invalid.Message == errUsernameRequired.message {
		return errUsernameRequired
	}
	return err
}
