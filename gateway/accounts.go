package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/auth"
	"kith/persistence"
)

const tagAccounts = "accounts"

func (s *Server) addAccounts() {
	handleBody(s, route{
		method: http.MethodPost, path: "/auth/register", id: "register", tag: tagAccounts, public: true,
		summary: "Make an account", description: "The answer logs the new user in.",
		status: http.StatusCreated, errors: []int{http.StatusConflict},
	}, s.register)
	handleBody(s, route{
		method: http.MethodPost, path: "/auth/login", id: "login", tag: tagAccounts, public: true,
		summary: "Log in", errors: []int{http.StatusUnauthorized},
	}, s.login)
}

type registerBody struct {
	Username string `json:"username" doc:"3 to 30 of a to z, 0 to 9 and _, after trimming and in lower case"`
	Name     string `json:"name" minLength:"1" maxLength:"29"`
	Password string `json:"password" minLength:"8" maxLength:"128"`
	Email    string `json:"email,omitempty" nullable:"true" doc:"One plain address"`
}

type loginBody struct {
	Username string `json:"username"`
	Password string `json:"password"`
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

// register is not to be repeated blindly: when its outcome is unknown the account
// may exist, and then the name is taken, by the one who asks. Logging in tells.
// If the session cannot be stored after the account was made, logging in makes
// another.
func (s *Server) register(ctx context.Context, _ *struct{}, in *registerBody) (*sessionOutput, error) {
	username, err := user.ParseUsername(in.Username)
	if err != nil {
		return nil, err
	}
	name, err := user.ParseName(in.Name)
	if err != nil {
		return nil, err
	}
	password, err := user.ParsePassword(in.Password)
	if err != nil {
		return nil, err
	}
	email, err := user.ParseEmail(in.Email)
	if err != nil {
		return nil, err
	}
	if user.Reserved(username) {
		return nil, errUsernameReserved
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	hash, err := s.passwords.Hash(ctx, password)
	if err != nil {
		return nil, err
	}
	result, err := s.cfg.Grains.Register(ctx, usergrain.Registration{Username: username, Name: name, Email: email, PasswordHash: hash})
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	return s.open(ctx, &result.Account)
}

// login takes the same time whether the user exists or not: the same queries are
// made and a password is checked in any case.
func (s *Server) login(ctx context.Context, _ *struct{}, in *loginBody) (*sessionOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var id user.ID
	username, _ := user.ParseUsername(in.Username) // "" when nobody can have it
	account, err := s.cfg.Directory.ByUsername(ctx, username)
	switch {
	case err == nil:
		id = account.ID
	case !errors.Is(err, persistence.ErrNotFound):
		return nil, fmt.Errorf("find who logs in: %w", err)
	}
	hash, err := s.cfg.Credentials.PasswordHash(ctx, id) // nobody is user 0
	if err != nil && !errors.Is(err, persistence.ErrNotFound) {
		return nil, fmt.Errorf("read the password of user %d: %w", id, err)
	}
	ok, err := s.passwords.Check(ctx, hash, in.Password)
	switch {
	case err != nil:
		return nil, fmt.Errorf("check the password of user %d: %w", id, err)
	case !ok || account == nil:
		return nil, errCredentials
	}
	out, err := s.open(ctx, account)
	return out, notFoundIs(err, errCredentials)
}

// open makes a session of a user and its tokens.
func (s *Server) open(ctx context.Context, account *user.Account) (*sessionOutput, error) {
	id, err := auth.NewSessionID(s.cfg.Rand)
	if err != nil {
		return nil, err
	}
	refresh, hash, err := auth.NewRefresh(s.cfg.Rand)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now().UTC().Truncate(time.Microsecond)
	if err := s.cfg.Credentials.CreateSession(ctx, persistence.Session{
		ID: id, User: account.ID, RefreshHash: hash, CreatedAt: now, ExpiresAt: now.Add(s.cfg.RefreshTTL),
	}); err != nil {
		return nil, fmt.Errorf("store a session of user %d: %w", account.ID, err)
	}
	token, err := s.tokens.Issue(account.UID, id, s.cfg.AccessTTL)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{CacheControl: "no-store", Body: &sessionAnswer{
		User: card{persistence.NewCard(account.Card)}, Token: token, Refresh: refresh, ExpiresIn: int64(s.cfg.AccessTTL / time.Second),
	}}, nil
}
