package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/kithtest"
)

// report is what a content service produces.
func report(id, uid string, streams, videos int) string {
	return fmt.Sprintf(`{"id":%q,"uid":%q,"streams":%d,"videos":%d}`, id, uid, streams, videos)
}

// produce writes reports about a user, one after another; the client tries again
// while the broker is away.
func produce(t *testing.T, service *kgo.Client, uid string, values ...string) {
	t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topicContent, Key: []byte(uid), Value: []byte(v)}
	}
	if err := service.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Errorf("produce: %v", err)
	}
}

// totals returns total_streams and total_videos of the caller.
func totals(t *testing.T, c *kithtest.Client) [2]int {
	t.Helper()
	u := want(t, http.StatusOK)(c.Get(t.Context(), "/users/self")).User
	return [2]int{u.Streams, u.Videos}
}

// contentResult returns how many reports became of which this process has said
// so.
func contentResult(a *api, result string) int {
	return int(a.Metric(`kith_content_records_total{result="` + result + `"}`))
}

func TestReportedContentIsCounted(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada, bob := a.register(t, "content_ada_zq"), a.register(t, "content_bob_zq")
	adaUID, bobUID := uidOf(t, ada), uidOf(t, bob)
	service := plain(t, a.KafkaAddr())

	produce(t, service, adaUID, report("1", adaUID, 5, 1), report("2", adaUID, 2, 0), report("1", adaUID, 5, 1))
	produce(t, service, bobUID, report("1", bobUID, 3, 4)) // an id of its own
	await(t, "each id is counted once for each user", func() bool {
		return contentResult(a, "counted") == 3 && contentResult(a, "repeated") == 1
	})
	if totals(t, ada) != [2]int{7, 1} || totals(t, bob) != [2]int{3, 4} {
		t.Errorf("totals %v and %v, want 7, 1 and 3, 4", totals(t, ada), totals(t, bob))
	}

	// Never below 0, and from there on up again.
	produce(t, service, adaUID, report("3", adaUID, -100, -1))
	await(t, "the totals are 0", func() bool { return totals(t, ada) == [2]int{0, 0} })
	produce(t, service, adaUID, report("4", adaUID, 2, 0), `{"id":"5","uid":"`+adaUID+`","videos":6}`)
	await(t, "the totals rise again", func() bool { return totals(t, ada) == [2]int{2, 6} })
	if u := want(t, http.StatusOK)(bob.User(t.Context(), "content_ada_zq")).User; u.Streams != 2 || u.Videos != 6 {
		t.Errorf("others see %d and %d, want 2 and 6", u.Streams, u.Videos)
	}
}

func TestReportsThatSayNothingArePassedBy(t *testing.T) {
	t.Parallel()
	a := start(t)
	ada, gone := a.register(t, "bad_ada_zq"), a.register(t, "bad_gone_zq")
	adaUID, goneUID := uidOf(t, ada), uidOf(t, gone)
	want(t, http.StatusOK)(gone.Delete(t.Context(), "bad_gone_zq"))
	service := plain(t, a.KafkaAddr())
	bad := []string{
		"", "PERSONAL", "[]", "null", "{", `"x"`, "\xff", `{"id":"1"}`, `{"id":"1","uid":"x","streams":1}`, report("", adaUID, 1, 1),
		`{"id":"1","uid":"` + adaUID + `"}`, `{"id":"1","uid":"` + adaUID + `","streams":1.5}`, `{"id":1,"uid":"` + adaUID + `","streams":1}`,
		`{"id":"1","uid":"` + adaUID + `","streams":99999999999999999999}`, report("a\u0000b", adaUID, 1, 1),
	}
	produce(t, service, adaUID, bad...)
	produce(t, service, goneUID, report("1", goneUID, 1, 1), report("1", "0190a1b2c3d47000800000000000beef", 1, 1))
	produce(t, service, adaUID, report("1", adaUID, 4, 4)) // behind them
	await(t, "all are dealt with", func() bool { return contentResult(a, "counted") == 1 && contentResult(a, "unknown") == 2 })
	if n := contentResult(a, "bad"); n != len(bad) || totals(t, ada) != [2]int{4, 4} {
		t.Errorf("%d are bad and the totals %v, want %d and 4, 4", n, totals(t, ada), len(bad))
	}
}

// Killed again and again while it counts, the server counts every id once.
func TestReportedContentIsCountedOnceAcrossKills(t *testing.T) {
	t.Parallel()
	const (
		reports = 600
		killed  = 4
	)
	a := start(t, "KITH_KAFKA_LISTEN="+kithtest.FreePort(t))
	clients := make([]*kithtest.Client, 3)
	uids := make([]string, len(clients))
	for i := range clients {
		clients[i] = a.register(t, fmt.Sprintf("once_%d_zq", i))
		uids[i] = uidOf(t, clients[i])
	}
	service := plain(t, a.KafkaAddr())
	sent := 0
	send := func(n int) {
		for range n {
			for _, u := range uids {
				r := report(fmt.Sprint("r", sent), u, 1, 2)
				produce(t, service, u, r)
				if sent%5 == 0 {
					produce(t, service, u, r)
				}
			}
			sent++
		}
	}
	for range killed {
		send(reports / 20)
		produced := make(chan struct{})
		go func() { // on through the kill
			defer close(produced)
			send(reports / 20)
		}()
		before := contentResult(a, "counted")
		await(t, "it counts", func() bool { return contentResult(a, "counted") > before })
		a.Restart()
		<-produced
	}
	wanted := [2]int{sent, 2 * sent}
	for i, c := range clients {
		await(t, fmt.Sprintf("the totals of user %d are %v", i, wanted), func() bool { return totals(t, c) == wanted })
	}
	// All of it once more, as a service would that lost its place.
	before := contentResult(a, "repeated")
	for i := range sent {
		for _, u := range uids {
			produce(t, service, u, report(fmt.Sprint("r", i), u, 1, 2))
		}
	}
	await(t, "all are known", func() bool { return contentResult(a, "repeated") >= before+sent*len(uids) })
	for i, c := range clients {
		if got := totals(t, c); got != wanted {
			t.Errorf("the totals of user %d are %v, want %v", i, got, wanted)
		}
	}
	a.Settle()
}

// uidOf returns the uid of the caller.
func uidOf(t *testing.T, c *kithtest.Client) string {
	t.Helper()
	return want(t, http.StatusOK)(c.Get(t.Context(), "/users/self")).User.UID
}
