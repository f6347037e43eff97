package asyncapi

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"kith/streams"
	"kith/wire/payload"
)

// topic is a channel of Kafka with the messages on it.
type topic struct {
	key, name, title, description string
	action                        string
	messages                      map[string]*Message
}

func (d *Document) addTopics(b builder) {
	registered := record(b, "user.registered", "A user registered", ref[payload.UserState](b))
	updated := record(b, "user.updated", "Profile, preferences or privacy of a user changed", ref[payload.UserState](b))
	for _, t := range []topic{
		{
			key: "activity", name: streams.TopicActivity, title: "Behaviour events", action: ActionSend,
			description: "What users did with movies. Erased content lingers no longer than the topic's retention.",
			messages: map[string]*Message{
				"activityRecorded": record(b, "activity.recorded", "A behaviour event was recorded; its id alone when it was deleted before it was published", ref[payload.ActivityRecorded](b)),
				"activityDeleted":  record(b, "activity.deleted", "A behaviour event was deleted", ref[payload.ActivityDeleted](b)),
			},
		},
		{
			key: "graph", name: streams.TopicGraph, title: "Who follows whom and what", action: ActionSend,
			description: "From the follower's journal.",
			messages: map[string]*Message{
				"followed":         record(b, "followed", "A user follows another one", ref[payload.UserEdge](b)),
				"unfollowed":       record(b, "unfollowed", "A user no longer follows another one", ref[payload.UserEdge](b)),
				"crewFollowed":     record(b, "crew_followed", "A user follows a crew member", ref[payload.CrewEdge](b)),
				"crewUnfollowed":   record(b, "crew_unfollowed", "A user no longer follows a crew member", ref[payload.CrewEdge](b)),
				"studioFollowed":   record(b, "studio_followed", "A user follows a studio", ref[payload.StudioEdge](b)),
				"studioUnfollowed": record(b, "studio_unfollowed", "A user no longer follows a studio", ref[payload.StudioEdge](b)),
			},
		},
		{
			key: "users", name: streams.TopicUsers, title: "Users", action: ActionSend,
			description: "The whole user and what others may see of them, as of when the record was published: never older than the change. Counters are as of the last published change.",
			messages: map[string]*Message{
				"userRegistered": registered, "userUpdated": updated,
				"userDeleted": record(b, "user.deleted", "A user was deleted: forget them", ref[payload.UserDeleted](b)),
			},
		},
		{
			key: "usersLatest", name: streams.TopicLatestUsers, title: "The newest of each user", action: ActionSend,
			description: "Compacted: read it from the start to know every user, then follow it.",
			messages: map[string]*Message{
				"userRegistered": registered, "userUpdated": updated,
				"userTombstone": tombstone(b),
			},
		},
		{
			key: "content", name: streams.TopicContent, title: "Content changes", action: ActionReceive,
			description: "What content services report, with any headers and any key; the key should be the uid, so that a user's changes stay in order.",
			messages: map[string]*Message{
				"contentChanged": {
					Name: "content.changed", Title: "The streams or videos of a user changed in number",
					Summary: "At most 4 KiB. Counted once for each uid and id; streams, videos or both.", Payload: changed(b),
				},
			},
		},
		{
			key: "deadLetter", name: streams.TopicDeadLetter, title: "Content changes that cannot be used", action: ActionSend,
			description: "Written at least once, before the change is passed by.",
			messages:    map[string]*Message{"deadLetter": letter(b)},
		},
	} {
		d.addTopic(&t)
	}
}

func (d *Document) addTopic(t *topic) {
	d.Channels[t.key] = Channel{
		Address: t.name, Title: t.title, Description: t.description, Servers: []Ref{{"#/servers/" + serverKafka}}, Messages: map[string]Ref{},
	}
	d.addMessages(t.key, t.messages)
	op := Operation{Action: t.action, Channel: Ref{"#/channels/" + t.key}, Summary: t.title}
	for _, key := range sorted(t.messages) {
		op.Messages = append(op.Messages, messageIn(t.key, key))
	}
	verb := "publish"
	if t.action == ActionReceive {
		verb = "consume"
	}
	d.Operations[verb+strings.ToUpper(t.key[:1])+t.key[1:]] = op
}

// record describes the records of one type.
func record(b builder, kind, title string, value *huma.Schema) *Message {
	headers := own[payload.Headers](b)
	oneOf(headers, "ce_type", kind)
	finish(headers)
	return &Message{Name: kind, Title: title, Summary: "ce_type " + kind, Headers: headers, Payload: value, Bindings: keyed()}
}

// keyed says what the keys of records are.
func keyed() any {
	return map[string]any{"kafka": map[string]any{
		"key": &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{32}$", Description: "The uid"}, "bindingVersion": "0.5.0",
	}}
}

// tombstone describes what makes the compacted topic forget a user: one who was
// deleted, or was gone before the change was published.
func tombstone(b builder) *Message {
	m := record(b, "user.deleted", "A user is gone: forget them", &huma.Schema{Type: "null"})
	m.Name, m.Summary = "user.tombstone", "A record without a value; ce_type is that of the change"
	oneOf(m.Headers, "ce_type", "user.registered", "user.updated", "user.deleted")
	finish(m.Headers)
	return m
}

// changed describes what content services write: one of the numbers at least.
func changed(b builder) *huma.Schema {
	s := own[payload.ContentChanged](b)
	s.AnyOf = []*huma.Schema{{Type: huma.TypeObject, Required: []string{"streams"}}, {Type: huma.TypeObject, Required: []string{"videos"}}}
	for _, either := range s.AnyOf {
		either.PrecomputeMessages()
	}
	return b.name("ContentChanged", s)
}

// letter describes a record that cannot be used, as it was.
func letter(b builder) *Message {
	headers := own[payload.LetterHeaders](b)
	finish(headers)
	return &Message{
		Name: "content.dead", Title: "A content change that cannot be used", Summary: "Key and value are those that it had, whatever they are",
		ContentType: "application/octet-stream", Headers: headers, Payload: &huma.Schema{Description: "Any bytes, the first 64 KiB; none at all when it had no value"},
	}
}
