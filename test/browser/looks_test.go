package browser_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"kith/test/kithtest"
)

// world starts a demo that goes on, and returns whom to look at it as, and the URL
// that it shows.
func world(t *testing.T) (viewer, url string) {
	t.Helper()
	if kithtest.Production() {
		t.Skip("a demo is always on the embedded stores, on which this test runs as well")
	}
	s := kith.Start(t, kithtest.Options{Embedded: true, Args: []string{"demo", "--users", "60", "--pace", "400ms"}})
	invitation := regexp.MustCompile(`(?m)^(http://\S+/demo#sign-in=(\w+))$`)
	if !s.AwaitLog(func(log string) bool {
		m := invitation.FindStringSubmatch(log)
		if m != nil {
			url, viewer = m[1], m[2]
		}
		return m != nil
	}) {
		t.Fatal("the demo does not show itself")
	}
	return viewer, url
}

// enter comes in by the demo's own link.
func enter(p *tab, viewer string) {
	p.t.Helper()
	p.await("the name is there", `document.querySelector("#l-username").value === "`+viewer+`"`)
	p.write("#l-password", "popcorn for everyone")
	p.press(kb.Enter)
	p.awaitState("live")
	p.awaitText("#you-handle", "@"+viewer)
	p.await("the feed is full", `document.querySelectorAll("#feed-list li").length > 20`)
}

// The page can be read and used by everybody: in both themes, on a desk, on a
// tablet and on a phone. The pictures are to be looked at.
func TestThePageCanBeReadEverywhere(t *testing.T) {
	t.Parallel()
	b := start(t)
	viewer, url := world(t)
	p := b.open("viewer", url)
	for _, theme := range []string{"dark", "light"} {
		p.theme(theme)
		p.awaitTheme(theme)
		inspect(t, p, "the door, "+theme)
		p.picture("door-" + theme)
	}
	p.size(360, 740)
	inspect(t, p, "the door, on a phone")
	p.picture("door-phone-light")
	p.size(1360, 900)
	enter(p, viewer)
	// It moves by itself.
	p.await("somebody does something", `document.querySelectorAll("#wire-list li").length > 15`)

	for _, theme := range []string{"dark", "light"} {
		p.theme(theme)
		p.awaitTheme(theme)
		p.size(1360, 900)
		inspect(t, p, "the page, "+theme)
		p.picture("page-" + theme)
		p.size(820, 1180)
		inspect(t, p, "the page on a tablet, "+theme)
		p.picture("tablet-" + theme)

		p.size(360, 740)
		for _, section := range []string{"feed", "films", "people", "you"} {
			p.click(`#tabs [data-tab="` + section + `"]`)
			p.await(section+" is shown", `document.querySelector("#content").dataset.tab === "`+section+`"`)
			inspect(t, p, section+" on a phone, "+theme)
			p.picture("phone-" + section + "-" + theme)
		}
		for _, size := range []struct {
			name          string
			width, height int64
		}{{"phone-", 360, 740}, {"", 1360, 900}} {
			p.size(size.width, size.height)
			if size.name != "" {
				p.click(`#tabs [data-tab="films"]`)
			}
			p.eval(`document.querySelector("#shelf button:nth-child(4)").click()`)
			p.awaitText("#dialog-title", "Spirited Away")
			inspect(t, p, "a film, "+size.name+theme)
			p.picture(size.name + "film-" + theme)
			p.closeDialog()
			p.eval(`document.querySelector("#feed-list .person-link").click()`)
			p.await("somebody's page is filled", `document.querySelector(".person-page .activity, .person-page .empty")`)
			inspect(t, p, "a person, "+size.name+theme)
			p.picture(size.name + "person-" + theme)
			p.closeDialog()
		}
	}
}

// The audit finds what it is there for.
func TestTheAuditFindsFaults(t *testing.T) {
	t.Parallel()
	b := start(t)
	s := kith.Start(t, kithtest.Options{})
	p := b.open("nobody", s.URL()+"/demo")
	if found := p.eval(audit); found != "[]" {
		t.Errorf("at first there is %s", found)
	}
	p.eval(`(() => {
		const put = (name, style, more) => {
			const e = document.createElement(name);
			Object.assign(e, more);
			Object.assign(e.style, style);
			document.querySelector("#welcome main").append(e);
		};
		put("p", { color: "#999", background: "#fff" }, { textContent: "pale" });
		put("button", {}, { id: "nameless" });
		put("button", { padding: 0, minHeight: 0, height: "12px" }, { textContent: "small" });
		put("div", { width: "3000px", height: "1px" }, { id: "wide" });
		put("p", {}, { id: "wide" });
	})()`)
	found := p.eval(audit)
	for _, want := range []string{"contrast 2.8", "no name for button#nameless", "by 12: button", "beyond the side: div#wide", "two elements are #wide"} {
		if !strings.Contains(found, want) {
			t.Errorf("it does not find %q: %s", want, found)
		}
	}
}

// Who asked for less motion gets none, and who chose a theme keeps it.
func TestPreferencesAreKept(t *testing.T) {
	t.Parallel()
	b := start(t)
	viewer, url := world(t)
	p := b.open("viewer", url, func(p *tab) { p.prefer("light", "reduce") })
	enter(p, viewer)
	p.await("somebody does something", `document.querySelectorAll("#wire-list li").length > 10`)
	if moving := p.eval(`document.getAnimations().filter(a => a.playState === "running").map(a => a.animationName)`); moving != "[]" {
		t.Errorf("what moves is %s", moving)
	}
	p.click(`#app [data-theme-switch]`)
	p.awaitTheme("dark")
	p.reload()
	p.awaitState("live")
	p.awaitTheme("dark")
}

// Everything can be done by keyboard, in an order that makes sense.
func TestTheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	b := start(t)
	viewer, url := world(t)
	p := b.open("viewer", url)
	enter(p, viewer)
	focus := func() string {
		return p.eval(`document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)`)
	}
	// Who came in is past the bar; whoever begins at the top may skip it.
	if got := focus(); got != `"content"` {
		t.Errorf("the focus is on %s", got)
	}
	p.eval(`(() => {
		document.body.tabIndex = -1;
		document.body.focus();
		document.body.removeAttribute("tabindex");
	})()`)
	var order []string
	for range 9 {
		p.press(kb.Tab)
		order = append(order, strings.Trim(focus(), `"`))
	}
	if got := strings.Join(order[:6], ", "); !strings.HasPrefix(got, "Skip to the content, ") || !strings.Contains(got, "sign-out, open-followers, open-following, people-search") {
		t.Errorf("the order is %s", strings.Join(order, ", "))
	}
	// A dialog takes the focus, keeps it, gives it back, and Escape closes it.
	p.eval(`document.querySelector("#open-followers").focus()`)
	p.press(kb.Enter)
	p.awaitIn("#dialog .person", "@")
	if got := focus(); got != `"dialog-title"` {
		t.Errorf("the focus is on %s", got)
	}
	for range 40 {
		p.press(kb.Tab)
		if p.eval(`document.activeElement === document.body || document.querySelector("#dialog").contains(document.activeElement)`) != "true" {
			t.Fatalf("the focus left the dialog, for %s", focus())
		}
	}
	p.press(kb.Escape)
	p.await("the dialog is closed", `!document.querySelector("#dialog").open`)
	if got := focus(); got != `"open-followers"` {
		t.Errorf("the focus is on %s", got)
	}
	// News is said, politely.
	p.await("something is said", `document.querySelector("#news-said").textContent.length > 10`)
	p.await("the connection is said", `document.querySelector("#status-said").textContent === "Live."`)
}
