package user

import "time"

// ActivityType is the kind of a behaviour event.
type ActivityType string

// The behaviour events that are recorded.
const (
	ActivityView            ActivityType = "view"
	ActivityRating          ActivityType = "rating"
	ActivityWatchlistAdd    ActivityType = "watchlist_add"
	ActivityWatchlistRemove ActivityType = "watchlist_remove"
	ActivityReview          ActivityType = "review"
)

// Activity is a behaviour event: what a user did with a movie.
type Activity struct {
	EventID       string // 1 to 64 of [A-Za-z0-9_-], unique per user for ever
	Type          ActivityType
	MovieID       int64     // positive
	Rating        int32     // tenths, 0 to 100; meaningful with HasRating
	HasRating     bool      //
	Review        string    // 1 to 10,000 code points for a review, else ""
	Details       []byte    // a JSON object of at most 4 KiB, or nil
	SessionID     string    // at most 128 code points
	SourcePage    string    // at most 256 code points
	SourceSection string    // at most 256 code points
	OccurredAt    time.Time // UTC, microseconds
}
