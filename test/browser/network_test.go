package browser_test

import (
	"fmt"
	"net/http"
	"testing"

	"kith/test/kithtest"
)

// While the network is down the page says so, and afterwards shows everything that
// happened, once.
func TestNothingIsLostWhenTheNetworkDrops(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	network := newNetwork(t, s.URL())
	ada, carol := made(t, s, "Ada Lovelace", "ada"), made(t, s, "Carol Shaw", "carol")
	bob := b.open("bob", network.URL()+"/demo")
	bob.unreliable()
	bob.register("Bob", "bob")
	bob.find("ada")
	bob.click(`#people-list [data-follow="ada"]`)
	bob.awaitText("#count-following", "1")
	record(t, ada, "before", "rating", 8587, "The Lion King", map[string]any{"rating": 7})
	bob.awaitIn("#feed-list li", "The Lion King")

	titles := []string{"Jaws", "Vertigo", "Alien", "Her", "Arrival"}
	for round := range 3 {
		network.Cut()
		bob.awaitState("offline")
		bob.awaitIn("#offline", "Trying again in")
		bob.awaitText("#status-text", "Offline")
		if round == 0 {
			bob.picture("offline-light")
		}
		for i, title := range titles {
			record(t, ada, fmt.Sprintf("missed-%d-%d", round, i), "rating", 1000*(round+1)+i, fmt.Sprintf("%s %d", title, round), map[string]any{"rating": i})
		}
		method := http.MethodPut
		if round == 1 {
			method = http.MethodDelete
		}
		request(t, carol, method, "/users/self/following/bob", nil)
		network.Heal()
		// At the next moment it may have come back by itself, and the button is gone.
		bob.eval(`(() => { const retry = document.querySelector("#retry"); retry.checkVisibility() && retry.click(); return "tried"; })()`)
		bob.awaitState("live")
		for _, title := range titles {
			bob.awaitIn("#feed-list li", fmt.Sprintf("%s %d", title, round))
		}
		bob.awaitText("#count-followers", map[bool]string{true: "0", false: "1"}[round == 1])
		bob.awaitIn("#toasts", "nothing was lost")
	}
	for round := range 3 {
		for _, title := range titles {
			if n := bob.count("#feed-list li", fmt.Sprintf("%s %d", title, round)); n != 1 {
				t.Errorf("%s of round %d is there %d times", title, round, n)
			}
		}
	}
	bob.await("what was missed is marked", `document.querySelectorAll("#wire-list .replayed").length > 0`)
	bob.picture("back-light")

	// Without anybody's help, too; and what one does offline is refused in words.
	network.Cut()
	bob.awaitState("offline")
	bob.click(`#people-list [data-follow="ada"]`)
	bob.awaitIn("#toasts", "The server cannot be reached right now.")
	bob.awaitText(`#people-list [data-follow="ada"]`, "Following")
	network.Heal()
	bob.awaitState("live")
}

// A server that is killed and started again loses no frame either.
func TestNothingIsLostWhenTheServerRestarts(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	network := newNetwork(t, s.URL())
	ada := made(t, s, "Ada Lovelace", "ada")
	bob := b.open("bob", network.URL()+"/demo")
	bob.unreliable()
	bob.register("Bob", "bob")
	bob.find("ada")
	bob.click(`#people-list [data-follow="ada"]`)
	bob.awaitText("#count-following", "1")
	record(t, ada, "before", "view", 8587, "The Lion King", nil)
	request(t, ada, http.MethodPatch, "/users/self/privacy", map[string]bool{"watch_history_public": true})
	record(t, ada, "seen", "view", 603, "The Matrix", nil)
	bob.awaitIn("#feed-list li", "The Matrix")
	network.Cut()
	record(t, ada, "missed", "rating", 578, "Jaws", map[string]any{"rating": 9})
	s.Restart()
	network.to(s.URL())
	network.Heal()
	bob.awaitState("live")
	bob.awaitIn("#feed-list li", "Jaws")
	if n := bob.count("#feed-list li", "Jaws"); n != 1 {
		t.Errorf("it is there %d times", n)
	}
}

// Tokens are renewed before they end, without a break of the stream.
func TestATokenIsRenewed(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{Env: []string{"KITH_ACCESS_TTL=3s"}})
	p := b.open("ada", s.URL()+"/demo")
	p.register("Ada Lovelace", "ada")
	first := p.eval(`JSON.parse(sessionStorage["kith-demo-session"]).token`)
	p.await("the token was renewed three times", fmt.Sprintf(`(() => {
		const { token } = JSON.parse(sessionStorage["kith-demo-session"]);
		window.tokensSeen ??= new Set([%s]);
		return window.tokensSeen.add(token).size > 3;
	})()`, first))
	if n := p.count("#wire-list b", "ready"); n != 1 {
		t.Errorf("the stream began %d times", n)
	}
	made(t, s, "Bob", "bob")
	p.find("bob")
	p.click(`#people-list [data-follow="bob"]`)
	p.awaitText("#count-following", "1")
}
