package kithtest

import "kith/persistence"

// Published is where a record is told outside, and as what.
type Published struct {
	Topic string
	Type  string // ce_type
}

// WherePublished returns which kinds of records are told where; those that are missing
// are not told. A change of a user is told in the compacted topic, too. It is written
// down apart from what publishes them.
func WherePublished() map[persistence.Kind]Published {
	const activity, graph, users = "kith.activity.v1", "kith.graph.v1", "kith.users.v1"
	return map[persistence.Kind]Published{
		persistence.KindRegistered:       {users, "user.registered"},
		persistence.KindProfileUpdated:   {users, "user.updated"},
		persistence.KindPreferencesSet:   {users, "user.updated"},
		persistence.KindPrivacySet:       {users, "user.updated"},
		persistence.KindDeleted:          {users, "user.deleted"},
		persistence.KindFollowed:         {graph, "followed"},
		persistence.KindUnfollowed:       {graph, "unfollowed"},
		persistence.KindCrewFollowed:     {graph, "crew_followed"},
		persistence.KindCrewUnfollowed:   {graph, "crew_unfollowed"},
		persistence.KindStudioFollowed:   {graph, "studio_followed"},
		persistence.KindStudioUnfollowed: {graph, "studio_unfollowed"},
		persistence.KindActivityRecorded: {activity, "activity.recorded"},
		persistence.KindActivityErased:   {activity, "activity.recorded"},
		persistence.KindActivityDeleted:  {activity, "activity.deleted"},
	}
}
