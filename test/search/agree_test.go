package search_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// What names are made of, so that many are alike: case, accents whole and in parts,
// letters with several forms, scripts without words, signs, and what other languages
// of queries take for their own.
var (
	firsts = []string{
		"Ada", "ada", "ÁDA", "A\u0301da", "Adam", "O'Ada", "Ödön", "O\u0308do\u0308n", "Σίσυφος", "ΣΊΣΥΦΟΣ", "İda", "Ida", "ıda",
		"Straße", "STRASSE", "ﬁona", "Fiona", "李", "李小龙", "👩‍🚀", "Ǆon", "ǆon", "Ada*", "_ada", "100%", `"Ada"`, "ада", "АДА",
	}
	lasts = []string{"", "Ada", "Lovelace", "love-lace", "o'love", "(Love)", "Ω", "Ohm Ω", "li 小", "x\u00a0ada", "a.d.a", "ŁÓdź"}
	stems = []string{"ada", "ad_a", "a_da", "adam", "love", "lo_ve", "li", "ida", "_ada", "0ada"}

	questions = []string{
		"a", "ad", "ADA", "ada", "ada_", "ada_1", "ada_10", "adam", "_", "_ada", "0", "á", "a\u0301", "ÁDA", "ö", "o\u0308d", "σίσυφος", "ΣΊΣΥΦΟς", "σ",
		"i", "İ", "ı", "ida", "ß", "straß", "STRASS", "ﬁ", "fi", "李", "李小", "小", "👩", "👩‍🚀", "ǅ", "ǆo", "*", "ada*", "?", "%", "100%", `"`, `"ada"`, `\`,
		"(love", "love)", "love-", "lace", "o'", "o'a", "o'love", "ω", "Ω", "ohm", "а", "ада", "ł", "łódź", "a.d", "d.a", " ada ", "ada lovelace", "x\u00a0a",
		"{", "z", "{\"match_all\":{}}", "ada OR love", strings.Repeat("a", 256), strings.Repeat("ada_", 16),
	}
)

const crowd = 240

// agrees compares what the engine and the database answer.
func agrees(t *testing.T, at string, o kithtest.Options) { //nolint:thelper // a test
	g := newGate(t, at)
	w := begin(t, newIndex(t, at), g.URL, o)
	people := make([]person, crowd)
	for i := range people {
		name := strings.TrimSpace(firsts[i%len(firsts)] + " " + lasts[i/2%len(lasts)])
		people[i] = w.join(fmt.Sprintf("%s_%d", stems[i%len(stems)], i), name)
	}
	for i := range people {
		switch {
		case i%7 == 3:
			people[i].becomes("name", strings.TrimSpace(lasts[i%len(lasts)]+" "+firsts[i*5%len(firsts)]))
		case i%11 == 5:
			people[i].leaves()
			w.join(people[(i+1)%crowd].Username+"x", people[i].Name)
		}
	}
	w.caughtUp()

	limit := func(i int) int { return []int{100, 7, 30, 100, 13}[i%5] }
	ask := func() (all [][]*kithtest.Answer) {
		for i, q := range questions {
			all = append(all, w.pages(q, limit(i)))
		}
		return all
	}
	var engine [][]*kithtest.Answer
	w.byEngine(func() { engine = ask() })
	g.follow(refusing("_msearch", http.StatusServiceUnavailable))
	w.page("ada", 1, "") // the first finds out
	w.gauge("kith_search_away", 1)
	before := w.answered()
	own := ask()
	after := w.answered()
	pages, found := 0, 0
	for i, q := range questions {
		pages += len(own[i])
		found += len(namesOf(own[i]))
		if len(own[i]) != len(engine[i]) {
			t.Errorf("q=%q: %d pages of the engine, %d of the database", q, len(engine[i]), len(own[i]))
			continue
		}
		// The bytes have the cursors in them: who has those of one side goes on on the other.
		for n := range own[i] {
			if !bytes.Equal(own[i][n].Body, engine[i][n].Body) {
				t.Errorf("q=%q, page %d: of the engine\n%s\nof the database\n%s", q, n, engine[i][n], own[i][n])
			}
		}
	}
	if after.engine != before.engine || after.database != before.database+float64(pages) {
		t.Errorf("of %d pages while the engine was away, %+v before and %+v after", pages, before, after)
	}
	if found < 5*crowd {
		t.Errorf("%d questions find %d people only", len(questions), found)
	}
	t.Logf("%d questions, %d pages, %d people found", len(questions), pages, found)
	g.open()
	w.gauge("kith_search_away", 0)
	w.byEngine(func() { w.page("ada", 1, "") })
}
