package postgres

// SessionSettings are what reads and writes have set, where a session keeps it.
func SessionSettings() map[string]string { return forWrites.settings() }

// LiveChunk is how many ids LiveIDs reads at once.
const LiveChunk = liveChunk
