package persistence

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"kith/actors/user"
)

// Search finds users by how their username or a word of their name begins. What
// it finds is committed with the turns themselves: it is never behind.
type Search interface {
	// Search returns up to limit hits after the cursor. First come those whose
	// username begins with what q says, so the one whose username it is comes
	// first of all; then those of whom only a word of the name does; each by
	// username. Nobody comes twice. A user whose names stay is shown exactly once
	// by paging, whoever else comes or goes.
	Search(ctx context.Context, q SearchQuery, after SearchCursor, limit int) ([]SearchHit, error)
}

// SearchHit is a user found, and the place in the list.
type SearchHit struct {
	ID user.ID
	At SearchCursor
}

// SearchCursor is a place in a list of hits. The zero cursor is the start.
type SearchCursor struct {
	ByName   bool // among those of whom only a word of the name begins so
	Username string
}

// maxSearchPrefix is the longest beginning of a word, in code points, by which it
// is found. Words are not longer, save some that have become so by normalisation.
const maxSearchPrefix = 32

// SearchQuery is what somebody searches for. Each part is "" when nothing can be
// found by it.
type SearchQuery struct {
	Username string // how the username begins
	Word     string // how a word of the name begins, folded
}

// ParseSearch returns the query that q means, without regard to case and to
// white space around it. It reports false when q is blank.
func ParseSearch(q string) (SearchQuery, bool) {
	q = strings.TrimSpace(q)
	if q == "" {
		return SearchQuery{}, false
	}
	s := SearchQuery{Username: strings.ToLower(q), Word: foldSearch(q)}
	if strings.ContainsFunc(s.Username, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
		s.Username = ""
	}
	if strings.ContainsFunc(s.Word, unicode.IsSpace) || utf8.RuneCountInString(s.Word) > maxSearchPrefix {
		s.Word = ""
	}
	return s, true
}

// SearchPrefixes returns every beginning of every word of a name, folded,
// ascending, each once: what SearchQuery.Word is compared with. A word begins
// after white space, and wherever letters or digits begin after something else,
// and goes on to the next white space: "O'Brien" is found by "o'b" and by "bri".
//
// An engine keeps them all, rather than the words, so that a search reads the
// rows that it returns and no others, however many words begin alike.
func SearchPrefixes(name string) []string {
	var prefixes []string
	for token := range strings.FieldsSeq(foldSearch(name)) {
		inside := false // a word; marks belong to the letter before
		for i, r := range token {
			letter := unicode.IsLetter(r) || unicode.IsNumber(r)
			if i == 0 || letter && !inside {
				prefixes = appendPrefixes(prefixes, token[i:])
			}
			if !unicode.IsMark(r) {
				inside = letter
			}
		}
	}
	slices.Sort(prefixes)
	return slices.Compact(prefixes)
}

func appendPrefixes(prefixes []string, word string) []string {
	n := 0
	for i, r := range word {
		if n++; n > maxSearchPrefix {
			break
		}
		prefixes = append(prefixes, word[:i+utf8.RuneLen(r)])
	}
	return prefixes
}

// foldSearch makes texts equal that differ only in case or in how the same
// characters are encoded. Through upper case, all forms of a letter meet: the
// final sigma and the other, the dotless i and the dotted.
func foldSearch(s string) string {
	s = strings.ToValidUTF8(norm.NFC.String(s), "\uFFFD")
	return norm.NFC.String(strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s))
}
