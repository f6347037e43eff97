package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kith/actors/user"
	"kith/gateway/auth"
	"kith/persistence"
)

// refreshGrace is how long a refresh token works after it was replaced: the
// answer with the new one may have been lost.
const refreshGrace = 10 * time.Second

func (s *Server) addSessions() {
	handleBody(s, route{
		method: http.MethodPost, path: "/auth/refresh", id: "refresh", tag: tagAccounts, public: true,
		summary: "Get fresh tokens",
		description: "The refresh token is replaced by the one in the answer. The old one works for 10 seconds more and gives another " +
			"fresh pair of the same session; after that its use ends the session.",
		errors: []int{http.StatusUnauthorized},
	}, s.refresh)
	handleBody(s, route{
		method: http.MethodPost, path: "/auth/logout", id: "logout", tag: tagAccounts, optionalBody: true,
		summary:     "Log out",
		description: "Ends the session of the token, or with all every session of the user. Their tokens end everywhere within a second.",
	}, s.logout)
}

type refreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

type logoutBody struct {
	All bool `json:"all,omitempty" nullable:"true" doc:"Every session of the user"`
}

type sessionOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         *sessionAnswer
}

// sessionAnswer is {status,user,token,refresh_token,expires_in}.
type sessionAnswer struct {
	Status    success `json:"status"`
	User      card    `json:"user"`
	Token     string  `json:"token" doc:"Access token, a JWT"`
	Refresh   string  `json:"refresh_token"`
	ExpiresIn int64   `json:"expires_in" doc:"Seconds until the access token expires"`
}

func (a *sessionAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"user":`...)
	b = append(b, a.User.JSON...)
	b = appendString(append(b, `,"token":`...), a.Token)
	b = appendString(append(b, `,"refresh_token":`...), a.Refresh)
	b = append(b, `,"expires_in":`...)
	b = strconv.AppendInt(b, a.ExpiresIn, 10)
	return append(b, '}')
}

// open makes a session of a user and its tokens.
func (s *Server) open(ctx context.Context, account *user.Account) (*sessionOutput, error) {
	id, err := auth.NewSessionID(s.cfg.Rand)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if err := s.cfg.Credentials.CreateSession(ctx, persistence.Session{
		ID: id, User: account.ID, CreatedAt: now, ExpiresAt: now.Add(s.cfg.RefreshTTL), AccessUntil: s.accessUntil(now),
	}); err != nil {
		return nil, fmt.Errorf("store a session of user %d: %w", account.ID, err)
	}
	return s.pairOf(account, auth.Refresh{Session: id})
}

// now is the time as it is stored.
func (s *Server) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// accessUntil is until when an access token may live that a session is given now,
// or within the grace of a refresh token replaced now.
func (s *Server) accessUntil(now time.Time) time.Time {
	return now.Add(s.cfg.AccessTTL + refreshGrace)
}

// pairOf makes an access token and a refresh token.
func (s *Server) pairOf(account *user.Account, r auth.Refresh) (*sessionOutput, error) {
	token, err := s.tokens.Issue(account.UID, r.Session, s.cfg.AccessTTL)
	if err != nil {
		return nil, err
	}
	refresh, err := s.tokens.IssueRefresh(r)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{CacheControl: "no-store", Body: &sessionAnswer{
		User: card{persistence.NewCard(account.Card)}, Token: token, Refresh: refresh, ExpiresIn: int64(s.cfg.AccessTTL / time.Second),
	}}, nil
}

// refresh replaces a refresh token. Twice at once, or again because the answer
// was lost, gives two pairs of one generation, either of which goes on: the next
// to be used replaces both.
//
// A token that was replaced longer ago is in two hands, and nobody knows which of
// them is right: the session ends for both.
func (s *Server) refresh(ctx context.Context, _ *struct{}, in *refreshBody) (*sessionOutput, error) {
	given, err := s.tokens.ParseRefresh(in.RefreshToken)
	if err != nil {
		return nil, errRefresh
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	session, err := s.cfg.Credentials.Session(ctx, given.Session)
	if err != nil {
		return nil, notFoundIs(fmt.Errorf("read a session: %w", err), errRefresh)
	}
	accounts, err := s.cfg.Directory.Accounts(ctx, []user.ID{session.User})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read user %d, who refreshes: %w", session.User, err)
	case len(accounts) != 1 || accounts[0] == nil:
		return nil, errRefresh
	}
	if err := s.takeUser(ctx, auth.KeyOf(accounts[0].UID)); err != nil {
		return nil, err
	}
	now := s.now()
	if !now.Before(session.ExpiresAt) || given.Generation > session.Generation {
		return nil, errRefresh
	}
	session, rotated, err := s.cfg.Credentials.RotateSession(ctx, persistence.Rotation{
		ID: given.Session, From: given.Generation, At: now, ExpiresAt: now.Add(s.cfg.RefreshTTL), AccessUntil: s.accessUntil(now),
	})
	if err != nil {
		return nil, notFoundIs(fmt.Errorf("rotate a session of user %d: %w", accounts[0].ID, err), errRefresh)
	}
	if at, known := session.Replaced(given.Generation); !rotated && (!known || now.Sub(at) > refreshGrace) {
		if err := s.end(ctx, persistence.SessionEnd{ID: given.Session, Until: s.accessUntil(now)}); err != nil {
			return nil, err
		}
		return nil, errRefresh
	}
	return s.pairOf(accounts[0], auth.Refresh{Session: given.Session, Generation: session.Generation})
}

// end ends sessions, here at once, elsewhere as soon as it is read there.
func (s *Server) end(ctx context.Context, e persistence.SessionEnd) error {
	ended, err := s.cfg.Credentials.EndSessions(ctx, e)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	s.ended.Add(ended)
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

type logoutOutput struct{ Body *messageAnswer }

// logout ends what the token belongs to: a session, or, of a token that was issued
// for none, the token itself.
func (s *Server) logout(ctx context.Context, _ *struct{}, in *logoutBody) (*logoutOutput, error) {
	caller, err := s.caller(ctx, false)
	if err != nil {
		return nil, err
	}
	token := exchangeOf(ctx).token
	e := persistence.SessionEnd{ID: token.Session, Until: token.ExpiresAt}
	if token.Foreign {
		// Others of its tokens may live longer than this one, by how much nobody knows:
		// as long as any session.
		e.Until = later(e.Until, s.now().Add(s.cfg.RefreshTTL))
	}
	if in.All {
		e.AllOf = caller.Card.ID
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if err := s.end(ctx, e); err != nil {
		return nil, err
	}
	return &logoutOutput{Body: &messageAnswer{Message: "Logged out"}}, nil
}
