package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/persistence"
	"kith/wire"
)

const listNotifications = "notifications"

func (s *Server) addNotifications() {
	handle(s, route{
		method: http.MethodGet, path: "/users/self/notifications", id: "list-notifications", tag: tagFeed,
		summary: "Who began to follow you",
		description: "Newest first. An unfollow takes its notification back. " +
			"unread counts those above the newest that was marked as seen, up to 1,000.",
		also:   []int{http.StatusNotModified},
		errors: []int{http.StatusBadRequest, http.StatusNotFound},
	}, s.listNotifications)
	handleBody(s, route{
		method: http.MethodPut, path: "/users/self/notifications/seen", id: "mark-notifications-seen", tag: tagFeed,
		summary: "Mark notifications as seen", description: "The one with this id, and all that are older. Marking an older one afterwards changes nothing.",
		errors: []int{http.StatusNotFound},
	}, s.markSeen)
}

// notification is a notification in an answer.
type notification struct{ wire.Notification }

// Schema implements huma.SchemaProvider.
func (notification) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[notificationObject](), true, "Notification")
}

// notificationObject describes the JSON of a wire.Notification.
type notificationObject struct {
	ID   string     `json:"id" pattern:"^[0-9a-f]{32}/[1-9][0-9]*$" doc:"Names what happened, for ever: the same on the socket"`
	Type string     `json:"type" enum:"follower.added"`
	Time time.Time  `json:"time" doc:"When the user began to follow you"`
	User userObject `json:"user" doc:"Who follows you"`
}

// notificationsAnswer is {status,notifications,unread,count,next_cursor}.
type notificationsAnswer struct {
	Status        success        `json:"status"`
	Notifications []notification `json:"notifications" nullable:"false"`
	Unread        int            `json:"unread" minimum:"0" maximum:"1000" doc:"How many were not marked as seen, in all pages; 1,000 stands for that and more"`
	Count         int            `json:"count" doc:"Rows in this page"`
	Next          *string        `json:"next_cursor" nullable:"true" doc:"null at the end"`
}

// listNotifications answers a page of the caller's followers, as listUsers does,
// with the ids of the records that say so.
func (s *Server) listNotifications(ctx context.Context, _ *pageInput) (*pageOutput[notificationsAnswer], error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	page, err := pageOf(ctx)
	if err != nil {
		return nil, err
	}
	after, err := s.cursors.openSeq(listNotifications, caller.Card.ID, page.cursor)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	edges, err := s.cfg.Edges.List(ctx, persistence.EdgeFollowers, caller.Card.ID, after, page.limit+1)
	if err != nil {
		return nil, fmt.Errorf("list the notifications of user %d: %w", caller.Card.ID, err)
	}
	next := ""
	if len(edges) > page.limit {
		edges = edges[:page.limit]
		next = s.cursors.sealSeq(listNotifications, caller.Card.ID, edges[page.limit-1].Seq)
	}
	answer := &notificationsAnswer{Notifications: make([]notification, 0, len(edges)), Next: nextCursor(next)}
	if answer.Unread, err = s.unread(ctx, caller.Card.ID); err != nil {
		return nil, err
	}
	ids := make([]user.ID, len(edges))
	for i, e := range edges {
		ids[i] = user.ID(e.ID)
	}
	cards, err := s.people.all(ctx, ids)
	if err != nil {
		return nil, err
	}
	for i, c := range cards {
		if c != nil { // else deleted since the edges were read
			answer.Notifications = append(answer.Notifications, notification{wire.NewFollower(caller.Card.UID, edges[i].Seq, edges[i].At, c.JSON)})
		}
	}
	answer.Count = len(answer.Notifications)
	return answerPage(ctx, answer, page.link(ctx, next))
}

func (s *Server) unread(ctx context.Context, id user.ID) (int, error) {
	n, err := s.cfg.Notifications.Unread(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("count the unread notifications of user %d: %w", id, err)
	}
	return n, nil
}

type seenBody struct {
	ID *string `json:"id" pattern:"^[0-9a-f]{32}/[1-9][0-9]{0,17}$" doc:"Of the newest notification that was seen" example:"0190a1b2c3d47e5f8a9b0c1d2e3f4a5b/42"`
}

type seenOutput struct{ Body *seenAnswer }

// seenAnswer is {status,unread}.
type seenAnswer struct {
	Status success `json:"status"`
	Unread int     `json:"unread" minimum:"0" maximum:"1000" doc:"How many are left"`
}

// markSeen may be repeated. An id that the caller never had is not found, one that
// was taken back since is as good as another.
func (s *Server) markSeen(ctx context.Context, _ *struct{}, in *seenBody) (*seenOutput, error) {
	caller, err := s.caller(ctx, true)
	if err != nil {
		return nil, err
	}
	if in.ID == nil {
		return nil, errNotificationID
	}
	uid, seq, ok := wire.ParseRecordID(*in.ID)
	if !ok {
		return nil, errNotificationID
	}
	if uid != caller.Card.UID {
		return nil, errNotificationNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if err := s.cfg.Notifications.MarkSeen(ctx, caller.Card.ID, seq); err != nil {
		if errors.Is(err, persistence.ErrNotFound) {
			return nil, errNotificationNotFound
		}
		return nil, fmt.Errorf("mark the notifications of user %d as seen: %w", caller.Card.ID, err)
	}
	unread, err := s.unread(ctx, caller.Card.ID)
	if err != nil {
		return nil, err
	}
	return &seenOutput{Body: &seenAnswer{Unread: unread}}, nil
}
