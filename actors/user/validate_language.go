package user

import "strings"

// maxLanguage bounds a language tag, in bytes. RFC 5646 §4.4.1 asks for room for
// 35.
const maxLanguage = 64

// ParseLanguage checks that s is a well-formed BCP 47 language tag (the grammar
// of RFC 5646 §2.1), such as en, pt-BR or zh-Hant-TW. It does not ask whether
// the subtags are registered, and keeps the case as it is.
func ParseLanguage(s string) (string, error) {
	if len(s) > maxLanguage || !wellFormedTag(lowerASCII(s)) {
		return "", invalid("language", "Language must be a BCP 47 tag, such as en or pt-BR")
	}
	return s, nil
}

// wellFormedTag judges a tag in lower case. The order of the parts is fixed, so
// each step takes the subtags that are its own.
func wellFormedTag(s string) bool {
	if irregularTag(s) {
		return true
	}
	tags := strings.Split(s, "-")
	if tags[0] == "x" {
		return privateUse(tags)
	}
	if !within(tags[0], alpha, 2, 8) {
		return false
	}
	short := len(tags[0]) <= 3
	tags = tags[1:]
	for n := 0; short && n < 3 && len(tags) > 0 && within(tags[0], alpha, 3, 3); n++ {
		tags = tags[1:] // extended language
	}
	if len(tags) > 0 && within(tags[0], alpha, 4, 4) {
		tags = tags[1:] // script
	}
	if len(tags) > 0 && (within(tags[0], alpha, 2, 2) || within(tags[0], digit, 3, 3)) {
		tags = tags[1:] // region
	}
	for len(tags) > 0 && variant(tags[0]) {
		tags = tags[1:]
	}
	for len(tags) > 0 && len(tags[0]) == 1 && tags[0] != "x" { // extensions
		if !within(tags[0], alphanumeric, 1, 1) || len(tags) == 1 || !within(tags[1], alphanumeric, 2, 8) {
			return false
		}
		tags = tags[2:]
		for len(tags) > 0 && within(tags[0], alphanumeric, 2, 8) {
			tags = tags[1:]
		}
	}
	return len(tags) == 0 || privateUse(tags)
}

func variant(tag string) bool {
	return within(tag, alphanumeric, 5, 8) || (within(tag, alphanumeric, 4, 4) && digit(tag[0]))
}

// privateUse judges x-…, which ends a tag.
func privateUse(tags []string) bool {
	if tags[0] != "x" || len(tags) == 1 {
		return false
	}
	for _, tag := range tags[1:] {
		if !within(tag, alphanumeric, 1, 8) {
			return false
		}
	}
	return true
}

// irregularTag knows the grandfathered tags that the grammar does not produce;
// the regular ones need no list.
func irregularTag(s string) bool {
	switch s {
	case "en-gb-oed", "i-ami", "i-bnn", "i-default", "i-enochian", "i-hak", "i-klingon", "i-lux", "i-mingo",
		"i-navajo", "i-pwn", "i-tao", "i-tay", "i-tsu", "sgn-be-fr", "sgn-be-nl", "sgn-ch-de":
		return true
	}
	return false
}

// within reports whether tag has from least to most characters, all of a class.
func within(tag string, class func(byte) bool, least, most int) bool {
	if len(tag) < least || len(tag) > most {
		return false
	}
	for i := range len(tag) {
		if !class(tag[i]) {
			return false
		}
	}
	return true
}

func alpha(c byte) bool        { return c >= 'a' && c <= 'z' }
func digit(c byte) bool        { return c >= '0' && c <= '9' }
func alphanumeric(c byte) bool { return alpha(c) || digit(c) }
