package demo

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxUsername = 30 // of the API
	maxName     = 29
)

// name gives everybody a name, and what they say about themselves.
func (w *World) name(l *lists, r *rand.Rand) {
	taken := make(map[string]bool, len(w.People))
	shown := make(map[string]bool, len(w.People))
	for i := range w.People {
		p := &w.People[i]
		var given, family name
		// Nobody minds a namesake once the lists run short.
		for tries := 0; p.Name == "" || shown[p.Name] && tries < 20; tries++ {
			c := pick(r, l.cultures)
			given, family = pick(r, c.given), pick(r, c.family)
			p.Language = c.language
			if p.Name = full(c.language, given.shown, family.shown); utf8.RuneCountInString(p.Name) > maxName {
				p.Name = given.shown
			}
		}
		shown[p.Name] = true
		p.Username = username(r, given.plain, family.plain, taken)
		taken[p.Username] = true

		if chance(r, 0.7) {
			p.Bio = pick(r, l.bios)
		}
		for range r.IntN(5) {
			p.Genres = append(p.Genres, genre(r, p.Genres))
		}
		star := i < w.Stars
		p.Creator = star || chance(r, 0.05)
		p.Hidden = !star && chance(r, 0.06)
		p.Watching = star || chance(r, 0.7)
		p.Quiet = !star && chance(r, 0.05)
	}
}

// full writes a name as people of a language do.
func full(language, given, family string) string {
	switch language {
	case "ja", "hu", "vi":
		return family + " " + given
	case "ko", "zh":
		return family + given
	}
	return given + " " + family
}

// username draws one as people choose them, and numbers it when all are taken.
func username(r *rand.Rand, given, family string, taken map[string]bool) string {
	year := strconv.Itoa(60 + r.IntN(48))
	year = year[len(year)-2:]
	forms := []string{given + "_" + family, given + family, family + "_" + given, given + year, given[:1] + family, given + "_" + family[:1], given + "_" + year}
	r.Shuffle(len(forms), func(i, j int) { forms[i], forms[j] = forms[j], forms[i] })
	for _, form := range forms {
		if len(form) >= 4 && len(form) <= maxUsername && !taken[form] {
			return form
		}
	}
	base := strings.TrimRight((given + "_" + family)[:min(maxUsername-6, len(given)+len(family)+1)], "_")
	for n := 2; ; n++ {
		if form := base + strconv.Itoa(n); !taken[form] {
			return form
		}
	}
}

// genre draws one that is not among those had.
func genre(r *rand.Rand, had []int64) int64 {
	genres := []int64{28, 12, 16, 35, 80, 99, 18, 10751, 14, 36, 27, 10402, 9648, 10749, 878, 53, 10752, 37}
	for {
		g := pick(r, genres)
		known := false
		for _, h := range had {
			known = known || h == g
		}
		if !known {
			return g
		}
	}
}
