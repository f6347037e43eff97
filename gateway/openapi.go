package gateway

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"kith/actors/user"
	"kith/persistence"
)

// examplesJSON holds examples of requests and of successes, by operation: first
// "request", then each status, by name.
//
//go:embed examples.json
var examplesJSON []byte

type examples map[string]map[string]map[string]json.RawMessage

const apiDescription = "Accounts, profiles, follows and behaviour events of a social backend.\n\n" +
	"Every answer is JSON: `{\"status\":\"success\", …}` or `{\"status\":\"error\",\"message\",\"code\",\"request_id\"}`. " +
	"With `Accept: application/problem+json` an error is RFC 9457 instead. Field names are snake_case, times RFC 3339 in UTC.\n\n" +
	"Lists are paged by cursor: send `next_cursor` of one page as `cursor` for the next, or follow the `Link` header. " +
	"GET answers carry an `ETag`; `If-None-Match` gives 304. Every command may be sent again safely.\n\n" +
	"In every route `{username}` may be `self`."

// complete adds to what huma knows of the routes: what the parts are for, and an
// example of every request and every answer.
func (s *Server) complete() error {
	var all examples
	if err := json.Unmarshal(examplesJSON, &all); err != nil {
		return fmt.Errorf("gateway: read the examples: %w", err)
	}
	doc := s.api.OpenAPI()
	doc.Info.Description = apiDescription
	doc.Servers = []*huma.Server{{URL: "/"}}
	doc.Tags = []*huma.Tag{
		{Name: tagAccounts, Description: "Registering, logging in and out."},
		{Name: tagUsers, Description: "Users: looking them up, listing them, changing and deleting your own."},
		{Name: tagPhotos, Description: "Profile photos: ask for a URL, upload to it, set profile_picture."},
		{Name: tagProfile, Description: "Profile, preferences and privacy."},
		{Name: tagFollows, Description: "Who follows whom, and what else they follow."},
		{Name: tagEvents, Description: "Behaviour events: what users did with movies."},
		{Name: tagFeed, Description: "What those did whom you follow, and who follows you."},
		{Name: tagHealth, Description: "For load balancers and operators."},
	}
	doc.Components.SecuritySchemes[securityScheme].Description = "The token of a login: Authorization: Bearer <token>."
	eachOperation(doc, func(_, _ string, op *huma.Operation) { exemplify(op, all[op.OperationID]) })
	return nil
}

// eachOperation calls f with every operation of a description.
func eachOperation(doc *huma.OpenAPI, f func(method, path string, op *huma.Operation)) {
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op != nil {
				f(method, path, op)
			}
		}
	}
}

func exemplify(op *huma.Operation, given map[string]map[string]json.RawMessage) {
	if op.RequestBody != nil {
		addExamples(op.RequestBody.Content[contentJSON], given["request"])
		addExamples(op.RequestBody.Content[contentPatch], given["request"])
	}
	for status, r := range op.Responses {
		code, err := strconv.Atoi(status)
		if err != nil || code < http.StatusBadRequest {
			own := make(map[string]*huma.MediaType, len(r.Content)) // statuses share one
			for kind, media := range r.Content {
				own[kind] = &huma.MediaType{Schema: media.Schema}
			}
			r.Content = own
			addExamples(r.Content[contentJSON], given[status])
			continue
		}
		envelopes, problems := map[string]json.RawMessage{}, map[string]json.RawMessage{}
		for _, refusal := range refusalsOf(op, code) {
			envelopes[refusal.code] = exampleOf(refusal, false)
			problems[refusal.code] = exampleOf(refusal, true)
		}
		addExamples(r.Content[contentJSON], envelopes)
		addExamples(r.Content[contentProblem], problems)
	}
}

func addExamples(media *huma.MediaType, values map[string]json.RawMessage) {
	if media == nil || len(values) == 0 {
		return
	}
	media.Examples = make(map[string]*huma.Example, len(values))
	for name, value := range values {
		media.Examples[name] = &huma.Example{Value: value}
	}
}

// exampleOf is a refusal as it is written.
func exampleOf(r *refusal, problem bool) json.RawMessage {
	f := &failure{Message: r.message, Code: r.code, RequestID: "7ffa293cd3e5-2s", Field: r.field, Detail: r.detail, Reasons: r.reasons, refusal: r, problem: problem}
	return f.appendJSON(nil)
}

// refusalsOf returns what an operation may refuse with at a status: what comes of
// its parameters and its body, what it alone has, and what every route has.
func refusalsOf(op *huma.Operation, status int) []*refusal {
	candidates := slices.Clone(ownRefusals(op.OperationID))
	for _, p := range op.Parameters {
		candidates = append(candidates, parameterRefusals(op.OperationID, p.Name)...)
	}
	if op.RequestBody != nil {
		candidates = append(candidates, bodyRefusals(op.Method)...)
	}
	var found []*refusal
	for _, r := range candidates {
		if r.status == status {
			found = append(found, r)
		}
	}
	if len(found) > 0 && status != http.StatusServiceUnavailable {
		return found
	}
	for _, r := range []*refusal{
		errNoToken, errPrivate, errUserNotFound, errTimeout, errBodyTooLarge, errMediaType, errLimited(retryLater), errInternal, errBusy, errUnavailable,
	} {
		if r.status == status {
			found = append(found, r)
		}
	}
	if found == nil {
		text := http.StatusText(status)
		found = append(found, &refusal{status: status, code: strings.ReplaceAll(strings.ToLower(text), " ", "_"), message: text})
	}
	return found
}

// refusalOf is what a client is told about an error.
func refusalOf(err error) *refusal { return judge(context.Background(), err) }

func bodyRefusals(method string) []*refusal {
	return []*refusal{refusalOf(badBody("", "")), errTimeout, errBodyTooLarge, wantedType(method)}
}

func parameterRefusals(operation, name string) []*refusal {
	switch name {
	case "username":
		if operation == "check-availability" {
			_, err := user.ParseUsername("ab")
			return []*refusal{errUsernameRequired, refusalOf(err)}
		}
		return []*refusal{errUsernameRequired, errUserNotFound}
	case "limit":
		if operation == "list-users" {
			return nil
		}
		return []*refusal{errLimit}
	case "cursor":
		return []*refusal{errCursor}
	case "seed":
		return []*refusal{errSeed}
	case "q":
		return []*refusal{errQuestionRequired, errQuestion}
	case "type":
		return []*refusal{errEventType}
	case "movie_id":
		return []*refusal{errMovieID}
	case "event_id":
		_, err := user.ParseEventID("")
		return []*refusal{refusalOf(err)}
	case "id":
		_, err := user.ParseCrewID("0")
		return []*refusal{refusalOf(err)}
	}
	return nil
}

// ownRefusals are those of one operation.
func ownRefusals(operation string) []*refusal {
	_, badName := user.ParseName("")
	_, badRole := user.ParseRole("")
	_, badLanguage := user.ParseLanguage("")
	_, badPassword := user.ParsePassword("")
	switch operation {
	case "register":
		return []*refusal{refusalOf(badPassword), errUsernameTaken, errUsernameReserved, errEmailTaken, errOutcomeUnknown}
	case "login":
		return []*refusal{errCredentials}
	case "refresh":
		return []*refusal{errRefresh, errOutcomeUnknown}
	case "create-user":
		return []*refusal{errUsernameTaken, errUsernameReserved, errEmailTaken, errIdentityTaken, errOutcomeUnknown}
	case "update-self":
		return []*refusal{refusalOf(badName), refusalOf(badRole), errEmailTaken, errOutcomeUnknown}
	case "delete-user":
		return []*refusal{errNotOwnAccount, errOutcomeUnknown}
	case "follow-user":
		return []*refusal{refusalOf(user.ErrSelfFollow), errOutcomeUnknown}
	case "follow-crew-members", "follow-studios":
		return []*refusal{refusalOf(user.ErrTooManyFollowed), errOutcomeUnknown}
	case "unfollow-user", "unfollow-crew-members", "unfollow-studios", "patch-privacy":
		return []*refusal{errOutcomeUnknown}
	case "list-relationships":
		return []*refusal{errTooManyNames}
	case "patch-profile":
		return []*refusal{refusalOf(badBody("display_name", "must not be null")), errOutcomeUnknown}
	case "patch-preferences":
		return []*refusal{refusalOf(badLanguage), errOutcomeUnknown}
	case "record-events":
		_, err := user.ParseActivity(user.ActivityInput{EventID: "e", Type: "view"}, user.State{}.CreatedAt)
		return []*refusal{refusalOf(err), errBatchSize, refusalOf(user.ErrEventDeleted), errOutcomeUnknown}
	case "delete-event":
		return []*refusal{refusalOf(user.ErrEventNotFound), errOutcomeUnknown}
	case "mark-notifications-seen":
		return []*refusal{errNotificationID, errNotificationNotFound}
	case "upload-photo":
		return []*refusal{errPhotoType}
	case "put-photo":
		return []*refusal{errUpload, errPhotoTooLarge, refusalOf(persistence.ErrNotPhoto)}
	case "get-photo":
		return []*refusal{errPhotoNotFound, errRange}
	case "get-readiness":
		return []*refusal{errNotReady}
	}
	return nil
}
