package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/limits"
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
	handleBody(s, route{
		method: http.MethodPost, path: "/users", id: "create-user", tag: tagAccounts,
		summary:     "Make the user of an outside identity",
		description: "With a token of the outside identity provider whose identity has no user yet.",
		status:      http.StatusCreated, errors: []int{http.StatusConflict},
	}, s.createUser)
}

type registerBody struct {
	Username string `json:"username" doc:"3 to 30 of a to z, 0 to 9 and _, after trimming and in lower case"`
	Name     string `json:"name" minLength:"1" maxLength:"29"`
	Password string `json:"password" minLength:"8" maxLength:"128"`
	Email    string `json:"email,omitempty" nullable:"true" doc:"One plain address"`
}

type createUserBody struct {
	Username string `json:"username" doc:"3 to 30 of a to z, 0 to 9 and _, after trimming and in lower case"`
	Name     string `json:"name" minLength:"1" maxLength:"29"`
	Email    string `json:"email,omitempty" nullable:"true" doc:"One plain address"`
}

type loginBody struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// register is not to be repeated blindly: when its outcome is unknown the account
// may exist, and then the name is taken, by the one who asks. Logging in tells.
// If the session cannot be stored after the account was made, the name is taken
// just so, and logging in makes another session.
func (s *Server) register(ctx context.Context, _ *struct{}, in *registerBody) (*sessionOutput, error) {
	r, err := registration(in.Username, in.Name, in.Email)
	if err != nil {
		return nil, err
	}
	password, err := user.ParsePassword(in.Password)
	if err != nil {
		return nil, err
	}
	if user.Reserved(r.Username) {
		return nil, errUsernameReserved
	}
	if err := s.takeName(ctx, limits.Register, r.Username); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if r.PasswordHash, err = s.passwords.Hash(ctx, password); err != nil {
		return nil, err
	}
	result, err := s.cfg.Grains.Register(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("register: %w", err)
	}
	out, err := s.open(ctx, &result.Account)
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, fmt.Errorf("%w: user %d is registered: %w", errOutcomeUnknown, result.Account.ID, err)
	}
	return out, err
}

// registration reads what every new user brings.
func registration(username, name, email string) (r usergrain.Registration, err error) {
	if r.Username, err = user.ParseUsername(username); err != nil {
		return r, err
	}
	if r.Name, err = user.ParseName(name); err != nil {
		return r, err
	}
	r.Email, err = user.ParseEmail(email)
	return r, err
}

type createdOutput struct{ Body *userAnswer }

// createUser makes the user of an outside identity. Sent again after a lost
// answer, it is refused since the identity has a user: GET /users/self shows it.
func (s *Server) createUser(ctx context.Context, _ *struct{}, in *createUserBody) (*createdOutput, error) {
	token := exchangeOf(ctx).token
	// Who has a token of our own has a user, or had one.
	if _, err := s.caller(ctx, true); err == nil {
		return nil, errIdentityTaken
	} else if !errors.Is(err, errUserNotFound) {
		return nil, err
	}
	if token.Identity == "" {
		return nil, errBadToken
	}
	r, err := registration(in.Username, in.Name, in.Email)
	if err != nil {
		return nil, err
	}
	if user.Reserved(r.Username) {
		return nil, errUsernameReserved
	}
	r.Identity = token.Identity
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	result, err := s.cfg.Grains.Register(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("register an identity: %w", err)
	}
	token.SetUser(result.Account.ID)
	return &createdOutput{Body: &userAnswer{User: card{persistence.NewCard(result.Account.Card)}}}, nil
}

// login takes the same time whether the user exists or not: the same queries are
// made and a password is checked in any case.
func (s *Server) login(ctx context.Context, _ *struct{}, in *loginBody) (*sessionOutput, error) {
	username, _ := user.ParseUsername(in.Username) // "" when nobody can have it
	if username != "" {
		if err := s.takeName(ctx, limits.Login, username); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var id user.ID
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
