package user_test

import (
	"testing"

	"kith/actors/user"
)

// TestVisibleMatrix compares every section, viewer and combination of flags with
// a table. A row is one combination of flags, in the order profile, watch
// history, ratings; a mark is one section, in the order of the head.
func TestVisibleMatrix(t *testing.T) {
	t.Parallel()
	sections := []user.Section{ // the head
		user.SectionUser, user.SectionProfile, user.SectionLists,
		user.SectionWatchHistory, user.SectionRatings, user.SectionSettings,
	}
	for viewer, rows := range map[user.Viewer]map[string]string{
		user.ViewerOwner: {
			"---": "++++++", "--r": "++++++", "-w-": "++++++", "-wr": "++++++",
			"p--": "++++++", "p-r": "++++++", "pw-": "++++++", "pwr": "++++++",
		},
		user.ViewerFollowed: {
			"---": "+++---", "--r": "+++-+-", "-w-": "++++--", "-wr": "+++++-",
			"p--": "+++---", "p-r": "+++-+-", "pw-": "++++--", "pwr": "+++++-",
		},
		user.ViewerStranger: {
			"---": "+-----", "--r": "+-----", "-w-": "+-----", "-wr": "+-----",
			"p--": "+++---", "p-r": "+++-+-", "pw-": "++++--", "pwr": "+++++-",
		},
	} {
		if len(rows) != 8 {
			t.Fatalf("viewer %d: %d rows, want 8", viewer, len(rows))
		}
		for flags, marks := range rows {
			p := user.Privacy{Profile: flags[0] == 'p', WatchHistory: flags[1] == 'w', Ratings: flags[2] == 'r'}
			for i, section := range sections {
				if want, got := marks[i] == '+', user.Visible(section, viewer, p); got != want {
					t.Errorf("section %d, viewer %d, flags %s: visible = %t, want %t", section, viewer, flags, got, want)
				}
			}
		}
	}
}

func TestWhatIsUnknownIsHidden(t *testing.T) {
	t.Parallel()
	open := user.Privacy{Profile: true, WatchHistory: true, Ratings: true}
	for _, viewer := range []user.Viewer{user.ViewerStranger, user.ViewerFollowed} {
		for _, section := range []user.Section{0, user.SectionSettings + 1, 255} {
			if user.Visible(section, viewer, open) {
				t.Errorf("viewer %d sees the unknown section %d", viewer, section)
			}
		}
	}
	for _, viewer := range []user.Viewer{user.ViewerOwner + 1, 255} {
		if user.Visible(user.SectionProfile, viewer, user.Privacy{}) {
			t.Errorf("an unknown viewer %d sees a private profile", viewer)
		}
	}
}

func TestSectionOfActivities(t *testing.T) {
	t.Parallel()
	for activity, want := range map[user.ActivityType]user.Section{
		user.ActivityView:            user.SectionWatchHistory,
		user.ActivityWatchlistAdd:    user.SectionWatchHistory,
		user.ActivityWatchlistRemove: user.SectionWatchHistory,
		user.ActivityRating:          user.SectionRatings,
		user.ActivityReview:          user.SectionRatings,
		"unknown":                    user.SectionWatchHistory,
	} {
		if got := activity.Section(); got != want {
			t.Errorf("%s belongs to section %d, want %d", activity, got, want)
		}
	}
}
