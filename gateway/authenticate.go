package gateway

import (
	"context"
	"errors"
	"fmt"

	"kith/gateway/auth"
	"kith/persistence"
)

// authenticate notes on x whose token the request bears. Whether that user still
// exists is for the handler to find out, together with what else it reads.
func (s *Server) authenticate(x *exchange) error {
	headers := x.r.Header["Authorization"]
	if len(headers) == 0 {
		return errNoToken
	}
	bearer, ok := auth.Bearer(headers)
	if !ok {
		return errBadToken
	}
	token, err := s.verify(x, bearer)
	if err != nil {
		return err
	}
	x.token = token
	return nil
}

// verify returns what a token says whose session has not ended.
func (s *Server) verify(ctx context.Context, bearer string) (*auth.Token, error) {
	token, err := s.tokens.Verify(ctx, bearer)
	switch {
	case errors.Is(err, auth.ErrToken):
		return nil, errBadToken
	case err != nil:
		return nil, fmt.Errorf("verify a token: %w", err)
	}
	ended, err := s.ended.Has(ctx, token.Session)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	case ended:
		return nil, errBadToken
	}
	return token, nil
}

// goneIs is what a valid token of a user who does not exist, or no longer does,
// is answered with.
func goneIs(aboutCaller bool) error {
	if aboutCaller {
		return errUserNotFound
	}
	return errBadToken
}

// caller returns the card of whoever sent the request. aboutCaller says whether
// the route is about them; see goneIs.
func (s *Server) caller(ctx context.Context, aboutCaller bool) (*persistence.CachedCard, error) {
	return s.userOf(ctx, exchangeOf(ctx).token, aboutCaller)
}

// userOf returns the card of whom a token is for.
func (s *Server) userOf(ctx context.Context, token *auth.Token, aboutCaller bool) (*persistence.CachedCard, error) {
	id := token.User()
	if id == 0 {
		return s.bearer(ctx, token, aboutCaller)
	}
	c, err := s.people.byID(ctx, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return s.gone(ctx, token, aboutCaller)
	}
	return c, err
}

// gone is for a token whose user, known before, is not there any more. A uid ends
// with its user; an outside identity may have another by now.
func (s *Server) gone(ctx context.Context, token *auth.Token, aboutCaller bool) (*persistence.CachedCard, error) {
	if token.Identity == "" {
		return nil, goneIs(aboutCaller)
	}
	return s.bearer(ctx, token, aboutCaller)
}

// bearer finds the user of a token, and notes it on the token.
func (s *Server) bearer(ctx context.Context, token *auth.Token, aboutCaller bool) (*persistence.CachedCard, error) {
	var (
		c   *persistence.CachedCard
		err error
	)
	if token.Identity == "" {
		c, err = s.people.byUID(ctx, token.UID)
	} else {
		c, err = s.byIdentity(ctx, token.Identity)
	}
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		return nil, goneIs(aboutCaller)
	case err != nil:
		return nil, err
	}
	token.SetUser(c.Card.ID)
	return c, nil
}

// byIdentity returns the card of the user of an outside identity, or
// persistence.ErrNotFound: also while somebody is still registering.
func (s *Server) byIdentity(ctx context.Context, identity string) (*persistence.CachedCard, error) {
	query, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	id, err := s.cfg.Directory.ClaimHolder(query, persistence.Claim{Kind: persistence.ClaimIdentity, Value: identity})
	if err != nil {
		return nil, fmt.Errorf("find the user of an identity: %w", err)
	}
	return s.people.byID(ctx, id)
}
