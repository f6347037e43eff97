package persistence

import (
	"context"
	"errors"

	"kith/actors/user"
)

// TailIndex is the tail that tells a search engine.
const TailIndex TailName = "index"

// ErrNoIndex is matched when a search engine answers, and has no index of users:
// one has to be built.
var ErrNoIndex = errors.New("persistence: the search engine has no index of users")

// ErrGivenUp is matched by the calls of a build that another one has ended.
var ErrGivenUp = errors.New("persistence: another build of the index has begun since")

// SearchDocument is what a search engine knows of a user.
type SearchDocument struct {
	ID user.ID
	// Version is the length of the user's journal of which this is true. A document
	// that is not above the one that the engine has changes nothing, so they may come
	// late, again and in any order.
	Version uint64
	// Gone removes what the engine knows; the fields below are not set.
	Gone           bool
	UID            user.UID
	Username       string
	Name           string
	ProfilePicture string // "" for none
}

// SearchIndex is a search engine beside the database. It is behind the turns by what
// it has not been told, and otherwise finds what the database's own Search finds.
type SearchIndex interface {
	// Search takes the cursors of the database's own, and its hits bear such: what is
	// begun here can go on there.
	Search
	// Index stores documents, or removes them. On an error some may be stored; the
	// same may be sent again. Documents that the engine refuses for what they are
	// are returned, and the others are stored. The error matches ErrNoIndex where
	// there is no index.
	Index(ctx context.Context, docs []SearchDocument) (refused []RefusedDocument, err error)
	// HasIndex reports whether there is an index.
	HasIndex(ctx context.Context) (bool, error)
	// Build begins an index beside the one that there is. A build that did not end is
	// given up: its calls fail with ErrGivenUp. Only one may build at a time.
	Build(ctx context.Context) (SearchBuild, error)
	// Tidy removes what builds have left that did not end, when nobody builds.
	Tidy(ctx context.Context) error
}

// RefusedDocument is one that a search engine will never take.
type RefusedDocument struct {
	ID     user.ID
	Reason string // without what the document holds
}

// SearchBuild is an index that nobody searches yet.
type SearchBuild interface {
	// Index is as that of SearchIndex.
	Index(ctx context.Context, docs []SearchDocument) (refused []RefusedDocument, err error)
	// Switch has everybody search and write this index from now on, and removes the
	// one before.
	Switch(ctx context.Context) error
	// Abandon removes the index.
	Abandon(ctx context.Context) error
}
