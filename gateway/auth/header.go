package auth

import "strings"

// Bearer returns the token of the Authorization headers of a request. There must
// be exactly one, of the scheme Bearer, which is compared without case
// (RFC 9110, section 11.1), with one token68 behind it.
func Bearer(headers []string) (token string, ok bool) {
	const scheme = "bearer"
	if len(headers) != 1 {
		return "", false
	}
	h := headers[0]
	if len(h) <= len(scheme) || !strings.EqualFold(h[:len(scheme)], scheme) || h[len(scheme)] != ' ' {
		return "", false
	}
	token = strings.Trim(h[len(scheme):], " ")
	if token == "" {
		return "", false
	}
	for i := range len(token) {
		c := token[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/', c == '=':
		default:
			return "", false
		}
	}
	return token, true
}
