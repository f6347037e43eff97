package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway"
	"kith/persistence"
)

// record posts events.
func (w *world) record(tb testing.TB, token, body string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPost, path: "/users/self/events", token: token, body: body})
}

func TestAnEventIsRecordedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	const sent = `{"event_id":"e-1","type":"review","movie_id":9007199254740993,"rating":8.5,"review":"fine\n","event_details":{ "a": [1] },"session_id":"s",` +
		`"context":{"source_page":"home","source_section":"top"},"occurred_at":"2024-01-15T12:29:00.0000001+02:00","unknown":1}`
	const stored = `{"event_id":"e-1","type":"review","movie_id":9007199254740993,"rating":8.5,"review":"fine\n","event_details":{"a":[1]},"session_id":"s",` +
		`"context":{"source_page":"home","source_section":"top"},"occurred_at":"2024-01-15T10:29:00Z","recorded_at":"2024-01-15T10:30:00Z"}`
	if got := w.record(t, token, sent).is(t, 201); got.Body.String() != `{"status":"success","event":`+stored+"}\n" {
		t.Error(got.Body)
	}
	w.pass(30 * time.Minute)
	for _, again := range []string{sent, `{"event_id":"e-1","type":"view","movie_id":5}`} { // the first one stays
		if got := w.record(t, token, again).is(t, 200); got.Body.String() != `{"status":"success","event":`+stored+"}\n" {
			t.Error(got.Body)
		}
	}
	if got := w.get(t, token, "/users/self/events").is(t, 200); strings.TrimSpace(got.Body.String()) != `{"status":"success","events":[`+stored+`],"count":1,"next_cursor":null}` {
		t.Error(got.Body)
	}
	// Without an id each is another.
	ids := map[any]bool{}
	for range 2 {
		got := w.record(t, token, `{"event_id":null,"type":"view","movie_id":5}`).is(t, 201)
		e, _ := got.body["event"].(map[string]any)
		id, _ := e["event_id"].(string)
		ids[id] = true
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) || e["occurred_at"] != "2024-01-15T11:00:00Z" {
			t.Error(got.Body)
		}
	}
	if len(ids) != 2 {
		t.Errorf("ids %v", ids)
	}
}

func TestADeletedEventStaysDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	bob := w.join(t, "bob")
	w.record(t, token, `{"event_id":"a","type":"view","movie_id":1}`).is(t, 201)
	w.record(t, bob, `{"event_id":"b","type":"view","movie_id":1}`).is(t, 201)
	del := func(id string) reply {
		return w.call(t, call{method: http.MethodDelete, path: "/users/self/events/" + id, token: token})
	}
	if got := del("a").is(t, 200); got.Body.String() != `{"status":"success","message":"Event deleted successfully"}`+"\n" {
		t.Error(got.Body)
	}
	for _, id := range []string{"a", "b", "never"} {
		del(id).refused(t, 404, "event_not_found", "Event not found")
	}
	for _, id := range []string{"a.b", "%20", "%C3%A9", strings.Repeat("a", 65)} {
		del(id).refused(t, 400, "invalid_event_id", "Event id must be 1 to 64 letters, digits, underscores or hyphens")
	}
	w.record(t, token, `{"event_id":"a","type":"view","movie_id":1}`).refused(t, 409, "event_deleted", "Event was deleted")
	if got := w.get(t, token, "/users/self/events").is(t, 200); got.body["count"] != 0.0 {
		t.Error(got.Body)
	}
	if got := w.record(t, token, `{"events":[{"event_id":"a","type":"view","movie_id":1}]}`).is(t, 200); got.Body.String() !=
		`{"status":"success","results":[{"event_id":"a","status":"invalid","message":"Event was deleted"}]}`+"\n" {
		t.Error(got.Body)
	}
}

func TestEventsOfABatchAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	w.record(t, token, `{"event_id":"old","type":"view","movie_id":1}`).is(t, 201)
	got := w.record(t, token, `{"type":7,"events":[{"event_id":"a","type":"view","movie_id":1},{"event_id":"old","type":"view","movie_id":2},`+
		`{"event_id":"bad","type":"rating","movie_id":1},{"event_id":"not valid","type":"view","movie_id":1},{"event_id":"typed","type":"view","movie_id":"1"},`+
		`7,null,{"event_id":"a","type":"view","movie_id":3},{"event_id":"z","type":"review","movie_id":9,"review":"r"}]}`).is(t, 200)
	const want = `{"status":"success","results":[{"event_id":"a","status":"created"},{"event_id":"old","status":"duplicate"},` +
		`{"event_id":"bad","status":"invalid","message":"Rating is required"},` +
		`{"event_id":"not valid","status":"invalid","message":"Event id must be 1 to 64 letters, digits, underscores or hyphens"},` +
		`{"event_id":"typed","status":"invalid","message":"Invalid request body: movie_id must be an integer"},` +
		`{"event_id":"","status":"invalid","message":"Invalid request body"},{"event_id":"","status":"invalid","message":"Invalid request body"},` +
		`{"event_id":"a","status":"duplicate"},{"event_id":"z","status":"created"}]}`
	if strings.TrimSpace(got.Body.String()) != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	if got := w.get(t, token, "/users/self/events").is(t, 200); !slices.Equal(eventIDs(got), []string{"z", "a", "old"}) {
		t.Error(got.Body)
	}
	// Nothing valid needs no grain.
	commands := w.commands
	w.record(t, token, `{"events":[1]}`).is(t, 200)
	if w.commands != commands {
		t.Error("a command for nothing")
	}
	one := `{"type":"view","movie_id":1}`
	if got := w.record(t, token, `{"events":[`+one+strings.Repeat(","+one, 499)+`]}`).is(t, 200); strings.Count(got.Body.String(), `"created"`) != 500 {
		t.Error(got.Body)
	}
	for _, events := range []string{"", one + strings.Repeat(","+one, 500)} {
		w.record(t, token, `{"events":[`+events+`]}`).refused(t, 400, "invalid_events", "Events must be 1 to 500")
	}
	for body, detail := range map[string]string{
		`{"events":7}`: "events must be a list", `{"events":{}}`: "events must be a list", `[]`: "", `{"events":[{}]`: "",
		`{"events":[{}],"other":"\ud800"}`: "", `{"\ud800":1,"events":[{}]}`: "", "{\"events\":[\"\xff]}": "",
	} {
		if got := w.record(t, token, body).refused(t, 400, "invalid_body", "Invalid request body"); got.text("detail") != detail {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	w.record(t, token, `{"events":null,"type":"view","movie_id":1}`).is(t, 201) // null is absent
}

// What is no text in one event is that event's fault alone.
func TestEventsOfABatchThatAreNoText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	got := w.record(t, token, `{"events":[{"event_id":"a","type":"view","movie_id":1},{"event_id":"b","type":"review","movie_id":1,"review":"\ud800"},`+
		"{\"event_id\":\"c\",\"type\":\"review\",\"movie_id\":1,\"review\":\"\xff\"},{\"\xff\":1,\"event_id\":\"d\"},\"\xff\","+
		`{"other":{"\ud800":1},"type":"view","movie_id":1,"event_id":"e"},{"event_id":"\ud800","type":"view","movie_id":1},{"event_id":"z","type":"view","movie_id":1}]}`).is(t, 200)
	const want = `{"status":"success","results":[{"event_id":"a","status":"created"},` +
		`{"event_id":"b","status":"invalid","message":"Invalid request body: review must not contain a lone surrogate"},` +
		`{"event_id":"c","status":"invalid","message":"Invalid request body: review must be valid UTF-8"},` +
		`{"event_id":"d","status":"invalid","message":"Invalid request body"},{"event_id":"","status":"invalid","message":"Invalid request body"},` +
		`{"event_id":"e","status":"invalid","message":"Invalid request body"},` +
		`{"event_id":"","status":"invalid","message":"Invalid request body: event_id must not contain a lone surrogate"},{"event_id":"z","status":"created"}]}`
	if strings.TrimSpace(got.Body.String()) != want {
		t.Errorf("got  %s\nwant %s", got.Body, want)
	}
	if got := w.get(t, token, "/users/self/events").is(t, 200); !slices.Equal(eventIDs(got), []string{"z", "a"}) {
		t.Error(got.Body)
	}
}

// Whoever sent an event that is not valid can tell which it was.
func TestTheIDOfAnEventThatIsNotValidIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for event, want := range map[string]string{
		`{"event_id":"first","movie_id":"x"}`:                   "first",
		`{"movie_id":"x","event_id":"last"}`:                    "last",
		`{"movie_id":"x","event_id":"a","event_id":"b"}`:        "b",
		`{"movie_id":"x","event_id":"a","event_id":null}`:       "",
		`{"movie_id":"x","EVENT_ID":"a"}`:                       "",
		`{"type":"view","movie_id":1,"event_id":"no rule <&>"}`: "no rule <&>",
		`{"movie_id":"x","event_id":"\ud83d\ude00"}`:            "😀",
		`{"event_id":"` + strings.Repeat("é", 64) + `"}`:        strings.Repeat("é", 64),
		`{"event_id":"` + strings.Repeat("é", 65) + `"}`:        "",
		`{"event_id":7}`:                  "",
		`{"event_id":["a"],"movie_id":1}`: "",
		`{"event_id":""}`:                 "",
		`{}`:                              "",
		`{"type":"view","movie_id":1,"event_details":1,"event_id":"k"}`: "k",
	} {
		got := w.record(t, token, `{"events":[`+event+`]}`).is(t, 200)
		results, _ := got.body["results"].([]any)
		result, _ := results[0].(map[string]any)
		if result["event_id"] != want || result["status"] != "invalid" {
			t.Errorf("%s: %s", event, got.Body)
		}
	}
}

func eventIDs(r reply) (ids []string) {
	for _, m := range regexp.MustCompile(`"event_id":"([^"]+)"`).FindAllStringSubmatch(r.Body.String(), -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestEventsThatAreNotValid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	for body, want := range map[string][2]string{
		`{"movie_id":1}`:                                                                                           {"type", "Type must be view, rating, watchlist_add, watchlist_remove or review"},
		`{"type":"VIEW","movie_id":1}`:                                                                             {"type", "Type must be view, rating, watchlist_add, watchlist_remove or review"},
		`{"type":"view"}`:                                                                                          {"movie_id", "Movie id must be a positive 64-bit integer"},
		`{"type":"view","movie_id":0}`:                                                                             {"movie_id", "Movie id must be a positive 64-bit integer"},
		`{"type":"view","movie_id":1e19}`:                                                                          {"movie_id", "movie_id must be an integer"},
		`{"type":"view","movie_id":9223372036854775808}`:                                                           {"movie_id", "movie_id must be an integer"},
		`{"type":"rating","movie_id":1}`:                                                                           {"rating", "Rating is required"},
		`{"type":"rating","movie_id":1,"rating":null}`:                                                             {"rating", "Rating is required"},
		`{"type":"rating","movie_id":1,"rating":10.1}`:                                                             {"rating", "Rating must be from 0 to 10 with at most one decimal"},
		`{"type":"rating","movie_id":1,"rating":-1}`:                                                               {"rating", "Rating must be from 0 to 10 with at most one decimal"},
		`{"type":"rating","movie_id":1,"rating":7.25}`:                                                             {"rating", "Rating must be from 0 to 10 with at most one decimal"},
		`{"type":"rating","movie_id":1,"rating":"8"}`:                                                              {"rating", "rating must be a number"},
		`{"type":"view","movie_id":1,"rating":8}`:                                                                  {"rating", "Rating is allowed only for a rating or a review"},
		`{"type":"review","movie_id":1}`:                                                                           {"review", "Review is required"},
		`{"type":"review","movie_id":1,"review":"a\u0001"}`:                                                        {"review", "review must not contain control characters"},
		`{"type":"review","movie_id":1,"review":"a\ud800"}`:                                                        {"review", "review must not contain a lone surrogate"},
		"{\"type\":\"review\",\"movie_id\":1,\"review\":\"\xff\"}":                                                 {"review", "review must be valid UTF-8"},
		`{"other":"\ud800","review":"\udfff","type":"review","movie_id":1}`:                                        {"review", "review must not contain a lone surrogate"},
		`{"type":"view","movie_id":1,"context":{"source_page":"\ud800"}}`:                                          {"context.source_page", "context.source_page must not contain a lone surrogate"},
		`{"type":"view","movie_id":1,"event_details":{"a":"\ud800"}}`:                                              {"event_details", "event_details must not contain a lone surrogate"},
		`{"type":"view","movie_id":1,"event_details":[]}`:                                                          {"event_details", "event_details must be an object"},
		`{"type":"view","movie_id":1,"event_details":{"a":"\n"}}`:                                                  {"event_details", "Event details must not contain control characters"},
		`{"type":"view","movie_id":1,"session_id":"` + strings.Repeat("s", 129) + `"}`:                             {"session_id", "Session id must be at most 128 characters"},
		`{"type":"view","movie_id":1,"context":{"source_page":"` + strings.Repeat("s", 257) + `"}}`:                {"context.source_page", "Source page must be at most 256 characters"},
		`{"type":"view","movie_id":1,"context":7}`:                                                                 {"context", "context must be an object"},
		`{"type":"view","movie_id":1,"context":{"source_section":7}}`:                                              {"context.source_section", "context.source_section must be a string"},
		`{"type":"view","movie_id":1,"occurred_at":"2024-01-15T10:31:01Z"}`:                                        {"occurred_at", "Time must be at most 1 minute ahead"},
		`{"type":"view","movie_id":1,"occurred_at":"2023-12-16T10:29:59Z"}`:                                        {"occurred_at", "Time must be at most 30 days back"},
		`{"type":"view","movie_id":1,"occurred_at":"yesterday"}`:                                                   {"occurred_at", "occurred_at must be a time of RFC 3339"},
		`{"type":"view","movie_id":1,"occurred_at":1705314600}`:                                                    {"occurred_at", "occurred_at must be a time of RFC 3339"},
		`{"event_id":"","type":"view","movie_id":1}`:                                                               {"event_id", "Event id must be 1 to 64 letters, digits, underscores or hyphens"},
		`{"event_id":"` + strings.Repeat("e", 65) + `","type":"view","movie_id":1}`:                                {"event_id", "Event id must be 1 to 64 letters, digits, underscores or hyphens"},
		`{"event_id":7,"type":"view","movie_id":1}`:                                                                {"event_id", "event_id must be a string"},
		`{"type":"review","movie_id":1,"review":"` + strings.Repeat("x", 10001) + `"}`:                             {"review", "Review must be at most 10000 characters"},
		`{"type":"view","movie_id":1,"event_details":{"a":"` + strings.Repeat("x", 4096-len(`{"a":""}`)+1) + `"}}`: {"event_details", "Event details must be at most 4096 bytes"},
	} {
		message, detail := want[1], ""
		if strings.HasPrefix(want[1], want[0]+" ") { // what the field must be, not a rule of events
			message, detail = "Invalid request body", want[1]
		}
		if got := w.record(t, token, body).is(t, 400); got.body["field"] != want[0] || got.body["message"] != message || got.text("detail") != detail {
			t.Errorf("%.200s: %s", body, got.Body)
		}
	}
	for _, body := range []string{
		`{"type":"rating","movie_id":9223372036854775807,"rating":0}`, `{"type":"rating","movie_id":1,"rating":1e1}`, `{"type":"review","movie_id":1,"review":"` + strings.Repeat("é", 10000) + `"}`,
		`{"type":"view","movie_id":1,"occurred_at":"2024-01-15T10:31:00Z","context":null,"event_details":null,"session_id":null}`,
	} {
		w.record(t, token, body).is(t, 201)
	}
}

func TestOneEventIsSmallAndABatchIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	padded := func(head string, n int) string { return head + strings.Repeat("x", n-len(head)-2) + `"}` }
	single, batch := `{"type":"view","movie_id":1,"other":"`, `{"events":[{"type":"view","movie_id":1}],"other":"`
	w.record(t, token, padded(single, 64<<10)).is(t, 201)
	w.record(t, token, padded(single, 64<<10+1)).refused(t, 413, "body_too_large", "Request body too large")
	w.record(t, token, padded(batch, 1<<20)).is(t, 200)
	for _, known := range []int64{0, -1} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/users/self/events", strings.NewReader(padded(batch, 1<<20+1)))
		r.Header.Set("Authorization", "Bearer "+token)
		if known < 0 {
			r.ContentLength = known
		}
		w.send(t, r).refused(t, 413, "body_too_large", "Request body too large")
	}
	w.call(t, call{method: http.MethodPost, path: "/users/self/events", token: token, body: "{}", header: []string{"Content-Type", "text/plain"}}).is(t, 415)
}

func TestEventsAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	types := []string{"view", "rating", "watchlist_add", "watchlist_remove", "review"}
	var all []string
	for i := range 30 {
		w.pass(time.Second)
		w.record(t, token, fmt.Sprintf(`{"event_id":"e%02d","type":"%s","movie_id":%d,"rating":%s,"review":%s}`, i, types[i%5], i%3+1,
			map[bool]string{true: "5", false: "null"}[i%5 == 1], map[bool]string{true: `"r"`, false: "null"}[i%5 == 4])).is(t, 201)
		all = append([]string{fmt.Sprintf("e%02d", i)}, all...)
	}
	only := func(keep func(i int) bool) (ids []string) {
		for _, id := range all {
			var i int
			if _, err := fmt.Sscanf(id, "e%02d", &i); err == nil && keep(i) {
				ids = append(ids, id)
			}
		}
		return ids
	}
	for query, want := range map[string][]string{
		"":                           all,
		"type=view":                  only(func(i int) bool { return i%5 == 0 }),
		"movie_id=2":                 only(func(i int) bool { return i%3 == 1 }),
		"type=review&movie_id=3":     only(func(i int) bool { return i%5 == 4 && i%3 == 2 }),
		"movie_id=99":                nil,
		"type=rating&x=y&movie_id=1": only(func(i int) bool { return i%5 == 1 && i%3 == 0 }),
	} {
		for _, limit := range []int{1, 3, 30, 100} {
			for _, scan := range []int{0, 4} { // with short pages, too
				w.maxScan = scan
				var got []string
				path := fmt.Sprintf("/users/self/events?%s&limit=%d", query, limit)
				for path != "" {
					page := w.get(t, token, path).is(t, 200)
					ids := eventIDs(page)
					if len(ids) > limit || page.body["count"] != float64(len(ids)) {
						t.Fatalf("%s: %s", path, page.Body)
					}
					got = append(got, ids...)
					link := page.Header().Get("Link")
					if path = ""; link != "" {
						path = link[1:strings.Index(link, ">")]
					}
					if (page.body["next_cursor"] != nil) != (path != "") {
						t.Fatalf("cursor %v, link %q", page.body["next_cursor"], link)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s by %d: %v, want %v", query, limit, got, want)
				}
			}
		}
	}
	w.maxScan = 0
	for query, want := range map[string][2]string{
		"type=": {"invalid_type", "Type must be view, rating, watchlist_add, watchlist_remove or review"}, "type=views": {"invalid_type", "Type must be view, rating, watchlist_add, watchlist_remove or review"},
		"type=view&type=view": {"invalid_type", "Type must be view, rating, watchlist_add, watchlist_remove or review"},
		"movie_id=":           {"invalid_movie_id", "Movie id must be a positive 64-bit integer"}, "movie_id=0": {"invalid_movie_id", "Movie id must be a positive 64-bit integer"},
		"movie_id=1&movie_id=1": {"invalid_movie_id", "Movie id must be a positive 64-bit integer"}, "movie_id=9223372036854775808": {"invalid_movie_id", "Movie id must be a positive 64-bit integer"},
		"limit=0": {"invalid_limit", "Limit must be from 1 to 100"}, "cursor=x": {"invalid_cursor", "Invalid cursor"}, "type=%zz": {"invalid_query", "Invalid query string"},
	} {
		w.get(t, token, "/users/self/events?"+query).refused(t, 400, want[0], want[1])
	}
	next, _ := w.get(t, token, "/users/self/events?limit=1").body["next_cursor"].(string)
	bob := w.join(t, "bob")
	w.get(t, bob, "/users/self/events?cursor="+next).refused(t, 400, "invalid_cursor", "Invalid cursor")
	w.get(t, bob, "/users/alice/events?cursor="+next).is(t, 200)
	tag := w.get(t, token, "/users/self/events").Header().Get("ETag")
	get := call{method: http.MethodGet, path: "/users/self/events", token: token, header: []string{"If-None-Match", tag}}
	if got := w.call(t, get); got.Code != 304 {
		t.Error(got.Code)
	}
	w.call(t, call{method: http.MethodDelete, path: "/users/self/events/e29", token: token}).is(t, 200)
	w.call(t, get).is(t, 200)
}

func TestEventsWhenPartsFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	event := `{"event_id":"a","type":"view","movie_id":1}`
	w.failGrains = usergrain.ErrBusy
	w.record(t, token, event).refused(t, 503, "busy", "Too busy, try again")
	w.record(t, token, `{"events":[`+event+`]}`).refused(t, 503, "busy", "Too busy, try again")
	w.failGrains = nil
	w.failStores = errors.New("away")
	first := w.record(t, token, event) // recording asks nothing of them
	first.is(t, 201)
	w.record(t, token, event).is(t, 500) // again: what was recorded cannot be read
	w.get(t, token, "/users/self/events").is(t, 500)
	w.failStores = nil
	again := w.record(t, token, event)
	again.is(t, 200)
	if diff := cmp.Diff(first.body["event"], again.body["event"]); diff != "" {
		t.Errorf("told differently the second time (-first +second):\n%s", diff)
	}
	w.journals[1] = append(w.journals[1], persistence.Record{User: 1, Seq: 99, Kind: persistence.KindActivityRecorded, EventID: "x", Payload: []byte{0xff}})
	w.get(t, token, "/users/self/events").refused(t, 500, "internal_error", "Internal server error")
	w.record(t, "", event).is(t, 401)
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.record(t, token, event).refused(t, 404, "user_not_found", "User not found")
}

func FuzzEventBody(f *testing.F) {
	w := newWorld(f)
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"events":[]}`, `{"events":[{}]}`, `{"events":null}`, `{"events":[1,"a",null,[]]}`, `{"type":"view","movie_id":1}`, `{"events":[{"type":"rating","movie_id":1,"rating":1e1}]}`,
		`{"type":"review","movie_id":1,"review":"\ud83d\ude00","event_details":{"a":{"b":["\\u0000"]}},"context":{"source_page":null},"occurred_at":"2024-01-15T10:30:00Z"}`, `{"event_id":null,"rating":"x"}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		single, batch, err := gateway.ParseRecord(raw)
		if err == nil && single == (batch > 0) {
			t.Errorf("%q is one event: %v, a batch of %d", raw, single, batch)
		}
		a, err := w.server.ParseEvent(raw)
		if err != nil {
			return
		}
		if _, bad := user.ParseEventID(a.EventID); bad != nil || a.MovieID <= 0 || a.OccurredAt.IsZero() {
			t.Errorf("%q is read as %+v", raw, a)
		}
		kind, id, payload, err := usergrain.EncodeEvent(user.ActivityRecorded{Activity: a, At: w.now})
		if err != nil {
			t.Fatalf("%q cannot be stored: %v", raw, err)
		}
		if _, err := usergrain.DecodeRecord(&persistence.Record{User: 1, Seq: 1, Kind: kind, EventID: id, Payload: payload, At: w.now}); err != nil {
			t.Errorf("%q is stored and cannot be read: %v", raw, err)
		}
	})
}
