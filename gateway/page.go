package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"kith/persistence"
)

const (
	defaultLimit = 20
	maxLimit     = 100
)

// limitParam is a limit as it was written.
type limitParam string

// Schema implements huma.SchemaProvider.
func (limitParam) Schema(huma.Registry) *huma.Schema {
	least, most := 1.0, float64(maxLimit)
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Default: defaultLimit}
}

// idParam is the id of a thing that is not ours, as it was written.
type idParam string

// Schema implements huma.SchemaProvider.
func (idParam) Schema(huma.Registry) *huma.Schema {
	least := 1.0
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &least}
}

// offsetParam is an offset as it was written.
type offsetParam string

// Schema implements huma.SchemaProvider.
func (offsetParam) Schema(huma.Registry) *huma.Schema {
	least := 0.0
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Default: 0}
}

// page is what the parameters limit and cursor of a list say. Inputs of lists
// declare both, for the description:
//
//	Limit  limitParam `query:"limit"`
//	Cursor string     `query:"cursor"`
type page struct {
	limit  int
	cursor string // "" is the start
	query  url.Values
}

// pageOf reads the parameters of a list, and checks all but the cursor, which is
// checked by the list that it must belong to. It reads the query itself, since an
// empty parameter is not an absent one.
func pageOf(ctx context.Context) (page, error) {
	query, err := url.ParseQuery(exchangeOf(ctx).r.URL.RawQuery)
	if err != nil {
		return page{}, errQuery
	}
	p := page{limit: defaultLimit, query: query}
	if query.Has("limit") {
		s := query.Get("limit")
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxLimit || s != strconv.Itoa(n) || len(query["limit"]) > 1 {
			return page{}, errLimit
		}
		p.limit = n
	}
	if query.Has("cursor") {
		if p.cursor = query.Get("cursor"); p.cursor == "" || len(query["cursor"]) > 1 {
			return page{}, errCursor
		}
	}
	return p, nil
}

// link returns the Link header that leads to the next page, "" at the end.
func (p page) link(ctx context.Context, next string) string {
	if next == "" {
		return ""
	}
	p.query.Set("cursor", next)
	return "<" + exchangeOf(ctx).r.URL.EscapedPath() + "?" + p.query.Encode() + `>; rel="next"`
}

// pageOutput is a page of a list whose ETag is made of its bytes.
type pageOutput[A any] struct {
	Status int
	ETag   string `header:"ETag"`
	Link   string `header:"Link" doc:"The next page"`
	Body   *encoded[A]
}

// answerPage encodes a page, or finds that the client has it.
func answerPage[A any](ctx context.Context, a *A, link string) (*pageOutput[A], error) {
	out, err := tagged(ctx, a)
	if err != nil {
		return nil, err
	}
	return &pageOutput[A]{Status: out.Status, ETag: out.ETag, Link: link, Body: out.Body}, nil
}

// usersOutput is a page of users.
type usersOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Link   string `header:"Link" doc:"The next page"`
	Body   *usersAnswer
}

// answerUsers answers a page of users, or that the client has it.
func answerUsers(ctx context.Context, cards []*persistence.CachedCard, p page, next string) *usersOutput {
	out := &usersOutput{Status: http.StatusOK, ETag: listTag(cards, next), Link: p.link(ctx, next)}
	if unchanged(exchangeOf(ctx).r.Header["If-None-Match"], out.ETag) {
		out.Status = http.StatusNotModified
		return out
	}
	out.Body = &usersAnswer{cards: cards, next: next}
	return out
}

// usersAnswer is {status,users,count,next_cursor}.
type usersAnswer struct {
	Status success `json:"status"`
	Users  []card  `json:"users" nullable:"false"`
	Count  int     `json:"count" doc:"Rows in this page"`
	Next   *string `json:"next_cursor" nullable:"true" doc:"null at the end"`

	cards []*persistence.CachedCard
	next  string
}

func (a *usersAnswer) appendJSON(b []byte) []byte {
	b = appendCards(append(b, openSuccess+`,"users":`...), a.cards)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(len(a.cards)), 10)
	return append(appendNext(b, a.next), '}')
}

func appendCards(b []byte, cards []*persistence.CachedCard) []byte {
	b = append(b, '[')
	for i, c := range cards {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, c.JSON...)
	}
	return append(b, ']')
}

// appendNext appends the next_cursor of a page.
func appendNext(b []byte, next string) []byte {
	if next == "" {
		return append(b, `,"next_cursor":null`...)
	}
	return appendString(append(b, `,"next_cursor":`...), next)
}
