package gateway_test

import (
	"cmp"
	"context"
	"slices"

	"kith/actors/user"
	"kith/persistence"
)

// feeds reads the journals of everybody.
type feeds struct {
	persistence.Feeds // what the gateway's routes do not call

	w *world
}

func (f feeds) Feed(_ context.Context, reader user.ID, before persistence.FeedPlace, limit int, match persistence.FeedMatch) (page persistence.FeedPage, err error) {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	if f.w.failStores != nil {
		return page, f.w.failStores
	}
	var all []persistence.Record
	judges := make(map[user.ID]func(*persistence.Record) bool)
	for _, e := range f.w.edges[persistence.EdgeFollowing][reader] {
		s := f.w.states[user.ID(e.ID)]
		if s == nil || !s.Registered() {
			continue
		}
		account := s.Account()
		judges[s.ID] = match(&persistence.Author{Card: account.Card, FollowsReader: s.Following.Contains(reader), FollowedAt: e.At})
		for _, r := range f.w.journals[s.ID] {
			if r.Kind == persistence.KindActivityRecorded && (before == persistence.FeedPlace{} || newer(before, persistence.PlaceOf(&r)) < 0) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b persistence.Record) int { return newer(persistence.PlaceOf(&a), persistence.PlaceOf(&b)) })
	for i, r := range all {
		if judge := judges[r.User]; judge != nil && judge(&r) {
			page.Records = append(page.Records, r)
		}
		if i+1 < len(all) && (len(page.Records) == limit || i+1 == f.w.maxScan) {
			page.Next = persistence.PlaceOf(&r)
			break
		}
	}
	return page, nil
}

// newer orders places newest first.
func newer(a, b persistence.FeedPlace) int {
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.User, a.User), cmp.Compare(b.Seq, a.Seq))
}

// notifications keeps marks.
type notifications struct{ w *world }

func (n notifications) Unread(_ context.Context, id user.ID) (unread int, err error) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	for _, e := range n.w.edges[persistence.EdgeFollowers][id] {
		if s := n.w.states[user.ID(e.ID)]; s != nil && s.Registered() && e.Seq > n.w.seen[id] {
			unread++
		}
	}
	return min(unread, persistence.MaxUnread), n.w.failStores
}

func (n notifications) MarkSeen(_ context.Context, id user.ID, seq uint64) error {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if n.w.failStores != nil {
		return n.w.failStores
	}
	if !slices.ContainsFunc(n.w.journals[id], func(r persistence.Record) bool {
		return r.Seq == seq && r.Kind == persistence.KindFollowerAdded
	}) {
		return persistence.ErrNotFound
	}
	n.w.seen[id] = max(n.w.seen[id], seq)
	return nil
}

// spoil makes the payload of a record unreadable.
func (w *world) spoil(id user.ID, eventID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.journals.event(id, eventID).Payload = []byte{0xff}
}
