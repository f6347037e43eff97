package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/persistence"
	"kith/wire"
)

const (
	tagFeed  = "feed"
	listFeed = "feed"
)

func (s *Server) addFeed() {
	handle(s, route{
		method: http.MethodGet, path: "/users/self/feed", id: "get-feed", tag: tagFeed,
		summary: "What those did whom you follow",
		description: "The events of everybody whom you follow, as far as their privacy shows them to you now, newest recorded first. " +
			"A page of what few show may hold fewer than asked for, even none: go on while next_cursor is not null.",
		also:   []int{http.StatusNotModified},
		errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, s.getFeed)
}

// pageInput is a page of a list of the caller's own.
type pageInput struct {
	Limit  limitParam `query:"limit" doc:"Rows in a page"`
	Cursor string     `query:"cursor" minLength:"1" doc:"next_cursor of the page before"`
}

// feedRow is a row of the feed in an answer.
type feedRow struct{ wire.FeedActivity }

// Schema implements huma.SchemaProvider.
func (feedRow) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[feedObject](), true, "FeedActivity")
}

// feedObject describes the JSON of a wire.FeedActivity.
type feedObject struct {
	ID    string     `json:"id" pattern:"^[0-9a-f]{32}/[1-9][0-9]*$" doc:"Names what happened, for ever: the same on the socket"`
	User  userObject `json:"user"`
	Event event      `json:"event"`
}

// feedAnswer is {status,activities,count,next_cursor}.
type feedAnswer struct {
	Status     success   `json:"status"`
	Activities []feedRow `json:"activities" nullable:"false"`
	Count      int       `json:"count" doc:"Rows in this page"`
	Next       *string   `json:"next_cursor" nullable:"true" doc:"null at the end"`
}

func (s *Server) getFeed(ctx context.Context, _ *pageInput) (*pageOutput[feedAnswer], error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.cursors.openFeed(caller.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	answer, next, err := s.readFeed(ctx, caller.Card.ID, before, page.limit)
	if err != nil {
		return nil, err
	}
	answer.Count, answer.Next = len(answer.Activities), nextCursor(next)
	return answerPage(ctx, answer, page.link(ctx, next))
}

// readFeed fills a page and returns the cursor of the next one.
func (s *Server) readFeed(ctx context.Context, reader user.ID, before persistence.FeedPlace, limit int) (answer *feedAnswer, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	answer = &feedAnswer{Activities: []feedRow{}}
	page, err := s.cfg.Feeds.Feed(ctx, reader, before, limit, func(a *persistence.Author) func(*persistence.Record) bool {
		return s.showTo(ctx, a, func(row wire.FeedActivity) { answer.Activities = append(answer.Activities, feedRow{row}) })
	})
	if err != nil {
		return nil, "", fmt.Errorf("read the feed of user %d: %w", reader, err)
	}
	if page.Next != (persistence.FeedPlace{}) {
		next = s.cursors.sealFeed(reader, page.Next)
	}
	return answer, next, nil
}

// showTo returns what judges the records of an author, and gives those that the
// reader may see to show; nil when that is none. A record that cannot be read is
// left out, and told to the operator: it must not take everybody else's from the
// followers of its author.
func (s *Server) showTo(ctx context.Context, a *persistence.Author, show func(wire.FeedActivity)) func(*persistence.Record) bool {
	viewer := user.ViewerStranger
	if a.FollowsReader {
		viewer = user.ViewerFollowed
	}
	visible := allEvents()
	visible.see(viewer, a.Card.Privacy)
	if visible.nothing() {
		return nil
	}
	card := persistence.NewCard(a.Card)
	return func(r *persistence.Record) bool {
		e, err := decodeEvent(r)
		if err != nil {
			s.cfg.Logger.LogAttrs(ctx, levelFault, "a record of a feed cannot be read",
				slog.Uint64("user_id", uint64(r.User)), slog.Uint64("seq", r.Seq), slog.Any("error", err))
			return false
		}
		if !visible.matches(&e) {
			return false
		}
		show(wire.FeedActivity{ID: wire.RecordID(a.Card.UID, r.Seq), Activity: wire.Activity{User: card.JSON, Event: e}})
		return true
	}
}
