package gateway

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"

	"kith/actors/user"
	"kith/persistence"
)

const (
	listSearch  = "search"
	maxQuestion = 256 // code points; nothing that long can be found
)

func (s *Server) addSearch() {
	handle(s, route{
		method: http.MethodGet, path: "/users/search", id: "search-users", tag: tagUsers,
		summary: "Find users by the beginning of a name",
		description: "Exact username first, then usernames that begin with q, then names of which a word does, each by username. " +
			"Letters are compared without case.",
		also: []int{http.StatusNotModified}, errors: []int{http.StatusBadRequest},
	}, s.search)
}

// searchInput is a question and a page of its answer.
type searchInput struct {
	Q      string     `query:"q" required:"true" doc:"How a username, or a word of a name, begins" example:"jo" minLength:"1" maxLength:"256"`
	Limit  limitParam `query:"limit" doc:"Users in a page"`
	Cursor string     `query:"cursor" minLength:"1" doc:"next_cursor of the page before"`
}

// search answers a page. The cursor is bound to the caller, as the owner of the
// list, and to the question.
func (s *Server) search(ctx context.Context, _ *searchInput) (*usersOutput, error) {
	caller, err := s.caller(ctx, false)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(ctx)
	if err != nil {
		return nil, err
	}
	q := page.query.Get("q")
	if !utf8.ValidString(q) || utf8.RuneCountInString(q) > maxQuestion || len(page.query["q"]) > 1 {
		return nil, errQuestion
	}
	question, asked := persistence.ParseSearch(q)
	if !asked {
		return nil, errQuestionRequired
	}
	// A name cannot hold the separator.
	list := listSearch + "\x00" + question.Username + "\x00" + question.Word
	after, err := s.cursors.openSearch(list, caller.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	hits, err := s.cfg.Search.Search(ctx, question, after, page.limit+1)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	next := ""
	if len(hits) > page.limit {
		hits = hits[:page.limit]
		next = s.cursors.sealSearch(list, caller.Card.ID, hits[page.limit-1].At)
	}
	ids := make([]user.ID, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	cards, err := s.people.all(ctx, ids)
	if err != nil {
		return nil, err
	}
	// Whoever was deleted since the hits were read.
	cards = slices.DeleteFunc(cards, func(c *persistence.CachedCard) bool { return c == nil })
	return answerUsers(ctx, cards, page, next), nil
}
