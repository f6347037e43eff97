package kafka_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/services"
)

func TestWhatIsDoneIsToldInOrder(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	s := start(t, brokers)
	ada, bob := register(t, s, "ada"), register(t, s, "bob")
	ctx := t.Context()
	want(t, http.StatusCreated)(ada.Follow(ctx, "bob"))
	want(t, http.StatusCreated)(ada.record(ctx, "kept"))
	published(t, s) // whole, before it is erased
	want(t, http.StatusCreated)(ada.record(ctx, "erased"))
	published(t, s)
	want(t, http.StatusOK)(ada.erase(ctx, "erased"))
	want(t, http.StatusOK)(ada.Unfollow(ctx, "bob"))
	want(t, http.StatusOK)(ada.Update(ctx, map[string]string{"name": "New"}))
	want(t, http.StatusOK)(bob.Delete(ctx, "bob"))
	published(t, s)

	topics := []string{topicUsers, topicGraph, topicActivity, topicLatest}
	all := read(t, brokers, topics...)
	tell := func(p person, topic string) (told []string) {
		for _, r := range once(t, all[topic])[p.uid] {
			checkHeaders(t, r)
			told = append(told, header(r, "ce_type")+" "+string(r.Value))
		}
		return told
	}
	for topic, want := range map[string][]string{
		topicUsers: {`user.registered {"user":{`, `user.updated {"user":{`},
		topicGraph: {
			fmt.Sprintf(`followed {"uid":%q,"target_uid":%q}`, ada.uid, bob.uid),
			fmt.Sprintf(`unfollowed {"uid":%q,"target_uid":%q}`, ada.uid, bob.uid),
		},
		topicActivity: {
			fmt.Sprintf(`activity.recorded {"uid":%q,"event":{"event_id":"kept","type":"view","movie_id":7,`, ada.uid),
			fmt.Sprintf(`activity.recorded {"uid":%q,"event":{"event_id":"erased","type":"view","movie_id":7,`, ada.uid),
			fmt.Sprintf(`activity.deleted {"uid":%q,"event_id":"erased"}`, ada.uid),
		},
		topicLatest: {`user.registered {"user":{`, `user.updated {"user":{`},
	} {
		if got := tell(ada, topic); !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s tells of ada\n%s\nwant\n%s", topic, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if got := tell(bob, topicUsers); got[len(got)-1] != fmt.Sprintf(`user.deleted {"uid":%q,"username":"bob"}`, bob.uid) {
		t.Errorf("%s tells of bob\n%s", topicUsers, strings.Join(got, "\n"))
	}
	latest := once(t, all[topicLatest])[bob.uid]
	if last := latest[len(latest)-1]; last.Value != nil || header(last, "ce_type") != "user.deleted" {
		t.Errorf("the latest of bob is %q, want a tombstone", last.Value)
	}
}

// checkHeaders wants the attributes of CloudEvents, and no others.
func checkHeaders(t *testing.T, r *kgo.Record) {
	t.Helper()
	keys := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		keys[i] = h.Key
	}
	uid := string(r.Key)
	at, err := time.Parse(time.RFC3339Nano, header(r, "ce_time"))
	if !slices.Equal(keys, []string{"ce_specversion", "ce_id", "ce_type", "ce_time", "ce_source", "ce_subject", "content-type"}) ||
		header(r, "ce_specversion") != "1.0" || header(r, "ce_source") != "kith" || header(r, "ce_subject") != uid ||
		header(r, "content-type") != "application/json" || !strings.HasPrefix(header(r, "ce_id"), uid+"/") ||
		err != nil || time.Since(at) > time.Hour {
		t.Errorf("%s: key %s, headers %v", r.Topic, uid, r.Headers)
	}
}
