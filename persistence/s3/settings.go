package s3

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// What CheckX say: what is allowed.
var (
	errEndpoint  = errors.New("an http(s) URL of a host alone, such as https://s3.eu-central-1.amazonaws.com")
	errBucket    = errors.New("the name of a bucket: 3 to 63 lower-case letters, digits, hyphens and dots")
	errRegion    = errors.New("the name of a region, such as us-east-1: lower-case letters, digits and hyphens")
	errAccessKey = errors.New("an access key of 1 to 128 letters, digits and signs, without spaces, slashes, commas and equals signs")
	errSecretKey = errors.New("a secret key of 1 to 256 letters, digits and signs, without spaces")
)

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
)

// CheckEndpoint returns what an endpoint may be, unless this is one.
func CheckEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errEndpoint
	}
	return nil
}

// CheckBucket returns what the name of a bucket may be, unless this is one.
func CheckBucket(bucket string) error {
	if !bucketName.MatchString(bucket) || strings.Contains(bucket, "..") {
		return errBucket
	}
	return nil
}

// CheckRegion returns what the name of a region may be, unless this is one.
func CheckRegion(region string) error {
	if !regionName.MatchString(region) {
		return errRegion
	}
	return nil
}

// CheckAccessKey returns what an access key may be, unless this is one.
func CheckAccessKey(key string) error {
	if !signs(key, 128) || strings.ContainsAny(key, "/,=") { // which end it in a signature
		return errAccessKey
	}
	return nil
}

// CheckSecretKey returns what a secret key may be, unless this is one. It does not
// show it.
func CheckSecretKey(key string) error {
	if !signs(key, 256) {
		return errSecretKey
	}
	return nil
}

// signs reports whether s is of printable ASCII, without spaces: a line end that came
// along with a key is told at once.
func signs(s string, longest int) bool {
	return s != "" && len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
