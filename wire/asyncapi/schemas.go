package asyncapi

import (
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/wire/payload"
)

const schemasPrefix = "#/components/schemas/"

// builder makes schemas from types.
type builder struct{ schemas huma.Registry }

func newBuilder() builder {
	return builder{huma.NewMapRegistry(schemasPrefix, huma.DefaultSchemaNamer)}
}

// ref returns a reference to the schema of T.
func ref[T any](b builder) *huma.Schema {
	return b.schemas.Schema(reflect.TypeFor[T](), true, "")
}

// own returns a schema of T that is nobody else's.
func own[T any](b builder) *huma.Schema {
	s := huma.SchemaFromType(b.schemas, reflect.TypeFor[T]())
	s.AdditionalProperties = nil
	return s
}

// name keeps a schema under a name and returns a reference to it.
func (b builder) name(name string, s *huma.Schema) *huma.Schema {
	b.schemas.Map()[name] = s
	return &huma.Schema{Ref: schemasPrefix + name}
}

// oneOf says which values a property has.
func oneOf[S ~string](s *huma.Schema, property string, values ...S) {
	p := s.Properties[property]
	p.Enum = nil
	for _, v := range values {
		p.Enum = append(p.Enum, string(v))
	}
}

// without takes a property out of an object.
func without(s *huma.Schema, property string) {
	delete(s.Properties, property)
	s.Required = slices.DeleteFunc(slices.Clone(s.Required), func(r string) bool { return r == property })
}

// require says that properties are always there.
func require(s *huma.Schema, properties ...string) {
	s.Required = append(slices.Clone(s.Required), properties...)
}

// complete says what the types do not: what is in raw fields, and the bounds of
// what the types of package wire hold. Whoever reads what Kith says must ignore fields
// that are not described, so none is ruled out.
func (b builder) complete() {
	ref[payload.User](b)
	schemas := b.schemas.Map()
	oneOf(schemas["Event"], "type", user.ActivityView, user.ActivityRating, user.ActivityWatchlistAdd, user.ActivityWatchlistRemove, user.ActivityReview)
	event := schemas["Event"].Properties
	event["event_id"].Pattern = "^[A-Za-z0-9_-]{1,64}$"
	event["movie_id"].Minimum = new(1.0)
	event["rating"].Minimum, event["rating"].Maximum = new(0.0), new(10.0)
	event["rating"].Description = "At most one decimal"
	event["review"].MaxLength = new(10_000)
	event["event_details"].Type = huma.TypeObject
	event["session_id"].MaxLength = new(128)
	for p := range maps.Values(schemas["Context"].Properties) {
		p.MaxLength = new(256)
	}
	for s := range maps.Values(schemas) {
		s.AdditionalProperties = nil
		finish(s)
	}
}

// finish points a raw user at what is in it, and makes a schema ready to be held
// against values.
func finish(s *huma.Schema) {
	if p := s.Properties["user"]; p != nil && p.Type == "" {
		p.Ref = schemasPrefix + "User"
	}
	s.PrecomputeMessages()
	for p := range maps.Values(s.Properties) {
		p.PrecomputeMessages()
	}
}
