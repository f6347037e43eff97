package user

// Section is a part of what is known of a user that is shown or hidden as one.
type Section uint8

// The sections.
const (
	SectionUser         Section = iota + 1 // the user object
	SectionProfile                         // profile page; events and activity as a whole
	SectionLists                           // followers, following, followed crew members and studios
	SectionWatchHistory                    // views and watchlist changes
	SectionRatings                         // ratings and reviews
	SectionSettings                        // preferences and privacy
)

// Section returns the section that activities of this type belong to.
func (t ActivityType) Section() Section {
	switch t {
	case ActivityRating, ActivityReview:
		return SectionRatings
	case ActivityView, ActivityWatchlistAdd, ActivityWatchlistRemove:
	}
	// A type that is not known is shown to as few as any.
	return SectionWatchHistory
}

// Viewer is how whoever looks stands to the user who is looked at, the owner.
type Viewer uint8

// The viewers.
const (
	ViewerStranger Viewer = iota // the owner does not follow them
	ViewerFollowed               // the owner follows them
	ViewerOwner                  // the owner
)

// Visible reports whether v may see a section of a user whose privacy is p. It
// is the only place that decides: lookups, lists, search, the feed and every
// socket ask it at the moment of showing.
//
// The owner sees everything, and settings nobody else. The user object is seen
// by all. The rest of a profile that is not public is seen only by those whom
// the owner follows, and activity only as far as its own flag allows, too.
func Visible(section Section, v Viewer, p Privacy) bool {
	if v == ViewerOwner {
		return true
	}
	open := p.Profile || v == ViewerFollowed
	switch section {
	case SectionUser:
		return true
	case SectionProfile, SectionLists:
		return open
	case SectionWatchHistory:
		return open && p.WatchHistory
	case SectionRatings:
		return open && p.Ratings
	case SectionSettings:
	}
	return false
}
