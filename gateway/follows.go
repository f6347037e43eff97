package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"kith/actors/user"
	"kith/persistence"
)

const tagFollows = "follows"

func (s *Server) addFollows() {
	handle(s, route{
		method: http.MethodPut, path: "/users/self/following/{username}", id: "follow-user", tag: tagFollows,
		summary: "Follow a user", description: "201 when the follow is new. The user's counter may still be the old one.",
		status: http.StatusOK, also: []int{http.StatusCreated},
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity},
	}, s.follow)
	handle(s, route{
		method: http.MethodDelete, path: "/users/self/following/{username}", id: "unfollow-user", tag: tagFollows,
		summary: "Stop following a user", description: "Also a success when the user was not followed.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, s.unfollow)
	s.addBlank(http.MethodPut, "/users/self/following/", "follow-nobody", tagFollows, true)
	s.addBlank(http.MethodDelete, "/users/self/following/", "unfollow-nobody", tagFollows, true)
	for _, list := range []struct {
		kind          persistence.EdgeKind
		name, summary string
	}{
		{persistence.EdgeFollowers, "followers", "List who follows a user"},
		{persistence.EdgeFollowing, "following", "List whom a user follows"},
	} {
		handle(s, route{
			method: http.MethodGet, path: "/users/{username}/" + list.name, id: "list-" + list.name, tag: tagFollows,
			summary: list.summary, description: "Newest first. A row that stays while others come and go is shown exactly once.",
			also:   []int{http.StatusNotModified},
			errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
		}, func(ctx context.Context, in *edgesInput) (*usersOutput, error) {
			return s.listUsers(ctx, in, list.kind, list.name)
		})
	}
}

type followOutput struct {
	Status int
	Body   *followAnswer
}

// followAnswer is {status,following,user}.
type followAnswer struct {
	Status    success `json:"status"`
	Following bool    `json:"following" enum:"true"`
	User      card    `json:"user"`
}

func (a *followAnswer) appendJSON(b []byte) []byte {
	b = append(b, openSuccess+`,"following":true,"user":`...)
	b = append(b, a.User.JSON...)
	return append(b, '}')
}

// follow may be repeated: what was done already answers 200.
func (s *Server) follow(ctx context.Context, in *usernameInput) (*followOutput, error) {
	caller, target, err := s.pair(ctx, in.Username, true)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	result, err := s.cfg.Grains.Do(ctx, caller.Card.ID, user.Follow{Target: target.Card.ID, At: s.cfg.Now()})
	if err != nil {
		return nil, fmt.Errorf("user %d follows user %d: %w", caller.Card.ID, target.Card.ID, err)
	}
	out := &followOutput{Status: http.StatusOK, Body: &followAnswer{Following: true, User: card{target}}}
	if result.Changed {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type unfollowOutput struct{ Body *unfollowAnswer }

// unfollowAnswer is {status,following}.
type unfollowAnswer struct {
	Status    success `json:"status"`
	Following bool    `json:"following" enum:"false"`
}

func (a *unfollowAnswer) appendJSON(b []byte) []byte {
	return append(b, openSuccess+`,"following":false}`...)
}

func (s *Server) unfollow(ctx context.Context, in *usernameInput) (*unfollowOutput, error) {
	caller, target, err := s.pair(ctx, in.Username, true)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if _, err := s.cfg.Grains.Do(ctx, caller.Card.ID, user.Unfollow{Target: target.Card.ID, At: s.cfg.Now()}); err != nil {
		return nil, fmt.Errorf("user %d unfollows user %d: %w", caller.Card.ID, target.Card.ID, err)
	}
	return &unfollowOutput{Body: &unfollowAnswer{}}, nil
}

// edgesInput is the path and the page of a follow list.
type edgesInput struct {
	Username string     `path:"username" doc:"A username, compared without case, or self" example:"johndoe"`
	Limit    limitParam `query:"limit" doc:"Rows in a page"`
	Cursor   string     `query:"cursor" minLength:"1" doc:"next_cursor of the page before"`
}

// listUsers answers a page of a follow list. One row more than asked for is read,
// to know whether there is another page; the cursor is the place of the last row
// of this one, so that rows added in front and rows removed move nothing.
func (s *Server) listUsers(ctx context.Context, in *edgesInput, kind persistence.EdgeKind, list string) (*usersOutput, error) {
	target, page, err := s.openList(ctx, in, user.SectionLists)
	if err != nil {
		return nil, err
	}
	after, err := s.cursors.openSeq(list, target.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	edges, err := s.cfg.Edges.List(ctx, kind, target.Card.ID, after, page.limit+1)
	if err != nil {
		return nil, fmt.Errorf("list the %s of user %d: %w", list, target.Card.ID, err)
	}
	next := ""
	if len(edges) > page.limit {
		edges = edges[:page.limit]
		next = s.cursors.sealSeq(list, target.Card.ID, edges[page.limit-1].Seq)
	}
	ids := make([]user.ID, len(edges))
	for i, e := range edges {
		ids[i] = user.ID(e.ID)
	}
	cards, err := s.people.all(ctx, ids)
	if err != nil {
		return nil, err
	}
	// Whoever was deleted since the edges were read.
	cards = slices.DeleteFunc(cards, func(c *persistence.CachedCard) bool { return c == nil })
	return answerUsers(ctx, cards, page, next), nil
}

// openList is how a list about a user begins: whom it is about, the page, and
// whether the section may be seen.
func (s *Server) openList(ctx context.Context, in *edgesInput, section user.Section) (target *persistence.CachedCard, p page, err error) {
	caller, target, err := s.pair(ctx, in.Username, false)
	if err != nil {
		return nil, page{}, err
	}
	if p, err = pageOf(ctx); err != nil {
		return nil, page{}, err
	}
	return target, p, s.mustSee(ctx, section, caller, target)
}

// mustSee refuses with errPrivate what the caller may not see of target.
func (s *Server) mustSee(ctx context.Context, section user.Section, caller, target *persistence.CachedCard) error {
	viewer, err := s.viewer(ctx, caller, target)
	if err != nil {
		return err
	}
	if !user.Visible(section, viewer, target.Card.Privacy) {
		return errPrivate
	}
	return nil
}

// viewer returns how the caller stands to target, as far as it matters: whom the
// target follows is asked only where the profile is not open to all.
func (s *Server) viewer(ctx context.Context, caller, target *persistence.CachedCard) (user.Viewer, error) {
	switch {
	case caller.Card.ID == target.Card.ID:
		return user.ViewerOwner, nil
	case target.Card.Privacy.Profile:
		return user.ViewerStranger, nil
	}
	// The target's published view is asked like the caller's in a lookup, but the
	// target is not activated for somebody else's wish.
	followed, known := s.cfg.Relations.Follows(target.Card.ID, caller.Card.ID)
	if !known {
		r, err := s.relation(ctx, target.Card.ID, caller.Card.ID)
		if err != nil {
			return 0, err
		}
		followed = r.Following
	}
	if followed {
		return user.ViewerFollowed, nil
	}
	return user.ViewerStranger, nil
}
