package gateway

import (
	"errors"

	"kith/actors/user"
	"kith/persistence"
)

// ParseBody is parseBody.
func ParseBody(b []byte, into any) error { return parseBody(b, into) }

// SealEdge and OpenEdge are the cursors of a secret.
func SealEdge(secret []byte, list string, owner user.ID, at persistence.EdgeCursor) string {
	return newCursors(secret).sealEdge(list, owner, at)
}

// OpenEdge opens what SealEdge sealed.
func OpenEdge(secret []byte, list string, owner user.ID, cursor string) (persistence.EdgeCursor, error) {
	return newCursors(secret).openEdge(list, owner, cursor)
}

// Unchanged is unchanged.
func Unchanged(headers []string, tag string) bool { return unchanged(headers, tag) }

// PrefersProblem is prefersProblem.
func PrefersProblem(accept []string) bool { return prefersProblem(accept) }

// FieldOf returns the field that a refusal is about.
func FieldOf(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.field
	}
	return ""
}
