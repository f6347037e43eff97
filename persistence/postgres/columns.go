package postgres

// column is a parameter of the statement.
type column int

const (
	// The node at its epoch; they are no arrays.
	colNode column = iota
	colEpoch
	// Rows of which only numbers and times change: the version before and after.
	colID
	colVersion
	colNext
	colFollowers
	colFollowing
	colStreams
	colVideos
	colCrew
	colStudios
	colUpdated
	colActive
	// Whole rows: what to do, how many claims must be held, the version before.
	colFullDo
	colFullClaims
	colFullVersion
	colFullID
	colFullUID
	colFullUsername
	colFullName
	colFullRole
	colFullPicture
	colFullFollowers
	colFullFollowing
	colFullStreams
	colFullVideos
	colFullPrivacy
	colFullCreated
	colFullUpdated
	colFullNext
	colFullCrew
	colFullStudios
	colFullEmail
	colFullBio
	colFullPreferences
	colFullActive
	colFullDeleted
	// Records; the base is the head of the lane as a place.
	colRecordBase
	colRecordUser
	colRecordSeq
	colRecordAt
	colRecordKind
	colRecordEvent
	colRecordPayload
	// Users whose claims are tied anew: what to do with the row, and what it bears;
	// the end of a quarantine.
	colTieUser
	colTieDo
	colTieUsername
	colTieEmail
	colTieUntil
	// Claims to hold, event ids that must not exist, event ids to blank.
	colClaimUser
	colClaimKind
	colClaimValue
	colEventUser
	colEventID
	colEraseUser
	colEraseID
	colPasswordUser
	colPasswordHash
	colDropUser
	colDropPrefix
	colDropName
	colAddUser
	colAddPrefix
	colAddName
	colMarkTail
	colMarkLane
	colMarkPos
	// The edges of each list: four columns of those that come, two of those that go.
	colEdges
	colCount = colEdges + 6*4
)

// edgeColumns returns the first column of the edges of a list that come, and of
// those that go.
func edgeColumns(list int) (put, remove column) {
	put = colEdges + 6*column(list)
	return put, put + 4
}

// columnType is the type of the elements of a column.
func columnType(c column) uint32 {
	switch c {
	case colNode, colFullUsername, colFullName, colFullRole, colFullPicture, colFullEmail, colFullBio, colTieUsername, colTieEmail,
		colRecordEvent, colClaimValue, colEventID, colEraseID, colPasswordHash, colDropPrefix, colDropName, colAddPrefix, colAddName, colMarkTail:
		return oidText
	case colFullDo, colTieDo, colFullPrivacy, colRecordKind, colClaimKind, colMarkLane:
		return oidInt2
	case colUpdated, colActive, colFullCreated, colFullUpdated, colFullActive, colFullDeleted, colTieUntil, colRecordAt:
		return oidTimestamp
	case colFullUID:
		return oidUUID
	case colFullPreferences:
		return oidJSONB
	case colRecordPayload:
		return oidBytea
	}
	if c >= colEdges && (c-colEdges)%6 == 3 {
		return oidTimestamp
	}
	return oidInt8
}
