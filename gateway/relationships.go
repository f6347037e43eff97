package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"kith/actors/user"
)

const maxRelations = maxLimit

func (s *Server) addRelationships() {
	handle(s, route{
		method: http.MethodGet, path: "/users/relationships", id: "list-relationships", tag: tagFollows,
		summary:     "How you stand to other users",
		description: "In the order asked, up to 100. Those who do not exist are left out.",
		also:        []int{http.StatusNotModified}, errors: []int{http.StatusBadRequest},
	}, s.listRelations)
}

// relationsInput describes the query that listRelations reads.
type relationsInput struct {
	Username []string `query:"username,explode" required:"true" doc:"Usernames, one a parameter" minItems:"1" maxItems:"100" example:"[\"alice\",\"bob\"]"`
}

// relationsAnswer is {status,relationships}.
type relationsAnswer struct {
	Status    success    `json:"status"`
	Relations []relation `json:"relationships" nullable:"false"`
}

type relation struct {
	Username   string `json:"username"`
	Following  bool   `json:"following" doc:"You follow the user"`
	FollowedBy bool   `json:"followed_by" doc:"The user follows you"`
}

func (s *Server) listRelations(ctx context.Context, _ *relationsInput) (*taggedOutput[relationsAnswer], error) {
	caller, err := s.caller(ctx, false)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(exchangeOf(ctx).r.URL.RawQuery)
	if err != nil {
		return nil, errQuery
	}
	asked := query["username"]
	switch {
	case len(asked) == 0:
		return nil, errUsernameRequired
	case len(asked) > maxRelations:
		return nil, errTooManyNames
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	cards, err := s.people.allNamed(ctx, asked)
	if err != nil {
		return nil, err
	}
	ids := make([]user.ID, len(cards))
	for i, c := range cards {
		ids[i] = c.Card.ID
	}
	stored, err := s.cfg.Edges.Relations(ctx, caller.Card.ID, ids)
	if err != nil {
		return nil, fmt.Errorf("read the relations of user %d to %d others: %w", caller.Card.ID, len(ids), err)
	}
	answer := &relationsAnswer{Relations: make([]relation, len(stored))}
	for i, r := range stored {
		answer.Relations[i] = relation{Username: cards[i].Card.Username, Following: r.Following, FollowedBy: r.FollowedBy}
	}
	return tagged(ctx, answer)
}
