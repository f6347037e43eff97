package demo

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed data/names.txt
var namesText string

//go:embed data/films.txt
var filmsText string

//go:embed data/reviews.txt
var reviewsText string

//go:embed data/bios.txt
var biosText string

//go:embed data/followed.txt
var followedText string

// lists is everything that worlds are made of.
type lists struct {
	cultures []culture
	films    []film
	reviews  map[string][]string // by opinion
	bios     []string
	crew     []int64
	studios  []int64
}

// culture is names that go together.
type culture struct {
	language      string
	given, family []name
}

// name is a name and how it is spelled in a username.
type name struct{ shown, plain string }

type film struct {
	id           int64
	title, maker string
}

// readLists reads the embedded lists. That they can be read is for a test.
func readLists() (*lists, error) {
	l := &lists{reviews: make(map[string][]string), bios: lines(biosText)}
	for _, line := range lines(namesText) {
		f, err := fields(line, 3)
		if err != nil {
			return nil, err
		}
		l.cultures = append(l.cultures, culture{f[0], readNames(f[1]), readNames(f[2])})
	}
	for _, line := range lines(filmsText) {
		f, err := fields(line, 3)
		if err != nil {
			return nil, err
		}
		id, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("demo: the id of a film: %w", err)
		}
		l.films = append(l.films, film{id, f[1], f[2]})
	}
	for _, line := range lines(reviewsText) {
		f, err := fields(line, 2)
		if err != nil {
			return nil, err
		}
		l.reviews[f[0]] = append(l.reviews[f[0]], f[1])
	}
	for _, line := range lines(followedText) {
		f, err := fields(line, 2)
		if err != nil {
			return nil, err
		}
		ids, err := readIDs(f[1])
		if err != nil {
			return nil, err
		}
		switch f[0] {
		case "crew":
			l.crew = ids
		case "studio":
			l.studios = ids
		}
	}
	return l, nil
}

// lines returns the lines of a list but comments.
func lines(text string) []string {
	var kept []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return kept
}

func fields(line string, n int) ([]string, error) {
	f := strings.Split(line, "|")
	if len(f) != n {
		return nil, fmt.Errorf("demo: %d fields instead of %d: %s", len(f), n, line)
	}
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return f, nil
}

func readNames(list string) []name {
	var names []name
	for part := range strings.SplitSeq(list, ",") {
		shown, plain, spelled := strings.Cut(strings.TrimSpace(part), "/")
		if !spelled {
			plain = fold(shown)
		}
		names = append(names, name{shown, plain})
	}
	return names
}

func readIDs(list string) ([]int64, error) {
	var ids []int64
	for part := range strings.SplitSeq(list, ",") {
		id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("demo: an id: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// fold spells a Latin name with the letters of a username: what it does not know
// is left out, which a test notices.
func fold(shown string) string {
	plain := strings.NewReplacer(
		"ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "å", "a", "æ", "ae", "ø", "o", "þ", "th", "ð", "d",
		"á", "a", "à", "a", "â", "a", "ã", "a", "ă", "a", "ą", "a", "ả", "a", "ặ", "a", "ạ", "a", "ầ", "a", "ấ", "a",
		"é", "e", "è", "e", "ê", "e", "ë", "e", "ě", "e", "ę", "e", "ễ", "e", "ệ", "e", "ế", "e",
		"í", "i", "ì", "i", "î", "i", "ï", "i", "ı", "i", "ị", "i",
		"ó", "o", "ò", "o", "ô", "o", "õ", "o", "ő", "o", "ọ", "o",
		"ú", "u", "ù", "u", "û", "u", "ů", "u", "ű", "u", "ũ", "u", "ư", "u", "ứ", "u", "ý", "y",
		"ç", "c", "ć", "c", "č", "c", "ğ", "g", "ł", "l", "ñ", "n", "ń", "n", "ň", "n", "ř", "r", "ś", "s", "š", "s", "ş", "s",
		"ż", "z", "ź", "z", "ž", "z", "đ", "d", "ť", "t", "i̇", "i",
	).Replace(strings.ToLower(shown))
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, plain)
}
