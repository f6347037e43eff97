package asyncapi_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// object is a JSON object.
type object = map[string]any

// breaks says what of a new document breaks those who go by an old one: readers of
// what is sent, writers of what is received. Additions break nobody.
func breaks(old, now object) []string {
	var found []string
	for _, key := range keys(at(old, "channels")) {
		if was, is := at(old, "channels", key)["address"], at(now, "channels", key)["address"]; was != is {
			found = append(found, fmt.Sprintf("channel %s was %v, is %v", key, was, is))
		}
	}
	for _, key := range keys(at(old, "operations")) {
		was, is := at(old, "operations", key), at(now, "operations", key)
		if was["action"] != is["action"] || !reflect.DeepEqual(was["channel"], is["channel"]) {
			found = append(found, "operation "+key+" is gone or another one")
			continue
		}
		c := comparison{old: old, now: now, received: was["action"] == "receive"}
		messages, _ := was["messages"].([]any)
		present, _ := is["messages"].([]any)
		for _, m := range messages {
			if !slices.ContainsFunc(present, func(p any) bool { return reflect.DeepEqual(m, p) }) {
				c.say(key, "no longer has %v", m)
				continue
			}
			c.message(m)
		}
		found = append(found, c.found...)
	}
	return found
}

// comparison compares the messages of an operation.
type comparison struct {
	old, now object
	received bool // Kith is the reader
	found    []string
}

func (c *comparison) say(path, format string, args ...any) {
	c.found = append(c.found, path+" "+fmt.Sprintf(format, args...))
}

func (c *comparison) message(ref any) {
	was, is := resolve(c.old, ref), resolve(c.now, ref)
	name, _ := was["name"].(string)
	if was["name"] != is["name"] {
		c.say(name, "is called %v", is["name"])
	}
	c.schema(name+" headers", at(was, "headers"), at(is, "headers"))
	c.schema(name, at(was, "payload"), at(is, "payload"))
}

// schema compares what was promised of a value with what is.
func (c *comparison) schema(path string, was, is object) {
	was, is = resolve(c.old, was), resolve(c.now, is)
	for _, keyword := range []string{"type", "format"} {
		if !reflect.DeepEqual(was[keyword], is[keyword]) {
			c.say(path, "had the %s %v, has %v", keyword, was[keyword], is[keyword])
		}
	}
	properties, present := at(was, "properties"), at(is, "properties")
	for _, name := range keys(properties) {
		if present[name] == nil {
			c.say(path+"."+name, "is gone")
			continue
		}
		c.schema(path+"."+name, at(properties, name), at(present, name))
	}
	c.required(path, list(was["required"]), list(is["required"]))
	c.values(path, list(was["enum"]), list(is["enum"]))
	if c.received && was["additionalProperties"] != is["additionalProperties"] && is["additionalProperties"] == false {
		c.say(path, "no longer takes other fields")
	}
}

// required: a reader counts on what was always there, a writer on what may be left
// out.
func (c *comparison) required(path string, was, is []any) {
	change := "is not always there any more"
	if c.received {
		was, is, change = is, was, "must be there now"
	}
	for _, name := range was {
		if !slices.Contains(is, name) {
			c.say(fmt.Sprintf("%s.%v", path, name), "%s", change)
		}
	}
}

// values: a writer counts on every value that was taken. A reader must be ready for
// new ones, but not for any at all.
func (c *comparison) values(path string, was, is []any) {
	switch {
	case !c.received && len(was) > 0 && len(is) == 0:
		c.say(path, "was one of %v, is anything", was)
	case c.received && len(is) > 0:
		for _, v := range was {
			if !slices.Contains(is, v) {
				c.say(path, "no longer takes %v", v)
			}
		}
		if len(was) == 0 {
			c.say(path, "was anything, is one of %v", is)
		}
	}
}

// at returns the object at a path, empty when there is none.
func at(o object, path ...string) object {
	for _, key := range path {
		o, _ = o[key].(object)
	}
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func keys(o object) []string { return slices.Sorted(maps.Keys(o)) }

// resolve follows references.
func resolve(document object, v any) object {
	o, _ := v.(object)
	for o["$ref"] != nil {
		ref, _ := o["$ref"].(string)
		o = at(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return o
}

// Each change is planted in a copy of the document, where it must be found, or not.
func TestBreaksAreFound(t *testing.T) {
	t.Parallel()
	schema := func(o object, name string) object { return at(o, "components", "schemas", name) }
	for name, test := range map[string]struct {
		change func(o object)
		breaks bool
	}{
		"nothing": {func(object) {}, false},
		"a field more": {func(o object) {
			at(schema(o, "Event"), "properties")["season"] = object{"type": "integer"}
		}, false},
		"a message more": {func(o object) {
			at(o, "channels", "activity", "messages")["more"] = object{"$ref": "#/components/messages/followed"}
		}, false},
		"an event type more": {func(o object) {
			kind := at(schema(o, "Event"), "properties", "type")
			kind["enum"] = append(list(kind["enum"]), "like")
		}, false},
		"more is required of what is sent": {func(o object) {
			s := schema(o, "Event")
			s["required"] = append(list(s["required"]), "session_id")
		}, false},
		"a field gone":          {func(o object) { delete(at(schema(o, "Event"), "properties"), "rating") }, true},
		"a field of every user": {func(o object) { delete(at(schema(o, "User"), "properties"), "name") }, true},
		"another type":          {func(o object) { at(schema(o, "Event"), "properties", "movie_id")["type"] = "string" }, true},
		"may be null":           {func(o object) { at(schema(o, "Event"), "properties", "movie_id")["type"] = []any{"integer", "null"} }, true},
		"no longer required":    {func(o object) { schema(o, "Event")["required"] = []any{"event_id"} }, true},
		"any type of event":     {func(o object) { delete(at(schema(o, "Event"), "properties", "type"), "enum") }, true},
		"another topic":         {func(o object) { at(o, "channels", "graph")["address"] = "kith.graph.v2" }, true},
		"a header gone": {func(o object) {
			delete(at(o, "components", "messages", "followed", "headers", "properties"), "ce_id")
		}, true},
		"a message gone": {func(o object) {
			send := at(o, "operations", "publishGraph")
			send["messages"] = list(send["messages"])[1:]
		}, true},
		"an operation gone": {func(o object) { delete(at(o, "operations"), "publishUsers") }, true},
		"less is required of what is received": {func(o object) {
			schema(o, "ContentChanged")["required"] = []any{"id"}
		}, false},
		"more is required of what is received": {func(o object) {
			s := schema(o, "ContentChanged")
			s["required"] = append(list(s["required"]), "streams")
		}, true},
		"a type of frame is refused": {func(o object) {
			at(schema(o, "ClientPingFrame"), "properties", "type")["enum"] = []any{"Ping"}
		}, true},
		"other fields are refused": {func(o object) { schema(o, "ContentChanged")["additionalProperties"] = false }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := described(t)
			test.change(changed)
			if found := breaks(described(t), changed); (len(found) > 0) != test.breaks {
				t.Errorf("found %q", found)
			}
		})
	}
}
