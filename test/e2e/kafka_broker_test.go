package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

const brokerDir = "broker"

// recordEvent records a view.
func recordEvent(t *testing.T, c *kithtest.Client, id string) {
	t.Helper()
	want(t, http.StatusCreated)(c.Do(t.Context(), kithtest.Request{
		Method: http.MethodPost, Path: "/users/self/events", Body: map[string]any{"event_id": id, "type": "view", "movie_id": 7},
	}))
}

func deleteEvent(t *testing.T, c *kithtest.Client, id string) {
	t.Helper()
	want(t, http.StatusOK)(c.Do(t.Context(), kithtest.Request{Method: http.MethodDelete, Path: "/users/self/events/" + id}))
}

// story is what the topics tell, without what they tell again.
type story struct {
	told   map[string][]string // ids and types, by topic and key
	latest map[string]string   // names, by key; "" for a tombstone
	values map[string]string   // the newest, by topic and id
}

// read reads the topics from their start, when all that was committed until now
// is published.
func read(t *testing.T, a *api, last string) story {
	t.Helper()
	topics := []string{topicActivity, topicGraph, topicUsers, topicLatest}
	tells := func(r *kgo.Record) bool { return strings.Contains(string(r.Value), `"`+last+`"`) }
	consume(t, a.KafkaAddr(), func(read map[string][]*kgo.Record) bool { return slices.ContainsFunc(read[topicActivity], tells) }, topicActivity)
	await(t, "all is published", func() bool { return a.Metric(`kith_tail_lag_records{tail="broker"}`) == 0 })
	ends := ends(t, a.KafkaAddr(), topics...)
	read := consume(t, a.KafkaAddr(), func(read map[string][]*kgo.Record) bool {
		return !slices.ContainsFunc(topics, func(topic string) bool { return int64(len(read[topic])) < ends[topic] })
	}, topics...)

	s := story{told: make(map[string][]string), latest: make(map[string]string), values: make(map[string]string)}
	for topic, records := range read {
		for _, r := range records {
			if topic == topicLatest {
				var v struct {
					User struct{ Name string }
				}
				if err := json.Unmarshal(r.Value, &v); r.Value != nil && err != nil {
					t.Errorf("%s in %s: %v", header(r, "ce_id"), topic, err)
				}
				s.latest[string(r.Key)] = v.User.Name
				continue
			}
			at, what := topic+" "+string(r.Key), header(r, "ce_id")+" "+header(r, "ce_type")
			if !slices.Contains(s.told[at], what) {
				s.told[at] = append(s.told[at], what)
			}
			s.values[topic+" "+header(r, "ce_id")] = string(r.Value)
		}
	}
	return s
}

// ends returns how many records topics ever got.
func ends(t *testing.T, addr string, topics ...string) map[string]int64 {
	t.Helper()
	listed, err := kadm.NewClient(plain(t, addr)).ListEndOffsets(t.Context(), topics...)
	if err = errors.Join(err, listed.Error()); err != nil {
		t.Fatal(err)
	}
	ends := make(map[string]int64)
	listed.Each(func(o kadm.ListedOffset) { ends[o.Topic] += o.Offset })
	return ends
}

// Whatever becomes of the files of the embedded broker while the server does not
// run, they are made again from the journal: all is told again, under the same
// ids, and nothing inside notices.
func TestLostFilesOfTheBrokerAreMadeAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end   func(*api)
		older bool
	}{
		"deleted after a stop":       {func(a *api) { a.Stop() }, false},
		"deleted after a kill":       {func(a *api) { a.Kill() }, false},
		"an older copy after a stop": {func(a *api) { a.Stop() }, true},
		"an older copy after a kill": {func(a *api) { a.Kill() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t)
			ada, bob, gone := a.register(t, "files_ada_zq"), a.register(t, "files_bob_zq"), a.register(t, "files_gone_zq")
			adaUID, bobUID, goneUID := uidOf(t, ada), uidOf(t, bob), uidOf(t, gone)
			want(t, http.StatusCreated)(ada.Follow(t.Context(), "files_bob_zq"))
			want(t, http.StatusCreated)(ada.Follow(t.Context(), "files_gone_zq"))
			recordEvent(t, ada, "e1")
			read(t, a, "e1")
			deleteEvent(t, ada, "e1")
			want(t, http.StatusOK)(gone.Delete(t.Context(), "files_gone_zq"))
			dir, copied := a.File(brokerDir), filepath.Join(kithtest.DataDir(t), "copy")
			if test.older {
				a.Stop()
				must(t, os.CopyFS(copied, os.DirFS(dir)))
				a.Launch()
				a.AwaitReady()
			}
			want(t, http.StatusOK)(ada.Update(t.Context(), map[string]string{"name": "Name of somebody else"}))
			recordEvent(t, ada, "e2")
			a.Settle()
			before := read(t, a, "e2")
			if want := (map[string]string{adaUID: "Name of somebody else", bobUID: "Name of files_bob_zq", goneUID: ""}); !reflect.DeepEqual(before.latest, want) {
				t.Errorf("the latest users are %v, want %v", before.latest, want)
			}

			test.end(a)
			must(t, os.RemoveAll(dir))
			if test.older {
				must(t, os.CopyFS(dir, os.DirFS(copied)))
			}
			a.Launch()
			a.AwaitReady()
			if answer := want(t, http.StatusOK)(ada.User(t.Context(), "files_bob_zq")); answer.Following == nil || !*answer.Following {
				t.Errorf("the edge is gone: %s", answer)
			}
			if n := a.Metric(`kith_broker_restarts_total{reason="behind"}`); n != 1 {
				t.Errorf("the broker has begun anew %v times, want once", n)
			}
			await(t, "the latest users are published again", func() bool { return a.Metric("kith_publish_refilled_users_total") == 2 })
			after := read(t, a, "e2")
			if !reflect.DeepEqual(after.told, before.told) || !reflect.DeepEqual(after.latest, before.latest) {
				t.Errorf("before:\n%v\n%v\nafter:\n%v\n%v", before.told, before.latest, after.told, after.latest)
			}
			// What was deleted meanwhile does not come back.
			erased := topicActivity + " " + strings.Fields(after.told[topicActivity+" "+adaUID][0])[0]
			if got, want := after.values[erased], fmt.Sprintf(`{"uid":%q,"event_id":"e1"}`, adaUID); got != want {
				t.Errorf("the deleted event is %s, want %s", got, want)
			}

			a.Restart()
			recordEvent(t, bob, "e3")
			end := read(t, a, "e3")
			if n := a.Metric(`kith_broker_restarts_total{reason="behind"}`); n != 0 || len(end.told[topicActivity+" "+bobUID]) != 1 {
				t.Errorf("the broker has begun anew %v times more, and %v is told", n, end.told)
			}
			a.Settle()
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
