package persistence

import (
	"context"
	"time"

	"kith/actors/user"
)

const (
	// MaxFeedScan is about how many records one call of Feeds.Feed looks at: a page
	// of what few show must not hold a connection for the whole of their histories.
	MaxFeedScan = 10_000
	// MaxMissedScan is how many entries of the reader's own journal one call of
	// Feeds.Missed passes; what is missed beyond them is More.
	MaxMissedScan = 100_000
	// MaxUnread is how far Notifications.Unread counts.
	MaxUnread = 1000
)

// FeedPlace is the place of a record among those of many users: newest first,
// then by user and by seq, both falling. The zero place is the start.
type FeedPlace struct {
	At   time.Time
	User user.ID
	Seq  uint64
}

// PlaceOf returns the place of a record.
func PlaceOf(r *Record) FeedPlace { return FeedPlace{At: r.At, User: r.User, Seq: r.Seq} }

// Author is somebody whom a reader follows, with what user.Visible needs to know
// of the two.
type Author struct {
	Card user.Card // as it is now, with the privacy
	// FollowsReader says whether the author follows the reader, by the author's own
	// list: then the author's profile is open to the reader.
	FollowsReader bool
	// FollowedAt is when the reader began to follow the author.
	FollowedAt time.Time
}

// FeedMatch says what of an author the reader is to get. It is asked once a call
// for each author who comes into question, and returns what judges the author's
// records, or nil for none of them. A record is seen only during the call; one
// that is refused must not be kept.
type FeedMatch func(*Author) func(*Record) bool

// FeedPage is a page of a feed.
type FeedPage struct {
	Records []Record // of KindActivityRecorded, in the order of FeedPlace
	// Next is the place below which to go on, zero at the end. It may come with
	// fewer records than asked for, even none: then the rest was too far away.
	Next FeedPlace
}

// Missed is what a reader has missed.
type Missed struct {
	// Records are in the order of their times, then of users, then of seqs: so in
	// order for each user.
	Records []Record
	// Authors has everybody but the reader whose records are among them.
	Authors map[user.ID]*Author
	// More says that there are more than asked for, or that they are larger than
	// what is read at once, 32 MiB. Then Records and Authors are empty: to give a
	// part would hide the loss of the rest.
	More bool
}

// Feeds reads what those do whom a user follows. What one call returns was there
// at one moment, during the call. Authors who were deleted are not followed by
// anybody from that moment on.
type Feeds interface {
	// Feed returns up to limit behaviour events of those whom the reader follows,
	// that match accepts, below a place; newest first, in the order of FeedPlace.
	// What was recorded before the reader followed is part of it. Paging by Next
	// repeats nothing and misses nothing that was there at its beginning and still
	// is, whatever is added meanwhile.
	Feed(ctx context.Context, reader user.ID, before FeedPlace, limit int, match FeedMatch) (FeedPage, error)

	// Missed returns the records above the cursor's position of their lane, at most
	// limit of them, that are
	//
	//   - the reader's own, of the kinds that the reader's clients are told of:
	//     KindProfileUpdated, KindFollowed, KindUnfollowed, KindFollowerAdded,
	//     KindFollowerRemoved, KindSevered; or
	//   - of KindProfileUpdated, KindActivityRecorded or KindActivityDeleted, by
	//     whomever the reader follows now, and not older than that edge
	//     (Author.FollowedAt). An event that was recorded above the cursor and
	//     deleted since is there as its deletion alone: the erased record has
	//     nothing to tell.
	//
	// What the reader may see of it is for the caller to judge, by Author and
	// user.Visible. It contains everything that was committed before the call.
	Missed(ctx context.Context, reader user.ID, cursor [LaneCount]uint64, limit int) (Missed, error)
}

// Notifications keeps how far users have seen their notifications. What they are
// notified of are their followers: a notification is the edge of a current
// follower, as Edges.List has it of EdgeFollowers. Its id is the seq of the edge,
// which is that of the KindFollowerAdded record in the user's own journal, and its
// time the edge's. An unfollow takes it back, and one who follows again notifies
// again.
type Notifications interface {
	// Unread returns how many notifications are above the mark of id, counting to
	// MaxUnread and no further.
	Unread(ctx context.Context, id user.ID) (int, error)
	// MarkSeen moves the mark of id up to seq; a mark never goes back. ErrNotFound
	// when seq is not that of a notification that id ever had, or id is gone; one
	// that was taken back is as good as another. If it runs twice, the second
	// changes nothing. Journal.EraseUser removes the mark.
	MarkSeen(ctx context.Context, id user.ID, seq uint64) error
}
