package user_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"kith/actors/user"
)

// input is one case of a Parse function: want is what it gives, or refused is the
// whole message for the client.
type input[T any] struct {
	in      string
	want    T
	refused string
}

func parseAll[T comparable](t *testing.T, field string, parse func(string) (T, error), cases []input[T]) {
	t.Helper()
	for _, c := range cases {
		got, err := parse(c.in)
		if c.refused == "" {
			if err != nil || got != c.want {
				t.Errorf("%.60q = %v, %v; want %v", c.in, got, err, c.want)
			}
			continue
		}
		refusedAs(t, c.in, err, field, c.refused)
		var zero T
		if got != zero {
			t.Errorf("%.60q is refused and gives %v", c.in, got)
		}
	}
}

func refusedAs(t *testing.T, in any, err error, field, message string) {
	t.Helper()
	var invalid *user.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != field || invalid.Message != message {
		t.Errorf("%.60q: %v; want %s: %s", in, err, field, message)
	}
}

const (
	tooShort = "Username must be at least 3 characters"
	tooLong  = "Username must be at most 30 characters"
	charset  = "Username may contain only letters a to z, digits and underscores"
)

func TestParseUsername(t *testing.T) {
	t.Parallel()
	parseAll(t, "username", user.ParseUsername, []input[string]{
		{in: "john_doe", want: "john_doe"},
		{in: " \tJohnDoe99\n", want: "johndoe99"},
		{in: "abc", want: "abc"},
		{in: "___", want: "___"},
		{in: strings.Repeat("a", 30), want: strings.Repeat("a", 30)},
		{in: "", refused: "Username is required"},
		{in: " \u00a0\n", refused: "Username is required"},
		{in: "ab", refused: tooShort},
		{in: "éé", refused: tooShort},
		{in: strings.Repeat("a", 31), refused: tooLong},
		{in: strings.Repeat("é", 30), refused: charset},
		{in: "user-name", refused: charset},
		{in: "user name", refused: charset},
		{in: "jörg", refused: charset},
		{in: "\u212aith", refused: charset}, // the Kelvin sign, whose lower case is k
		{in: "a\x00bc", refused: charset},
		{in: "abc\xff", refused: charset},
	})
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"self", "list", "search", "availability", "relationships", "admin", "root", "support", "system", "kith"} {
		if !user.Reserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"", "selfie", "ada"} {
		if user.Reserved(name) {
			t.Errorf("%q is reserved", name)
		}
	}
}

func TestParseName(t *testing.T) {
	t.Parallel()
	parseAll(t, "name", user.ParseName, []input[string]{
		{in: " Ada Lovelace ", want: "Ada Lovelace"},
		{in: strings.Repeat("é", 29), want: strings.Repeat("é", 29)},
		{in: "李小龙", want: "李小龙"},
		{in: " ", refused: "Name is required"},
		{in: strings.Repeat("a", 30), refused: "Name must be shorter than 30 characters"},
		{in: "A\nB", refused: "Name must not contain control characters"},
		{in: "A\u0085B", refused: "Name must not contain control characters"},
		{in: "A\xffB", refused: "Name must be valid UTF-8"},
	})
}

func TestParseEmail(t *testing.T) {
	t.Parallel()
	const rule = "Email must be one plain address, such as name@example.com"
	parseAll(t, "email", user.ParseEmail, []input[string]{
		{in: " Ada.L+x@Example.com ", want: "Ada.L+x@Example.com"},
		{in: "", want: ""},
		{in: "  ", want: ""},
		{in: "ada", refused: rule},
		{in: "ada@", refused: rule},
		{in: "@example.com", refused: rule},
		{in: "<ada@example.com>", refused: rule},
		{in: "Ada <ada@example.com>", refused: rule},
		{in: "ada@example.com, eve@example.com", refused: rule},
		{in: "ada@example.com (Ada)", refused: rule},
		{in: `"a b"@example.com`, refused: rule},
		{in: "a b@example.com", refused: rule},
		{in: "ada@example.com\x00", refused: "Email must not contain control characters"},
		{in: "ada\xff@example.com", refused: "Email must be valid UTF-8"},
		{in: strings.Repeat("a", 250) + "@b.cd", refused: "Email must be at most 254 bytes"},
	})
	if a, b := user.EmailKey("Ada@Example.com"), user.EmailKey("aDA@eXAMPLE.COM"); a != b || a != "ada@example.com" {
		t.Errorf("addresses that differ in case have the keys %q and %q", a, b)
	}
}

func TestParsePassword(t *testing.T) {
	t.Parallel()
	parseAll(t, "password", user.ParsePassword, []input[string]{
		{in: "12345678", want: "12345678"},
		{in: " spaces stay ", want: " spaces stay "},
		{in: strings.Repeat("é", 128), want: strings.Repeat("é", 128)},
		{in: "1234567", refused: "Password must be at least 8 characters"},
		{in: "ééééééé", refused: "Password must be at least 8 characters"},
		{in: strings.Repeat("a", 129), refused: "Password must be at most 128 characters"},
		{in: "12345678\n", refused: "Password must not contain control characters"},
		{in: "12345678\xff", refused: "Password must be valid UTF-8"},
	})
}

func TestParseRole(t *testing.T) {
	t.Parallel()
	const rule = "Role must be user or creator"
	parseAll(t, "role", user.ParseRole, []input[user.Role]{
		{in: "user", want: user.RoleUser},
		{in: "creator", want: user.RoleCreator},
		{in: "admin", refused: rule},
		{in: "User", refused: rule},
		{in: "", refused: rule},
	})
}

func TestParseBio(t *testing.T) {
	t.Parallel()
	parseAll(t, "bio", user.ParseBio, []input[string]{
		{in: "", want: ""},
		{in: " one\n\ttwo ", want: " one\n\ttwo "},
		{in: strings.Repeat("é", 500), want: strings.Repeat("é", 500)},
		{in: strings.Repeat("a", 501), refused: "Bio must be at most 500 characters"},
		{in: "a\r\nb", refused: "Bio must not contain control characters"},
		{in: "\x7f", refused: "Bio must not contain control characters"},
		{in: "\xc3", refused: "Bio must be valid UTF-8"},
	})
}

func TestParsePicture(t *testing.T) {
	t.Parallel()
	const rule = "Profile picture must be empty, an http or https URL, or the path of your own upload"
	own, foreign := user.PicturePath(adaUID), user.PicturePath(user.UID{2})
	if own != "ProfileProto/users/01000000000000000000000000000007.jpg" {
		t.Fatalf("the path is %s", own)
	}
	parse := func(s string) (string, error) { return user.ParsePicture(s, adaUID) }
	long := "https://example.com/" + strings.Repeat("é", 2048-len("https://example.com/"))
	parseAll(t, "profile_picture", parse, []input[string]{
		{in: "", want: ""},
		{in: own, want: own},
		{in: "https://example.com/a.jpg?x=1", want: "https://example.com/a.jpg?x=1"},
		{in: "HTTP://example.com", want: "HTTP://example.com"},
		{in: long, want: long},
		{in: long + "x", refused: "Profile picture must be at most 2048 characters"},
		{in: foreign, refused: rule},
		{in: "ftp://example.com/a", refused: rule},
		{in: "javascript:alert(1)", refused: rule},
		{in: "data:image/png;base64,AAAA", refused: rule},
		{in: "//example.com/a", refused: rule},
		{in: "https://", refused: rule},
		{in: "https://:80/a", refused: rule},
		{in: "https:example.com", refused: rule},
		{in: "https://example.com/a b", refused: rule},
		{in: " https://example.com", refused: rule},
		{in: "https://exa mple.com", refused: rule},
		{in: "https://example.com/%zz", refused: rule},
		{in: "https://example.com/\n", refused: "Profile picture must not contain control characters"},
		{in: "https://example.com/\xff", refused: "Profile picture must be valid UTF-8"},
	})
}

func TestParseCrewAndStudioIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parse func(string) (int64, error)
		rule  string
	}{
		{user.ParseCrewID, "Crew member id must be a positive 64-bit integer"},
		{user.ParseStudioID, "Studio id must be a positive 64-bit integer"},
	} {
		cases := []input[int64]{{in: "1", want: 1}, {in: "9223372036854775807", want: math.MaxInt64}}
		for _, s := range []string{"", "0", "-1", "+1", "01", "1.0", "1e3", " 1", "x", "1_0", "0x1", "9223372036854775808", strings.Repeat("9", 99)} {
			cases = append(cases, input[int64]{in: s, refused: c.rule})
		}
		parseAll(t, "id", c.parse, cases)
	}
}

func TestParseGenres(t *testing.T) {
	t.Parallel()
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i)
	}
	for _, c := range []struct{ in, want []int64 }{
		{nil, []int64{}},
		{[]int64{3, 1, 3, 0, 1}, []int64{3, 1, 0}},
		{append(slices.Clone(hundred), 0, 99), hundred},
	} {
		got, err := user.ParseGenres(c.in)
		if err != nil || got == nil || !slices.Equal(got, c.want) {
			t.Errorf("%v = %v, %v; want %v", c.in, got, err, c.want)
		}
	}
	_, err := user.ParseGenres([]int64{1, -1})
	refusedAs(t, "a negative one", err, "fav_genres", "Favourite genres must not be negative")
	_, err = user.ParseGenres(append(slices.Clone(hundred), 100))
	refusedAs(t, "101", err, "fav_genres", "At most 100 favourite genres are allowed")
}

func TestCheckNotifications(t *testing.T) {
	t.Parallel()
	many := map[string]*bool{}
	for i := range 50 {
		many[strings.Repeat("k", i+1)] = nil
	}
	for _, good := range []map[string]*bool{nil, {strings.Repeat("é", 64): new(true)}, many} {
		if err := user.CheckNotifications(good); err != nil {
			t.Errorf("%d keys: %v", len(good), err)
		}
	}
	for key, message := range map[string]string{
		"":                      "Notification setting must be 1 to 64 characters",
		strings.Repeat("k", 65): "Notification setting must be 1 to 64 characters",
		"a\nb":                  "Notification setting must not contain control characters",
		"a\xff":                 "Notification setting must be valid UTF-8",
	} {
		refusedAs(t, key, user.CheckNotifications(map[string]*bool{key: nil}), "notification_settings", message)
	}
	many["one more"] = nil
	refusedAs(t, "51 keys", user.CheckNotifications(many), "notification_settings", "At most 50 notification settings are allowed")
}

func TestParseLanguage(t *testing.T) {
	t.Parallel()
	var cases []input[string]
	for _, tag := range []string{ // from RFC 5646, appendix A, and its grandfathered ones
		"en", "de", "fr", "ja", "i-enochian", "zh-Hant", "sr-Latn", "zh-cmn-Hans-CN", "cmn-Hans-CN", "zh-yue-HK", "sl-rozaj-biske-1994",
		"sl-nedis", "de-CH-1901", "hy-Latn-IT-arevela", "de-DE", "en-US", "es-419", "de-CH-x-phonebk", "az-Arab-x-AZE-derbend", "x-whatever",
		"qaa-Qaaa-QM-x-southern", "sr-Qaaa-RS", "en-US-u-islamcal", "zh-CN-a-myext-x-private", "en-a-myext-b-another", "EN-gb", "art-lojban",
		"zh-min-nan", "en-GB-oed", "sgn-BE-FR", "abcdefgh", "en-0-ab",
	} {
		cases = append(cases, input[string]{in: tag, want: tag})
	}
	for _, s := range []string{
		"", "e", "en-", "-en", "en--US", "en_US", "de-419-DE", "a-DE", "abcdefghi", "en-x", "x-", "x", "en-a", "en-a-x-b", "en-US-a-b",
		"en US", "én", "en-x-123456789", "12", "abcd-efg", "ar-a-aaa-b-", "en-\xff", strings.Repeat("en-", 30) + "x-a", "i-none",
	} {
		cases = append(cases, input[string]{in: s, refused: "Language must be a BCP 47 tag, such as en or pt-BR"})
	}
	parseAll(t, "language", user.ParseLanguage, cases)
}
