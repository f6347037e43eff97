package gateway

import (
	"context"
	"errors"

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
	token, err := s.tokens.Verify(bearer)
	if err != nil {
		return errBadToken
	}
	x.token = token
	return nil
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
	token := exchangeOf(ctx).token
	var (
		c   *persistence.CachedCard
		err error
	)
	if id := token.User(); id != 0 {
		c, err = s.people.byID(ctx, id)
	} else if c, err = s.people.byUID(ctx, token.UID); err == nil {
		token.SetUser(c.Card.ID)
	}
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, goneIs(aboutCaller)
	}
	return c, err
}
