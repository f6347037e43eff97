package opensearch

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// DefaultIndex is the alias of the index of users, unless the URL says another.
const DefaultIndex = "kith-users"

var errURL = errors.New("an http(s) URL such as https://user:password@search.example.com:9200, with ?index=name where the index is not to be " + DefaultIndex)

var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,99}$`)

// CheckURL returns what the URL of an engine may be, unless this is one. It does not
// show it.
func CheckURL(from string) error {
	_, _, err := parse(from)
	return err
}

// parse returns the address of an engine, with what logs in, and the alias.
func parse(from string) (address, index string, err error) {
	u, err := url.Parse(from)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.Fragment != "" || u.ForceQuery {
		return "", "", errURL
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) > 1 || len(query) == 1 && len(query["index"]) != 1 {
		return "", "", errURL
	}
	index = DefaultIndex
	if query.Has("index") {
		index = query.Get("index")
	}
	if !indexName.MatchString(index) || strings.HasSuffix(index, nextSuffix) {
		return "", "", errURL
	}
	u.RawQuery = ""
	return u.String(), index, nil
}
