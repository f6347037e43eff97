package gateway

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"kith/actors/user"
	"kith/persistence"
)

// Shuffle orders all users who exist by a seed.
type Shuffle interface {
	// Page returns up to limit ids from a place in the order of a seed. The same
	// seed gives the same order, in which no user moves past another when others
	// come or go.
	Page(seed string, offset, limit int) []user.ID
}

const (
	// defaultSeed is the order of those who ask for none.
	defaultSeed = "hifi_users_shuffle_2024"
	maxSeed     = 128 // code points
)

func (s *Server) addRoster() {
	handle(s, route{
		method: http.MethodGet, path: "/users/list", id: "list-users", tag: tagUsers,
		summary: "List all users in a stable shuffle",
		description: "The order looks random and depends on the seed alone: the pages of one seed neither repeat nor miss a user. " +
			"A limit or an offset that is not valid is ignored.",
		also: []int{http.StatusNotModified}, errors: []int{http.StatusBadRequest},
	}, s.listAll)
}

// rosterInput describes the query that parseRoster reads.
type rosterInput struct {
	Limit  limitParam  `query:"limit" doc:"Users in a page"`
	Offset offsetParam `query:"offset" doc:"Users to skip"`
	Seed   string      `query:"seed" doc:"Chooses the order" maxLength:"128" default:"hifi_users_shuffle_2024" example:"my_custom_seed"`
}

type rosterOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *rosterAnswer
}

// rosterAnswer is {status,users,limit,offset,count,seed}.
type rosterAnswer struct {
	Status success `json:"status"`
	Users  []card  `json:"users" nullable:"false"`
	Limit  int     `json:"limit" minimum:"1" maximum:"100"`
	Offset int     `json:"offset" minimum:"0"`
	Count  int     `json:"count" doc:"Users in this page"`
	Seed   string  `json:"seed" maxLength:"128"`

	cards []*persistence.CachedCard
}

func (a *rosterAnswer) appendJSON(b []byte) []byte {
	b = appendCards(append(b, openSuccess+`,"users":`...), a.cards)
	b = strconv.AppendInt(append(b, `,"limit":`...), int64(a.Limit), 10)
	b = strconv.AppendInt(append(b, `,"offset":`...), int64(a.Offset), 10)
	b = strconv.AppendInt(append(b, `,"count":`...), int64(len(a.cards)), 10)
	return append(appendString(append(b, `,"seed":`...), a.Seed), '}')
}

func (s *Server) listAll(ctx context.Context, _ *rosterInput) (*rosterOutput, error) {
	if _, err := s.caller(ctx, false); err != nil {
		return nil, err
	}
	answer, err := parseRoster(exchangeOf(ctx).r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	cards, err := s.people.all(ctx, s.cfg.Shuffle.Page(answer.Seed, answer.Offset, answer.Limit))
	if err != nil {
		return nil, err
	}
	// Whoever was deleted since the page was read.
	answer.cards = slices.DeleteFunc(cards, func(c *persistence.CachedCard) bool { return c == nil })
	tag := listTag(answer.cards, strconv.Itoa(answer.Limit)+" "+strconv.Itoa(answer.Offset)+" "+answer.Seed)
	if unchanged(exchangeOf(ctx).r.Header["If-None-Match"], tag) {
		return &rosterOutput{Status: http.StatusNotModified, ETag: tag}, nil
	}
	return &rosterOutput{Status: http.StatusOK, ETag: tag, Body: answer}, nil
}

// parseRoster reads a query of which all but the seed is ignored where it is not
// valid.
func parseRoster(raw string) (*rosterAnswer, error) {
	query, _ := url.ParseQuery(raw) // what is malformed is left out
	a := &rosterAnswer{Limit: defaultLimit, Seed: defaultSeed}
	if n, ok := wholeNumber(query["limit"]); ok && n >= 1 && n <= maxLimit {
		a.Limit = n
	}
	if n, ok := wholeNumber(query["offset"]); ok {
		a.Offset = n
	}
	if seed := query.Get("seed"); seed != "" {
		if utf8.RuneCountInString(seed) > maxSeed || !utf8.ValidString(seed) || strings.ContainsFunc(seed, unicode.IsControl) || len(query["seed"]) > 1 {
			return nil, errSeed
		}
		a.Seed = seed
	}
	return a, nil
}

// wholeNumber reads a parameter that was given once, in the one spelling of a
// number that is not negative.
func wholeNumber(values []string) (int, bool) {
	if len(values) != 1 {
		return 0, false
	}
	n, err := strconv.Atoi(values[0])
	return n, err == nil && n >= 0 && values[0] == strconv.Itoa(n)
}
