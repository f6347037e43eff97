package persistence_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"go.uber.org/goleak"

	"kith/persistence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSearchPrefixesAreTheBeginningsOfWords(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"":                       nil,
		" \t ":                   nil,
		"Bo":                     {"b", "bo"},
		"Bo Bob":                 {"b", "bo", "bob"},
		"O'Br":                   {"b", "br", "o", "o'", "o'b", "o'br"},
		"Al-2b":                  {"2", "2b", "a", "al", "al-", "al-2", "al-2b"},
		"  Ü  x ":                {"x", "ü"},
		"(Bo)":                   {"(", "(b", "(bo", "(bo)", "b", "bo", "bo)"},
		"e\u0301a":               {"é", "éa"},
		"ΟΣ ος":                  {"ο", "οσ"},
		"q\u0323w":               {"q", "q\u0323", "q\u0323w"}, // the mark is of the letter, and begins nothing
		"❤\ufe0fa":               {"a", "❤", "❤\ufe0f", "❤\ufe0fa"},
		"a\xffb":                 {"a", "a\ufffd", "a\ufffdb", "b"},
		strings.Repeat("x", 100): xs(32),
	} {
		if got := persistence.SearchPrefixes(name); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func xs(n int) (all []string) {
	for i := range n {
		all = append(all, strings.Repeat("x", i+1))
	}
	return all
}

func TestAQueryIsOfUsernamesAndOfWords(t *testing.T) {
	t.Parallel()
	for q, want := range map[string]persistence.SearchQuery{
		" Bob_1 ":               {Username: "bob_1", Word: "bob_1"},
		"_":                     {Username: "_", Word: "_"},
		"O'B":                   {Word: "o'b"},
		"Zoë":                   {Word: "zoë"},
		"bob b":                 {}, // no username and no word holds a space
		"%":                     {Word: "%"},
		strings.Repeat("a", 33): {Username: strings.Repeat("a", 33)},
		"ΝΙΚΟΣ":                 {Word: "νικοσ"},
	} {
		if got, ok := persistence.ParseSearch(q); got != want || !ok {
			t.Errorf("%q: %+v, %v, want %+v", q, got, ok, want)
		}
	}
	for _, q := range []string{"", " ", "\t\n\u2003"} {
		if got, ok := persistence.ParseSearch(q); ok || got != (persistence.SearchQuery{}) {
			t.Errorf("%q: %+v, want none", q, got)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{"Ann Lee", "O'Brien-Smith", "ΝΙΚΟΣ", "İpek IŞIK", "e\u0301 \u0345", "प्रिया", "❤\ufe0fa", "a\xffb", "ŉǰ ﬁ ſ K ß", "a\u2001b"} {
		f.Add(seed, "an")
		f.Add("x", seed)
	}
	f.Fuzz(func(t *testing.T, name, q string) {
		prefixes := persistence.SearchPrefixes(name)
		for i, p := range prefixes {
			if p == "" || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsSpace) || utf8.RuneCountInString(p) > 32 || i > 0 && prefixes[i-1] >= p {
				t.Errorf("%q: prefix %q of %q", name, p, prefixes)
			}
		}
		found := func(q string) bool {
			query, ok := persistence.ParseSearch(q)
			_, in := slices.BinarySearch(prefixes, query.Word)
			return ok && in
		}
		for word := range strings.FieldsSeq(name) {
			if utf8.RuneCountInString(word) < 10 && !found(word) {
				t.Errorf("%q is not found by its word %q: %q", name, word, prefixes)
			}
			if upper := strings.ToUpper(word); strings.ToLower(upper) == word && !strings.ContainsFunc(word, func(r rune) bool { return r >= utf8.RuneSelf }) && len(word) < 10 && !found(upper) {
				t.Errorf("%q is not found by %q: %q", name, upper, prefixes)
			}
		}
		query, ok := persistence.ParseSearch(q)
		if ok == (strings.TrimSpace(q) == "") || !ok && query != (persistence.SearchQuery{}) {
			t.Errorf("%q: %+v, %v", q, query, ok)
		}
		if strings.ContainsFunc(query.Username, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_", r) }) {
			t.Errorf("%q searches for the username %q", q, query.Username)
		}
		if !utf8.ValidString(query.Word) || strings.ContainsFunc(query.Word, unicode.IsSpace) {
			t.Errorf("%q searches for the word %q", q, query.Word)
		}
	})
}
