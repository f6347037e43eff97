package user

import (
	"strconv"
	"unicode/utf8"
)

// maxContentID bounds the id of a reported change, in code points.
const maxContentID = 128

// ParseContentID checks the id that a content service gave a change: 1 to 128
// characters, none of them a control character.
func ParseContentID(s string) (string, error) {
	const field = "id"
	if s == "" {
		return "", invalid(field, "Id is required")
	}
	if err := checkText(field, "Id", s, false); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > maxContentID {
		return "", invalid(field, "Id must be at most "+strconv.Itoa(maxContentID)+" characters")
	}
	return s, nil
}

// contentKey begins with what no id of a behaviour event has.
const contentKey = "content:"

// ContentKey returns the event id under which a reported change is recorded:
// what makes the ids of behaviour events unique makes these unique, too.
func ContentKey(id string) string { return contentKey + id }

// ContentID undoes ContentKey.
func ContentID(key string) (id string, ok bool) {
	if len(key) <= len(contentKey) || key[:len(contentKey)] != contentKey {
		return "", false
	}
	return key[len(contentKey):], true
}
