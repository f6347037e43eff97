package gateway

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"kith/actors/user"
	"kith/persistence"
)

// followable is a kind of thing, other than users, that users follow.
type followable struct {
	kind     persistence.EdgeKind
	list     string // of paths and cursors
	field    string // of answers
	name     string // for people
	parse    func(string) (int64, error)
	follow   func(id int64, at time.Time) user.Command
	unfollow func(id int64, at time.Time) user.Command
}

func crewMembers() *followable {
	return &followable{
		kind: persistence.EdgeCrew, list: "crew-members", field: "crew_members", name: "crew member", parse: user.ParseCrewID,
		follow:   func(id int64, at time.Time) user.Command { return user.FollowCrew{Crew: id, At: at} },
		unfollow: func(id int64, at time.Time) user.Command { return user.UnfollowCrew{Crew: id, At: at} },
	}
}

func studios() *followable {
	return &followable{
		kind: persistence.EdgeStudios, list: "studios", field: "studios", name: "studio", parse: user.ParseStudioID,
		follow:   func(id int64, at time.Time) user.Command { return user.FollowStudio{Studio: id, At: at} },
		unfollow: func(id int64, at time.Time) user.Command { return user.UnfollowStudio{Studio: id, At: at} },
	}
}

func (s *Server) addFollowed() {
	addFollowable(s, crewMembers(), func(p *followedPage) *crewAnswer {
		return &crewAnswer{Crew: p.rows, Count: len(p.rows), Next: p.next}
	})
	addFollowable(s, studios(), func(p *followedPage) *studiosAnswer {
		return &studiosAnswer{Studios: p.rows, Count: len(p.rows), Next: p.next}
	})
}

// addFollowable adds the routes of one kind. Each has a list whose field bears the
// name of the kind, so the answers differ: A.
func addFollowable[A any](s *Server, f *followable, answer func(*followedPage) *A) {
	handle(s, route{
		method: http.MethodPut, path: "/users/self/followed/" + f.list + "/{id}", id: "follow-" + f.list, tag: tagFollows,
		summary: "Follow a " + f.name, description: "201 when the follow is new. At most 10,000 can be followed.",
		status: http.StatusOK, also: []int{http.StatusCreated},
		errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, in *followedInput) (*followedOutput, error) {
		return s.followThing(ctx, in, f)
	})
	handle(s, route{
		method: http.MethodDelete, path: "/users/self/followed/" + f.list + "/{id}", id: "unfollow-" + f.list, tag: tagFollows,
		summary: "Stop following a " + f.name, description: "Also a success when it was not followed.",
		errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, func(ctx context.Context, in *followedInput) (*unfollowedOutput, error) {
		return s.unfollowThing(ctx, in, f)
	})
	handle(s, route{
		method: http.MethodGet, path: "/users/{username}/followed/" + f.list, id: "list-followed-" + f.list, tag: tagFollows,
		summary: "List the " + f.name + "s that a user follows", description: "Newest first. A row that stays while others come and go is shown exactly once.",
		also:   []int{http.StatusNotModified},
		errors: []int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound},
	}, func(ctx context.Context, in *edgesInput) (*pageOutput[A], error) {
		p, err := s.listFollowed(ctx, in, f)
		if err != nil {
			return nil, err
		}
		return answerPage(ctx, answer(p), p.link)
	})
}

// followedInput is the path of a route about a thing.
type followedInput struct {
	ID idParam `path:"id" doc:"A positive 64-bit integer" example:"287"`
}

type followedOutput struct {
	Status int
	Body   *followedAnswer
}

// followedAnswer is {status,followed}.
type followedAnswer struct {
	Status   success `json:"status"`
	Followed bool    `json:"followed" enum:"true"`
}

type unfollowedOutput struct{ Body *unfollowedAnswer }

// unfollowedAnswer is {status,followed}.
type unfollowedAnswer struct {
	Status   success `json:"status"`
	Followed bool    `json:"followed" enum:"false"`
}

// followThing may be repeated: what was done already answers 200.
func (s *Server) followThing(ctx context.Context, in *followedInput, f *followable) (*followedOutput, error) {
	result, err := s.doThing(ctx, in, f, f.follow)
	if err != nil {
		return nil, err
	}
	out := &followedOutput{Status: http.StatusOK, Body: &followedAnswer{Followed: true}}
	if result {
		out.Status = http.StatusCreated
	}
	return out, nil
}

func (s *Server) unfollowThing(ctx context.Context, in *followedInput, f *followable) (*unfollowedOutput, error) {
	if _, err := s.doThing(ctx, in, f, f.unfollow); err != nil {
		return nil, err
	}
	return &unfollowedOutput{Body: &unfollowedAnswer{}}, nil
}

func (s *Server) doThing(ctx context.Context, in *followedInput, f *followable, command func(int64, time.Time) user.Command) (changed bool, err error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return false, err
	}
	id, err := f.parse(string(in.ID))
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	result, err := s.cfg.Grains.Do(ctx, caller.Card.ID, command(id, s.cfg.Now()))
	if err != nil {
		return false, fmt.Errorf("change the followed %s of user %d: %w", f.list, caller.Card.ID, err)
	}
	return result.Changed, nil
}

// followedRow is a thing in a list.
type followedRow struct {
	ID uint64    `json:"id" minimum:"1"`
	At time.Time `json:"followed_at"`
}

// crewAnswer is {status,crew_members,count,next_cursor}.
type crewAnswer struct {
	Status success       `json:"status"`
	Crew   []followedRow `json:"crew_members" nullable:"false"`
	Count  int           `json:"count" doc:"Rows in this page"`
	Next   *string       `json:"next_cursor" nullable:"true" doc:"null at the end"`
}

// studiosAnswer is {status,studios,count,next_cursor}.
type studiosAnswer struct {
	Status  success       `json:"status"`
	Studios []followedRow `json:"studios" nullable:"false"`
	Count   int           `json:"count" doc:"Rows in this page"`
	Next    *string       `json:"next_cursor" nullable:"true" doc:"null at the end"`
}

// followedPage is a page of things.
type followedPage struct {
	rows []followedRow
	next *string
	link string
}

func (s *Server) listFollowed(ctx context.Context, in *edgesInput, f *followable) (*followedPage, error) {
	target, page, err := s.openList(ctx, in, user.SectionLists)
	if err != nil {
		return nil, err
	}
	after, err := s.cursors.openSeq(f.list, target.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	edges, err := s.cfg.Edges.List(ctx, f.kind, target.Card.ID, after, page.limit+1)
	if err != nil {
		return nil, fmt.Errorf("list the followed %s of user %d: %w", f.list, target.Card.ID, err)
	}
	next := ""
	if len(edges) > page.limit {
		edges = edges[:page.limit]
		next = s.cursors.sealSeq(f.list, target.Card.ID, edges[page.limit-1].Seq)
	}
	p := &followedPage{rows: make([]followedRow, len(edges)), next: nextCursor(next), link: page.link(ctx, next)}
	for i, e := range edges {
		p.rows[i] = followedRow{ID: e.ID, At: e.At}
	}
	return p, nil
}

// nextCursor is next_cursor as it is encoded: null at the end.
func nextCursor(next string) *string {
	if next == "" {
		return nil
	}
	return &next
}
