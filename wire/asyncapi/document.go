package asyncapi

import "github.com/danielgtaylor/huma/v2"

// Document is an AsyncAPI 3.0 document, as far as this one goes.
type Document struct {
	AsyncAPI           string               `json:"asyncapi"`
	Info               Info                 `json:"info"`
	DefaultContentType string               `json:"defaultContentType"`
	Servers            map[string]Server    `json:"servers"`
	Channels           map[string]Channel   `json:"channels"`
	Operations         map[string]Operation `json:"operations"`
	Components         Components           `json:"components"`
}

// Info says what is described.
type Info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

// Server is where channels are.
type Server struct {
	Host        string              `json:"host"`
	Protocol    string              `json:"protocol"`
	Description string              `json:"description"`
	Variables   map[string]Variable `json:"variables,omitempty"`
	Security    []Ref               `json:"security,omitempty"`
}

// Variable is a part of a host that operators choose.
type Variable struct {
	Default     string `json:"default"`
	Description string `json:"description"`
}

// Ref points at a part of the document.
type Ref struct {
	Ref string `json:"$ref"`
}

// Channel is a topic, or the socket.
type Channel struct {
	Address     string         `json:"address"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Servers     []Ref          `json:"servers"`
	Messages    map[string]Ref `json:"messages"`
	Bindings    any            `json:"bindings,omitempty"`
}

// Operation says what Kith does with a channel.
type Operation struct {
	Action   string `json:"action"` // send or receive
	Channel  Ref    `json:"channel"`
	Summary  string `json:"summary"`
	Messages []Ref  `json:"messages"`
}

// The actions of operations: what Kith does.
const (
	ActionSend    = "send"
	ActionReceive = "receive"
)

// Components are the parts that others point at.
type Components struct {
	Messages        map[string]*Message       `json:"messages"`
	Schemas         huma.Registry             `json:"schemas"`
	SecuritySchemes map[string]map[string]any `json:"securitySchemes"`
}

// Message is a kind of record or of frame.
type Message struct {
	Name        string       `json:"name"`
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	ContentType string       `json:"contentType,omitempty"` // when it is another than the document says
	Headers     *huma.Schema `json:"headers,omitempty"`     // of a record
	Payload     *huma.Schema `json:"payload"`
	Bindings    any          `json:"bindings,omitempty"`
}

const description = "What Kith says without being asked.\n\n" +
	"**Topics.** CloudEvents 1.0 in binary mode: the key is the uid, `ce_id` is `<uid>/<seq>`. In order per uid, `seq` rising with gaps. " +
	"At least once: the same `ce_id` may come again. Nothing is published that was not committed, and every committed record of a published kind is.\n\n" +
	"**The socket.** Text frames, one JSON object each. An `id` names the record that a frame tells of, the same as in `ce_id`, in the feed and in the notifications.\n\n" +
	"Objects may have more fields than are described, and fields may be added: ignore what you do not know."

// The keys of the servers.
const (
	serverKafka  = "kafka"
	serverSocket = "http"
)

const schemeBearer = "bearer"

// New makes the document of a version of Kith.
func New(version string) *Document {
	b := newBuilder()
	d := &Document{
		AsyncAPI: "3.0.0", Info: Info{Title: "Kith", Version: version, Description: description}, DefaultContentType: "application/json",
		Servers: map[string]Server{
			serverKafka: {
				Host: "{address}", Protocol: "kafka", Description: "The embedded broker, or the brokers of KITH_KAFKA_BROKERS.",
				Variables: map[string]Variable{"address": {Default: "localhost:9092", Description: "KITH_KAFKA_LISTEN or KITH_KAFKA_BROKERS"}},
			},
			serverSocket: {
				Host: "{address}", Protocol: "ws", Description: "Where REST is, too; wss behind a proxy that ends TLS.",
				Variables: map[string]Variable{"address": {Default: "localhost:8080", Description: "KITH_HTTP_ADDR"}},
				Security:  []Ref{{"#/components/securitySchemes/" + schemeBearer}},
			},
		},
		Channels: map[string]Channel{}, Operations: map[string]Operation{},
		Components: Components{
			Messages: map[string]*Message{}, Schemas: b.schemas,
			SecuritySchemes: map[string]map[string]any{schemeBearer: {
				"type": "http", "scheme": "bearer", "bearerFormat": "JWT",
				"description": "The token of a login as Authorization header. Where none can be set, the first frame is auth instead.",
			}},
		},
	}
	d.addTopics(b)
	d.addSocket(b)
	b.complete()
	d.addClient(b) // afterwards: what clients say is not open to more fields
	return d
}

// addMessages puts messages into a channel, by their keys in the document.
func (d *Document) addMessages(channel string, messages map[string]*Message) {
	for key, m := range messages {
		d.Components.Messages[key] = m
		d.Channels[channel].Messages[key] = Ref{"#/components/messages/" + key}
	}
}

// messageIn points at a message of a channel.
func messageIn(channel, key string) Ref {
	return Ref{"#/channels/" + channel + "/messages/" + key}
}
