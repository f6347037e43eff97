package browser_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"kith/test/kithtest"
)

// made makes an account without a browser.
func made(t *testing.T, s *kithtest.Server, name, username string) *kithtest.Client {
	t.Helper()
	a, err := s.Client().Register(t.Context(), kithtest.Registration{Username: username, Name: name, Password: password})
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("register: %v %s", err, a)
	}
	return s.Client().As(a.Token)
}

// request sends a request that must succeed.
func request(t *testing.T, c *kithtest.Client, method, path string, body any) {
	t.Helper()
	a, err := c.Do(t.Context(), kithtest.Request{Method: method, Path: path, Body: body})
	if err != nil || a.Status >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %v %s", method, path, err, a)
	}
}

// record records an event about a film.
func record(t *testing.T, c *kithtest.Client, id, kind string, movie int, title string, more map[string]any) {
	t.Helper()
	event := map[string]any{"event_id": id, "type": kind, "movie_id": movie, "event_details": map[string]string{"title": title}}
	maps.Copy(event, more)
	request(t, c, http.MethodPost, "/users/self/events", event)
}

func TestTwoPeopleMeet(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	url := s.URL() + "/demo"

	ada := b.open("ada", url)
	ada.picture("welcome-light")
	ada.register("Ada Lovelace", "ada")
	ada.awaitIn("#feed-state", "A quiet screening room")
	ada.awaitIn("#people-empty", "be your own friend")
	ada.awaitIn("#notices-state", "When somebody follows you")
	ada.picture("empty-light")

	bob := b.open("bob", url)
	bob.register("Bob", "bob")
	bob.find("ada")
	bob.click(`#people-list [data-follow="ada"]`)

	// Both counters move, and Ada is told.
	ada.awaitText("#count-followers", "1")
	bob.awaitText("#count-following", "1")
	ada.awaitIn("#notices-list li", "Bob")
	ada.awaitText("#unread", "1")
	ada.await("the title says it", `document.title === "(1) Kith, live"`)
	bob.awaitText(`#people-list [data-follow="ada"]`, "Following")

	// Ada rates a film by keyboard; Bob sees it.
	ada.eval(`document.querySelector("#shelf button").focus()`)
	ada.press(kb.ArrowRight + kb.ArrowRight + kb.Enter)
	ada.awaitText("#dialog-title", "Parasite")
	ada.eval(`document.querySelector("#rate").focus()`)
	ada.press(kb.ArrowRight + kb.ArrowRight + kb.ArrowRight) // from 7
	ada.awaitText(".rate-value", "8.5")
	ada.click(".rate button.primary")
	ada.awaitIn("#toasts", "You gave Parasite 8.5")
	bob.awaitIn("#feed-list li", "Ada Lovelace rated Parasite")
	bob.awaitText("#feed-list .meter b", "8.5")
	ada.awaitText("#shelf button:nth-child(3) .mark", "8.5")

	// Whatever somebody writes is text.
	ada.click("#shelf button:nth-child(3)")
	ada.write("#review", `<img src=x onerror=alert(1)> & "fine"`)
	ada.awaitText(".rate button.primary", "Post review")
	ada.click(".rate button.primary")
	bob.awaitIn("#feed-list blockquote", `<img src=x onerror=alert(1)> & "fine"`)
	if n := bob.eval(`document.querySelectorAll("#feed-list img").length`); n != "0" {
		t.Errorf("text became markup: %s images", n)
	}

	// Ada follows back from the notice, and keeps a film for later, which nobody
	// else may see.
	ada.click(`#notices-list [data-follow="bob"]`)
	bob.awaitText("#count-followers", "1")
	bob.awaitIn("#notices-list li", "Ada Lovelace")
	ada.click("#seen")
	ada.await("nothing is unread", `document.querySelector("#unread").hidden`)
	ada.reload()
	ada.awaitState("live")
	ada.awaitText("#count-followers", "1")
	ada.await("what was seen stays so", `document.querySelector("#unread").hidden && document.querySelector("#notices-list li")`)
	ada.awaitText("#shelf button:nth-child(3) .mark", "8.5")

	// A change of a name is seen everywhere.
	a, err := s.Client().Login(t.Context(), "ada", password)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("log in: %v %s", err, a)
	}
	api := s.Client().As(a.Token)
	request(t, api, http.MethodPatch, "/users/self/profile", map[string]string{"display_name": "Countess Ada"})
	bob.awaitIn("#feed-list li", "Countess Ada")
	ada.awaitText("#you-title", "Countess Ada")

	// What is deleted goes, also here.
	record(t, api, "brief", "rating", 603, "The Matrix", map[string]any{"rating": 3})
	bob.awaitIn("#feed-list li", "The Matrix")
	request(t, api, http.MethodDelete, "/users/self/events/brief", nil)
	bob.await("the event is gone", `![...document.querySelectorAll("#feed-list li:not([data-gone])")].some(e => e.innerText.includes("The Matrix"))`)
	bob.picture("feed-light")

	// Who is not followed any more is not seen any more.
	bob.click(`#people-list [data-follow="ada"]`)
	ada.awaitText("#count-followers", "0")
	bob.awaitIn("#feed-state", "A quiet screening room")
	record(t, api, "unseen", "rating", 603, "The Matrix", map[string]any{"rating": 9})
	record(t, api, "unseen-too", "rating", 578, "Jaws", map[string]any{"rating": 9})
	// Bob's own page of Ada shows it, as it may.
	bob.click("#people-list .person-open")
	bob.awaitIn(".person-page .activity", "Jaws")
	if n := bob.count("#feed-list li", ""); n != 0 {
		t.Errorf("the feed has %d cards of somebody who is not followed", n)
	}
}

// The page of somebody who is not followed moves as long as it is open.
func TestAPersonIsWatched(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	carol, dave := made(t, s, "Carol Shaw", "carol"), made(t, s, "Dave", "dave")
	request(t, carol, http.MethodPatch, "/users/self/profile", map[string]string{"bio": "Front row, always."})
	record(t, carol, "old", "review", 603, "The Matrix", map[string]any{"rating": 9.5, "review": "Whoa."})

	eve := b.open("eve", s.URL()+"/demo")
	eve.register("Eve", "eve")
	eve.find("carol")
	eve.click("#people-list .person-open")
	eve.awaitText("#dialog-title", "Carol Shaw")
	eve.awaitIn(".person-page .bio", "Front row, always.")
	eve.awaitIn(".person-page .activity", "Whoa.")
	// The watch is set up when the server has taken the frame: what then happens is
	// seen live. An event that came before is in the history.
	record(t, carol, "new", "rating", 578, "Jaws", map[string]any{"rating": 8})
	eve.awaitIn(".person-page .activity", "Jaws")
	request(t, dave, http.MethodPut, "/users/self/following/carol", nil)
	eve.awaitIn(".person-page .counts", "1 follower")
	eve.picture("person-light")
	// Nothing of it is in the feed.
	if n := eve.count("#feed-list li", ""); n != 0 {
		t.Errorf("the feed has %d cards of somebody who is only watched", n)
	}
	// Followers and followed ones are one click away.
	eve.click(".person-page .counts button")
	eve.awaitText("#dialog-title", "Carol Shaw: followers")
	eve.awaitIn("#dialog .person", "Dave")
	eve.closeDialog()

	// A private profile says so.
	eve.unreliable() // a refused request is a line in the console
	request(t, dave, http.MethodPatch, "/users/self/privacy", map[string]bool{"profile_public": false})
	eve.click("#people-search")
	eve.eval(`document.querySelector("#people-search").value = ""`)
	eve.find("dave")
	eve.click("#people-list .person-open")
	eve.awaitIn(".person-page", "A private profile")
}

func TestComingInIsExplained(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	client := made(t, s, "Ada Lovelace", "ada")
	p := b.open("stranger", s.URL()+"/demo")
	p.unreliable() // a refused request is a line in the console
	notice := func(want string) {
		t.Helper()
		p.awaitIn("#door-notice", want)
	}
	p.click("#form-register button")
	notice("Your name is missing.")
	p.write("#r-name", "Another Ada")
	p.write("#r-username", "ADA")
	p.write("#r-password", password)
	p.click("#form-register button")
	notice("Username already exists.")
	p.await("the field is marked", `document.activeElement.id === "r-username" && document.activeElement.getAttribute("aria-invalid") === "true"`)
	p.picture("refused-light")

	p.click("#tab-login")
	p.write("#l-username", "ada")
	p.write("#l-password", "wrong password")
	p.click("#form-login button")
	notice("Invalid username or password.")

	p.click("#tab-token")
	p.write("#t-token", "no-token")
	p.click("#form-token button")
	notice("kith token --username NAME")

	p.click("#tab-token")
	p.write("#t-token", client.Token())
	p.click("#form-token button")
	p.awaitState("live")
	p.awaitText("#you-title", "Ada Lovelace")
	p.click("#sign-out")
	p.await("the door is open", `!document.querySelector("#welcome").hidden && document.querySelector("#app").hidden`)
	if kept := p.eval(`JSON.stringify(Object.entries({...sessionStorage, ...localStorage}))`); kept != `"[]"` {
		t.Errorf("signing out leaves %s", kept)
	}

	// A demo's link names who to sign in as.
	p.navigate(s.URL() + "/docs")
	p.navigate(s.URL() + "/demo#sign-in=ada")
	p.await("the name is there", `document.querySelector("#l-username").value === "ada" && !document.querySelector("#form-login").hidden`)
}

// A session that ends elsewhere ends here, within a moment and in words.
func TestASessionThatEndsIsSaid(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	client := made(t, s, "Ada Lovelace", "ada")
	p := b.open("ada", s.URL()+"/demo")
	p.unreliable()
	p.signIn("ada", password)
	request(t, client, http.MethodPost, "/auth/logout", map[string]bool{"all": true})
	p.awaitIn("#door-notice", "This session has ended")
}
