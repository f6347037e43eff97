package opensearch

import (
	"crypto/rand"
	"strings"
	"time"
)

// schema is the version of what is below: an index of another is built anew.
const schema = 1

// nextSuffix ends the alias of an index that is being built.
const nextSuffix = "-next"

// object is a JSON object.
type object = map[string]any

// newIndex returns the name of an index that never was.
func newIndex(alias string, now time.Time) string {
	return alias + "-" + now.UTC().Format("20060102150405") + "-" + strings.ToLower(rand.Text()[:8])
}

// definition returns what an index is made with. Nobody searches it yet, so nothing
// has to be shown. The number of shards and replicas is the engine's, or that of its
// operator's template.
func definition(aliases ...string) object {
	borne := object{}
	for _, a := range aliases {
		borne[a] = object{}
	}
	stored := object{"type": "keyword", "index": false, "doc_values": false} // to be shown alone
	return object{
		"settings": object{"index": object{
			"sort.field": "username", "sort.order": "asc",
			"refresh_interval": "-1",
			// How long what was removed is remembered, lest a write that was under way
			// bring it back.
			"gc_deletes": "1h",
		}},
		"mappings": object{
			"dynamic": "strict",
			"_meta":   object{"kith_schema": schema},
			// The rest can be made from these, and is most of the bytes.
			"_source": object{"excludes": []string{"prefixes"}},
			"properties": object{
				"uid":             stored,
				"username":        object{"type": "keyword"},
				"name":            stored,
				"profile_picture": stored,
				"prefixes":        object{"type": "keyword", "doc_values": false},
			},
		},
		"aliases": borne,
	}
}

// shown is the setting of an index that is in use: what is stored is found within
// this time, also by the first who asks after a while.
func shown() object { return object{"index": object{"refresh_interval": "1s"}} }
