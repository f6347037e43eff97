package demo //nolint:testpackage // the lists are not for others

import (
	"testing"
	"unicode"
	"unicode/utf8"
)

// Every name has a spelling in letters of usernames, in which no letter of a Latin
// name is lost.
func TestEveryNameHasASpelling(t *testing.T) {
	t.Parallel()
	l, err := readLists()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range l.cultures {
		for _, n := range append(c.given, c.family...) {
			letters, latin := 0, true
			for _, r := range n.shown {
				if unicode.IsLetter(r) {
					letters++
					latin = latin && unicode.Is(unicode.Latin, r)
				}
			}
			if n.plain == "" || latin && utf8.RuneCountInString(n.plain) < letters || fold(n.plain) != n.plain {
				t.Errorf("%q is spelled %q", n.shown, n.plain)
			}
		}
	}
}

// Every sentence fits a rating, and no list is empty.
func TestTheListsAreWhole(t *testing.T) {
	t.Parallel()
	l, err := readLists()
	if err != nil {
		t.Fatal(err)
	}
	if len(l.reviews) != 3 || len(l.reviews["good"]) < 3 || len(l.reviews["mixed"]) < 3 || len(l.reviews["poor"]) < 3 {
		t.Errorf("reviews: %v", l.reviews)
	}
	if len(l.films) < 50 || len(l.crew) < 10 || len(l.studios) < 10 || len(l.bios) < 10 || len(l.cultures) < 20 {
		t.Errorf("%d films, %d crew members, %d studios, %d bios, %d cultures", len(l.films), len(l.crew), len(l.studios), len(l.bios), len(l.cultures))
	}
	ids := make(map[int64]bool)
	for _, f := range l.films {
		if ids[f.id] || f.id < 1 || f.title == "" || f.maker == "" {
			t.Errorf("film %+v", f)
		}
		ids[f.id] = true
	}
}
