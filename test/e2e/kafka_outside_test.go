package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

// outside runs a Kafka at an address.
func outside(t *testing.T, addr string) *kfake.Cluster {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(number))
	must(t, err)
	t.Cleanup(cluster.Close)
	return cluster
}

// degraded returns what readiness names as degraded; it must be ready.
func degraded(t *testing.T, a *api) string {
	t.Helper()
	body := string(want(t, http.StatusOK)(a.Client().Get(t.Context(), "/readyz")).Body)
	list, ok := strings.CutPrefix(strings.TrimSpace(body), `{"status":"success","degraded":`)
	if !ok {
		t.Fatalf("readiness: %s", body)
	}
	return strings.TrimSuffix(list, "}")
}

// While an outside Kafka is away everything else works, and what it missed comes
// when it is there: of what was deleted meanwhile, no content.
func TestAnOutsideKafkaMayBeAway(t *testing.T) {
	t.Parallel()
	addr := kithtest.FreePort(t)
	a := start(t, "KITH_KAFKA_BROKERS="+addr)
	if got := a.KafkaAddr(); got != addr {
		t.Errorf("the log says that Kafka is at %s, want %s", got, addr)
	}
	ada, bob := a.register(t, "away_ada_zq"), a.register(t, "away_bob_zq")
	adaUID, bobUID := uidOf(t, ada), uidOf(t, bob)
	want(t, http.StatusCreated)(ada.Follow(t.Context(), "away_bob_zq"))
	recordEvent(t, ada, "kept")
	recordEvent(t, ada, "erased")
	deleteEvent(t, ada, "erased")
	a.Settle() // effects do not wait for Kafka
	await(t, "kafka is named", func() bool { return degraded(t, a) == `["kafka"]` })
	a.Restart()
	want(t, http.StatusOK)(ada.Update(t.Context(), map[string]string{"name": "Name of nobody"}))
	await(t, "kafka is named again", func() bool { return degraded(t, a) == `["kafka"]` })

	first := outside(t, addr)
	all := consume(t, addr, func(read map[string][]*kgo.Record) bool {
		return len(read[topicActivity]) >= 3 && len(read[topicGraph]) >= 1 && len(read[topicUsers]) >= 3 && len(read[topicLatest]) >= 3
	}, topicActivity, topicGraph, topicUsers, topicLatest)
	var got []string
	for _, topic := range []string{topicUsers, topicGraph, topicActivity} {
		for _, r := range all[topic] {
			line := header(r, "ce_type")
			if topic != topicUsers {
				line += " " + string(r.Value)
			}
			if string(r.Key) == adaUID && !strings.Contains(line, `"kept"`) {
				got = append(got, line)
			}
		}
	}
	if want := []string{
		"user.registered", "user.updated",
		fmt.Sprintf(`followed {"uid":%q,"target_uid":%q}`, adaUID, bobUID),
		fmt.Sprintf(`activity.recorded {"uid":%q,"event_id":"erased"}`, adaUID),
		fmt.Sprintf(`activity.deleted {"uid":%q,"event_id":"erased"}`, adaUID),
	}; !slices.Equal(got, want) {
		t.Errorf("the topics tell\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if r := all[topicActivity][0]; !strings.Contains(string(r.Value), `"event_id":"kept","type":"view","movie_id":7`) {
		t.Errorf("the event is told as %s", r.Value)
	}
	await(t, "nothing is degraded", func() bool { return degraded(t, a) == "[]" })
	await(t, "nothing is left to publish", func() bool { return a.Metric(`kith_tail_lag_records{tail="publish"}`) == 0 })
	produce(t, plain(t, addr), adaUID, report("1", adaUID, 1, 2))
	await(t, "what is reported there counts", func() bool { return totals(t, ada) == [2]int{1, 2} })

	// Away once more while the server runs, and back with what it had lost.
	first.Close()
	recordEvent(t, bob, "missed")
	await(t, "kafka is named once more", func() bool { return degraded(t, a) == `["kafka"]` })
	outside(t, addr)
	consume(t, addr, func(read map[string][]*kgo.Record) bool { return len(read[topicActivity]) == 1 }, topicActivity)
	await(t, "nothing is degraded again", func() bool { return degraded(t, a) == "[]" })
	produce(t, plain(t, addr), adaUID, report("2", adaUID, 1, 2))
	await(t, "what is reported there counts, too", func() bool { return totals(t, ada) == [2]int{2, 4} })
	if _, err := os.Stat(a.File(brokerDir)); err == nil {
		t.Error("there is an embedded broker")
	}
}
