package asyncapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"kith/gateway/live"
	"kith/wire"
	"kith/wire/payload"
)

const channelSocket = "socket"

const socketDescription = "The first frame from the server is `ready`. Authorise with the `Authorization` header (refused: 401 instead of the upgrade) " +
	"or, from a browser, with a first frame `auth` within 5 s. Resume with the newest cursor, in the query or in that frame: " +
	"what was missed comes first, then what happens; what was sent after the cursor may come again with the same id.\n\n" +
	"Close codes: 1001 going away, 4001 not authorised, 4002 token expired, 4003 session ended or account deleted, 4004 malformed frame, " +
	"4008 too slow, 4009 too many sockets."

// addSocket adds what the server says.
func (d *Document) addSocket(b builder) {
	about := func(kind, title string) *Message { return told[payload.About](b, kind, title) }
	sent := map[string]*Message{
		live.TypeReady:            plain[payload.Ready](b, live.TypeReady, "The stream begins, or goes on"),
		live.TypeActivity:         told[wire.Activity](b, live.TypeActivity, "Somebody who is followed or watched did something"),
		live.TypeActivityDeleted:  told[payload.ActivityDeleted](b, live.TypeActivityDeleted, "They took it back"),
		live.TypeProfileUpdated:   about(live.TypeProfileUpdated, "The user, or somebody followed or watched, changed"),
		live.TypeFollowerAdded:    about(live.TypeFollowerAdded, "Somebody follows the user"),
		live.TypeFollowerRemoved:  about(live.TypeFollowerRemoved, "Somebody no longer follows the user"),
		live.TypeFollowingAdded:   about(live.TypeFollowingAdded, "The user follows somebody, perhaps on another device"),
		live.TypeFollowingRemoved: about(live.TypeFollowingRemoved, "The user no longer follows somebody"),
		live.TypeCounters:         plain[payload.Counters](b, live.TypeCounters, "The newest counters; older ones may be left out"),
		live.TypeCursor:           plain[payload.Cursor](b, live.TypeCursor, "Where to resume, at least every second while frames flow"),
		live.TypeAuthExpiring:     plain[payload.Expiring](b, live.TypeAuthExpiring, "The token ends soon: send auth"),
		live.TypeGap:              plain[payload.Gap](b, live.TypeGap, "The cursor is too old: frames since then are missing"),
		live.TypeError:            refusal(b),
		live.TypePong:             pong(b),
	}
	d.Channels[channelSocket] = Channel{
		Address: "/ws", Title: "The live stream of a user", Description: socketDescription,
		Servers: []Ref{{"#/servers/" + serverSocket}}, Messages: map[string]Ref{}, Bindings: handshake(),
	}
	d.Operations["sendFrames"] = d.frames(ActionSend, "What happens, as it happens", "", sent)
}

// addClient adds what a client says to the socket.
func (d *Document) addClient(b builder) {
	received := map[string]*Message{
		string(live.ClientPing):    asked[payload.Plain](b, live.ClientPing, "Answered with pong"),
		string(live.ClientAuth):    asked[payload.Auth](b, live.ClientAuth, "Authorises, in the first frame, or renews, without a cursor"),
		string(live.ClientWatch):   asked[payload.Watch](b, live.ClientWatch, "Follows a user's visible activity, profile and counters on this connection, up to 100"),
		string(live.ClientUnwatch): asked[payload.Watch](b, live.ClientUnwatch, "Ends that"),
		string(live.ClientCursor):  asked[payload.Plain](b, live.ClientCursor, "Asks for a cursor"),
	}
	d.Operations["receiveFrames"] = d.frames(ActionReceive, "What a client says", "client.", received)
}

// frames adds the frames of one side and returns the operation that moves them.
func (d *Document) frames(action, summary, prefix string, frames map[string]*Message) Operation {
	op := Operation{Action: action, Channel: Ref{"#/channels/" + channelSocket}, Summary: summary}
	keyed := make(map[string]*Message, len(frames))
	for _, kind := range sorted(frames) {
		key := frameName(prefix + kind)
		keyed[key] = frames[kind]
		op.Messages = append(op.Messages, messageIn(channelSocket, key))
	}
	d.addMessages(channelSocket, keyed)
	return op
}

// frameName makes a name of a type: activity.deleted becomes ActivityDeletedFrame.
func frameName(kind string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(kind, ".") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String() + "Frame"
}

// frame describes frames of one type.
func frame[D any](b builder, kind string) *huma.Schema {
	s := own[payload.Frame[D]](b)
	oneOf(s, "type", kind)
	return s
}

func (b builder) message(kind, title string, s *huma.Schema) *Message {
	return &Message{Name: kind, Title: title, Summary: "type " + kind, Payload: b.name(frameName(kind), s)}
}

// told describes frames that name a record.
func told[D any](b builder, kind, title string) *Message {
	s := frame[D](b, kind)
	require(s, "id", "time", "data")
	return b.message(kind, title, s)
}

// plain describes frames that do not.
func plain[D any](b builder, kind, title string) *Message {
	s := frame[D](b, kind)
	without(s, "id")
	without(s, "time")
	require(s, "data")
	return b.message(kind, title, s)
}

func pong(b builder) *Message {
	s := frame[any](b, live.TypePong)
	without(s, "id")
	without(s, "time")
	without(s, "data")
	return b.message(live.TypePong, "The answer to ping", s)
}

func refusal(b builder) *Message {
	m := plain[payload.Refusal](b, live.TypeError, "What the client said was refused and changed nothing")
	oneOf(b.schemas.Map()["Refusal"], "code", live.CodeUnknownType, live.CodeBadField, live.CodeBadCursor,
		live.CodeUnauthorised, live.CodeUserNotFound, live.CodeTooManyWatches, live.CodeUnavailable)
	return m
}

// asked describes frames of the client. A field that does not belong to them is
// refused.
func asked[F any](b builder, kind live.ClientType, title string) *Message {
	s := own[F](b)
	s.AdditionalProperties = false
	oneOf(s, "type", kind)
	finish(s)
	return &Message{Name: "client." + string(kind), Title: title, Summary: "type " + string(kind) + ", from the client", Payload: b.name(frameName("client."+string(kind)), s)}
}

// handshake describes the request that opens the socket.
func handshake() any {
	return map[string]any{"ws": map[string]any{
		"method": "GET",
		"query": &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{
			"cursor": {Type: huma.TypeString, Description: "Where to resume; tokens are refused here"},
		}},
		"bindingVersion": "0.1.0",
	}}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
