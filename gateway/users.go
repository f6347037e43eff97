package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// commandTimeout bounds how long a request waits for a grain. What it was about
// may still happen afterwards; sending it again is safe.
const commandTimeout = 10 * time.Second

// selfName stands for the caller wherever a route has a username.
const selfName = "self"

const tagUsers = "users"

func (s *Server) addUsers() {
	handle(s, route{
		method: http.MethodGet, path: "/users/self", id: "get-self", tag: tagUsers, deprecated: true,
		summary: "Get your own user", description: "Use GET /users/{username} with your own username instead.",
		also: []int{http.StatusNotModified}, errors: []int{http.StatusNotFound},
	}, s.getSelf)
	handle(s, route{
		method: http.MethodGet, path: "/users/{username}", id: "get-user", tag: tagUsers,
		summary: "Get a user", description: "Usernames are compared without case; self is the caller.",
		also: []int{http.StatusNotModified}, errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, s.getUser)
	handleBody(s, route{
		method: http.MethodPut, path: "/users/self", id: "update-self", tag: tagUsers,
		summary: "Change your own user", description: "Only the fields given change. None given returns the user unchanged.",
		errors: []int{http.StatusNotFound, http.StatusConflict},
	}, s.updateSelf)
	handle(s, route{
		method: http.MethodDelete, path: "/users/{username}", id: "delete-user", tag: tagUsers,
		summary: "Delete your own account", description: "From then on nobody sees the user, and the name is free.",
		errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
	}, s.deleteUser)
	// A name that is nothing at all does not reach the routes above.
	s.addBlank(http.MethodGet, "/users/", "get-no-user", tagUsers, false)
	s.addBlank(http.MethodDelete, "/users/", "delete-no-user", tagUsers, true)
}

// addBlank adds what a path answers that has no username where one belongs.
func (s *Server) addBlank(method, path, id, tag string, aboutCaller bool) {
	handleStream(s, route{method: method, path: path, id: id, tag: tag, hidden: true}, func(x *exchange, _ *struct{}) error {
		if _, err := s.caller(x, aboutCaller); err != nil {
			return err
		}
		return errUsernameRequired
	})
}

// usernameInput is the path of a route about a user.
type usernameInput struct {
	Username string `path:"username" doc:"A username, compared without case, or self" example:"johndoe"`
}

// pathUsername returns the normalised username of a path. A blank one is
// refused; one that nobody can have is not found.
func pathUsername(raw string) (string, error) {
	name, err := user.ParseUsername(raw)
	switch {
	case err == nil:
		return name, nil
	case strings.TrimSpace(raw) == "":
		return "", errUsernameRequired
	}
	return "", errUserNotFound
}

// pair returns the cards of the caller and of the user whom a path names. The
// cache is asked once for both. A path of self is about the caller; aboutCaller
// says that the rest of the path is, too.
func (s *Server) pair(ctx context.Context, raw string, aboutCaller bool) (caller, target *persistence.CachedCard, err error) {
	name, refused := pathUsername(raw)
	token := exchangeOf(ctx).token
	id := token.User()
	if refused != nil || name == selfName || id == 0 {
		if caller, err = s.caller(ctx, aboutCaller || name == selfName); err != nil {
			return nil, nil, err
		}
		switch {
		case refused != nil:
			return nil, nil, refused
		case name == selfName:
			return caller, caller, nil
		}
		target, err = s.people.byUsername(ctx, name)
		return caller, target, notFoundIs(err, errUserNotFound)
	}

	ids := make([]user.ID, 1, 2)
	ids[0] = id
	hint := s.people.hint(ctx, name)
	if hint != 0 && hint != id {
		ids = append(ids, hint)
	}
	cards := s.people.cached(ctx, ids)
	caller, err = s.people.resolve(ctx, id, cards[0])
	if errors.Is(err, persistence.ErrNotFound) {
		caller, err = s.gone(ctx, token, aboutCaller)
	}
	if err != nil {
		return nil, nil, err
	}
	if caller.Card.Username == name {
		return caller, caller, nil
	}
	var found *persistence.CachedCard
	if len(cards) == 2 {
		found = cards[1]
	}
	target, err = s.people.named(ctx, name, found)
	return caller, target, notFoundIs(err, errUserNotFound)
}

// notFoundIs gives a row that is not there its meaning.
func notFoundIs(err, meaning error) error {
	if errors.Is(err, persistence.ErrNotFound) {
		return meaning
	}
	return err
}

type lookupOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *lookupAnswer
}

// lookupAnswer is {status,user,following}.
type lookupAnswer struct {
	Status    success `json:"status"`
	User      card    `json:"user"`
	Following bool    `json:"following" doc:"Whether the caller follows the user"`
}

func (a *lookupAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"user":`...)
	b = append(b, a.User.JSON...)
	if a.Following {
		return append(b, `,"following":true}`...)
	}
	return append(b, `,"following":false}`...)
}

func (s *Server) getUser(ctx context.Context, in *usernameInput) (*lookupOutput, error) {
	caller, target, err := s.pair(ctx, in.Username, false)
	if err != nil {
		return nil, err
	}
	follows, err := s.follows(ctx, caller.Card.ID, target.Card.ID)
	if err != nil {
		return nil, err
	}
	rest := "-0"
	if follows {
		rest = "-1"
	}
	tag := cardTag(target, rest)
	if unchanged(exchangeOf(ctx).r.Header["If-None-Match"], tag) {
		return &lookupOutput{Status: http.StatusNotModified, ETag: tag}, nil
	}
	return &lookupOutput{Status: http.StatusOK, ETag: tag, Body: &lookupAnswer{User: card{target}, Following: follows}}, nil
}

// follows reports whether caller follows target: from the view that the caller's
// grain publishes, or from the primary keys, and then the grain is asked for.
func (s *Server) follows(ctx context.Context, caller, target user.ID) (bool, error) {
	if caller == target {
		return false, nil
	}
	if follows, known := s.cfg.Relations.Follows(caller, target); known {
		return follows, nil
	}
	s.cfg.Relations.Warm(caller)
	r, err := s.relation(ctx, caller, target)
	return r.Following, err
}

func (s *Server) relation(ctx context.Context, id, other user.ID) (persistence.Relation, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	relations, err := s.cfg.Edges.Relations(ctx, id, []user.ID{other})
	if err != nil {
		return persistence.Relation{}, fmt.Errorf("read the relation of users %d and %d: %w", id, other, err)
	}
	if len(relations) != 1 {
		return persistence.Relation{}, fmt.Errorf("read the relation of users %d and %d: %d answers", id, other, len(relations))
	}
	return relations[0], nil
}

// selfDeprecated is when GET /users/self was deprecated (RFC 9745): always.
const selfDeprecated = "@1704067200"

type selfOutput struct {
	Status      int
	ETag        string `header:"ETag"`
	Deprecation string `header:"Deprecation"`
	Link        string `header:"Link" doc:"The route to use instead"`
	Body        *userAnswer
}

func (s *Server) getSelf(ctx context.Context, _ *struct{}) (*selfOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	out := &selfOutput{
		Status: http.StatusOK, ETag: cardTag(caller, ""),
		Deprecation: selfDeprecated, Link: "</users/" + caller.Card.Username + `>; rel="successor-version"`,
	}
	if unchanged(exchangeOf(ctx).r.Header["If-None-Match"], out.ETag) {
		out.Status = http.StatusNotModified
		return out, nil
	}
	out.Body = &userAnswer{User: card{caller}}
	return out, nil
}

// profileBody is what users change of themselves.
type profileBody struct {
	Name    *string `json:"name,omitempty" nullable:"true" minLength:"1" maxLength:"29"`
	Picture *string `json:"profile_picture,omitempty" nullable:"true" doc:"Empty, an http(s) URL, or the path of your own upload" maxLength:"2048"`
	Role    *string `json:"role,omitempty" nullable:"true" enum:"user,creator"`
	Bio     *string `json:"bio,omitempty" nullable:"true" text:"lines" maxLength:"500"`
	Email   *string `json:"email,omitempty" nullable:"true" doc:"One plain address; empty removes it"`
}

type userOutput struct{ Body *userAnswer }

func (s *Server) updateSelf(ctx context.Context, _ *struct{}, in *profileBody) (*userOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	c := user.UpdateProfile{At: s.cfg.Now()}
	if err := errors.Join(
		parseInto(&c.Name, in.Name, user.ParseName),
		s.parsePicture(ctx, &c.Picture, in.Picture, caller.Card.UID),
		parseInto(&c.Role, in.Role, user.ParseRole),
		parseInto(&c.Bio, in.Bio, user.ParseBio),
		parseInto(&c.Email, in.Email, user.ParseEmail),
	); err != nil {
		return nil, err // the first of them is told
	}
	if c.Name == nil && c.Picture == nil && c.Role == nil && c.Bio == nil && c.Email == nil {
		return &userOutput{Body: &userAnswer{User: card{caller}}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	result, err := s.cfg.Grains.Do(ctx, caller.Card.ID, c)
	if err != nil {
		return nil, fmt.Errorf("update user %d: %w", caller.Card.ID, err)
	}
	return &userOutput{Body: &userAnswer{User: card{persistence.NewCard(result.Account.Card)}}}, nil
}

// parseInto sets field to what parse makes of a given value.
func parseInto[T any](field **T, given *string, parse func(string) (T, error)) error {
	if given == nil {
		return nil
	}
	v, err := parse(*given)
	if err != nil {
		return err
	}
	*field = &v
	return nil
}

type messageOutput struct{ Body *messageAnswer }

// deleteUser deletes the caller. Others are refused before anybody looks whether
// they exist.
func (s *Server) deleteUser(ctx context.Context, in *usernameInput) (*messageOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	name, err := pathUsername(in.Username)
	switch {
	case errors.Is(err, errUsernameRequired):
		return nil, err
	case err != nil, name != selfName && name != caller.Card.Username:
		return nil, errNotOwnAccount
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if _, err := s.cfg.Grains.Do(ctx, caller.Card.ID, user.Delete{At: s.cfg.Now()}); err != nil {
		return nil, fmt.Errorf("delete user %d: %w", caller.Card.ID, err)
	}
	return &messageOutput{Body: &messageAnswer{Message: "User deleted successfully"}}, nil
}
