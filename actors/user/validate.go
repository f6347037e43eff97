package user

import (
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of input, in code points unless stated.
const (
	minUsername = 3
	maxUsername = 30
	maxName     = 29
	maxEmail    = 254 // bytes; RFC 5321 carries no longer path
	minPassword = 8
	maxPassword = 128
	maxBio      = 500
	maxPicture  = 2048
	maxGenres   = 100

	maxNotificationKey = 64
)

// invalid returns the refusal of one field.
func invalid(field, message string) error { return &InvalidError{Field: field, Message: message} }

// ParseUsername returns the username that s means: trimmed, in lower case,
// ^[a-z0-9_]{3,30}$. The error is an *InvalidError with the rule that failed.
// It does not say whether the name is reserved or taken.
func ParseUsername(s string) (string, error) {
	const field = "username"
	s = lowerASCII(strings.TrimSpace(s))
	switch n := utf8.RuneCountInString(s); {
	case n == 0:
		return "", invalid(field, "Username is required")
	case n < minUsername:
		return "", invalid(field, "Username must be at least 3 characters")
	case n > maxUsername:
		return "", invalid(field, "Username must be at most 30 characters")
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return "", invalid(field, "Username may contain only letters a to z, digits and underscores")
		}
	}
	return s, nil
}

// lowerASCII leaves all but A to Z alone: Unicode case mapping would turn the
// Kelvin sign into a k, and so two different names into one.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// Reserved reports whether a normalised username is kept from everybody, because
// it is a word of a route or speaks for the system.
func Reserved(username string) bool {
	switch username {
	case "self", "list", "search", "availability", "relationships", "admin", "root", "support", "system", "kith":
		return true
	}
	return false
}

// ParseName returns the display name that s means: trimmed, 1 to 29 code points,
// no control characters.
func ParseName(s string) (string, error) {
	const field = "name"
	s = strings.TrimSpace(s)
	if s == "" {
		return "", invalid(field, "Name is required")
	}
	if err := checkText(field, "Name", s, false); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > maxName {
		return "", invalid(field, "Name must be shorter than 30 characters")
	}
	return s, nil
}

// ParseEmail returns the address that s means: trimmed, one plain address without
// a display name. Blank means no address and gives "". Addresses are compared by
// their EmailKey.
func ParseEmail(s string) (string, error) {
	const (
		field = "email"
		rule  = "Email must be one plain address, such as name@example.com"
	)
	s = strings.TrimSpace(s)
	if s == "" {
		return "", nil
	}
	if err := checkText(field, "Email", s, false); err != nil {
		return "", err
	}
	if len(s) > maxEmail {
		return "", invalid(field, "Email must be at most 254 bytes")
	}
	// Display names, brackets, comments and quoting all make the parsed address
	// differ from what was sent.
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return "", invalid(field, rule)
	}
	return s, nil
}

// EmailKey returns the form of an address in which two that differ only in case
// are the same. It is what is claimed.
func EmailKey(email string) string { return strings.ToLower(email) }

// ParsePassword checks a new password: 8 to 128 code points, taken as they are.
func ParsePassword(s string) (string, error) {
	const field = "password"
	if err := checkText(field, "Password", s, false); err != nil {
		return "", err
	}
	switch n := utf8.RuneCountInString(s); {
	case n < minPassword:
		return "", invalid(field, "Password must be at least 8 characters")
	case n > maxPassword:
		return "", invalid(field, "Password must be at most 128 characters")
	}
	return s, nil
}

// ParseRole returns a role that users may choose themselves, so never admin.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case RoleUser, RoleCreator:
		return r, nil
	case RoleAdmin:
	}
	return "", invalid("role", "Role must be user or creator")
}

// ParseBio checks a bio: at most 500 code points, no control characters but
// newline and tab.
func ParseBio(s string) (string, error) {
	const field = "bio"
	if err := checkText(field, "Bio", s, true); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > maxBio {
		return "", invalid(field, "Bio must be at most 500 characters")
	}
	return s, nil
}

// PicturePath returns the path at which the upload route puts the photo of a user.
func PicturePath(uid UID) string { return "ProfileProto/users/" + uid.String() + ".jpg" }

// ParsePicture checks the profile picture of user uid: empty, an http or https
// URL of at most 2,048 code points, or the user's own PicturePath. It does not
// say whether there is a photo.
func ParsePicture(s string, uid UID) (string, error) {
	const (
		field = "profile_picture"
		rule  = "Profile picture must be empty, an http or https URL, or the path of your own upload"
	)
	if s == "" || s == PicturePath(uid) {
		return s, nil
	}
	if err := checkText(field, "Profile picture", s, false); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(s) > maxPicture {
		return "", invalid(field, "Profile picture must be at most 2048 characters")
	}
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.ContainsFunc(s, unicode.IsSpace) {
		return "", invalid(field, rule)
	}
	return s, nil
}

const (
	crewIDRule   = "Crew member id must be a positive 64-bit integer"
	studioIDRule = "Studio id must be a positive 64-bit integer"
)

// ParseCrewID returns the id of a crew member: a positive 64-bit integer.
func ParseCrewID(s string) (int64, error) {
	return parseID(s, crewIDRule)
}

// ParseStudioID returns the id of a studio: a positive 64-bit integer.
func ParseStudioID(s string) (int64, error) {
	return parseID(s, studioIDRule)
}

// parseID accepts one spelling of each number: digits, no sign, no leading zero.
func parseID(s, message string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || s[0] < '1' || s[0] > '9' {
		return 0, invalid("id", message)
	}
	return n, nil
}

// ParseGenres returns favourite genres without duplicates, in the order of their
// first mention: at most 100, none negative. The result is never nil.
func ParseGenres(ids []int64) ([]int64, error) {
	const field = "fav_genres"
	genres := make([]int64, 0, min(len(ids), maxGenres))
	seen := make(map[int64]bool, min(len(ids), maxGenres))
	for _, id := range ids {
		switch {
		case id < 0:
			return nil, invalid(field, "Favourite genres must not be negative")
		case seen[id]:
			continue
		case len(genres) == maxGenres:
			return nil, invalid(field, "At most 100 favourite genres are allowed")
		}
		seen[id] = true
		genres = append(genres, id)
	}
	return genres, nil
}

// CheckNotifications checks changes to notification settings: at most 50 keys of
// 1 to 64 code points. That a merge stays within 50 is for Decide to see.
func CheckNotifications(changes map[string]*bool) error {
	const field = "notification_settings"
	if len(changes) > maxNotificationSettings {
		return invalid(field, tooManyNotificationSettings)
	}
	for key := range changes {
		if err := checkText(field, "Notification setting", key, false); err != nil {
			return err
		}
		if key == "" || utf8.RuneCountInString(key) > maxNotificationKey {
			return invalid(field, "Notification setting must be 1 to 64 characters")
		}
	}
	return nil
}

// checkText refuses what is not text: invalid UTF-8 and control characters, save
// newline and tab where lines are allowed.
func checkText(field, name, s string, lines bool) error {
	if !utf8.ValidString(s) {
		return invalid(field, name+" must be valid UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) && (!lines || r != '\n' && r != '\t') {
			return invalid(field, name+" must not contain control characters")
		}
	}
	return nil
}
