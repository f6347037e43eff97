package sqlite

// SearchStatements are the statements of a search and of its rows.
func SearchStatements() map[string]string {
	return map[string]string{
		"usernames": searchUsernames,
		"names":     searchNames,
		"remove":    deletePrefix,
	}
}

// LiveStatement reads who exists.
const LiveStatement = selectLiveIDs
