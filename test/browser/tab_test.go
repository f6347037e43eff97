package browser_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"kith/test/services"
)

const (
	// waitTime bounds every wait, on a machine that is busy with other tests.
	waitTime = 30 * time.Second
	pollTime = 25 * time.Millisecond
)

// output is where pictures go.
const output = "../output/browser"

// browser is a Chromium with an empty profile.
type browser struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // it is the browser
}

func start(t *testing.T) *browser {
	t.Helper()
	path := services.Chromium(t)
	if err := os.MkdirAll(output, 0o750); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()),
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		// Tabs that are behind another are of people who look as well.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.Flag("disable-backgrounding-occluded-windows", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("lang", "en-US"),
	)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		limited, stop := context.WithTimeout(ctx, waitTime)
		defer stop()
		if err := chromedp.Cancel(limited); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("end Chromium: %v", err)
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &browser{t, ctx}
}

// tab is one tab, of a person of its own: it shares no storage with others.
type tab struct {
	t    *testing.T
	name string
	ctx  context.Context //nolint:containedctx // it is the tab

	mu       sync.Mutex
	offline  bool // failing requests are expected
	problems []string
}

// open opens a page in a tab of its own. The end of the test wants that nothing
// went wrong in it.
func (b *browser) open(name, url string, options ...func(*tab)) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	b.t.Cleanup(cancel)
	p := &tab{t: b.t, name: name, ctx: ctx}
	p.do(chromedp.Do(ctx))
	messages := chromedp.Console(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			p.note(&m)
		}
	})
	b.t.Cleanup(func() {
		if b.t.Failed() {
			p.show()
		}
		cancel()
		wg.Wait()
		for _, problem := range p.problems {
			b.t.Errorf("%s: the console says: %s", name, problem)
		}
	})
	p.size(1360, 900)
	p.theme("light")
	for _, option := range options {
		option(p)
	}
	p.navigate(url)
	return p
}

// note keeps what a page complains about. What the network does is another matter:
// the page must cope with it.
func (p *tab) note(m *chromedp.ConsoleMessage) {
	if !m.IsException() && m.Type != "error" && m.Type != "warning" && m.Source != "security" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	failing := m.Source == "network" || strings.Contains(m.Text, "WebSocket connection to") || strings.Contains(m.Text, "net::ERR_")
	if p.offline && failing {
		return
	}
	p.problems = append(p.problems, fmt.Sprintf("%s %s (%s:%d)", m.Type, m.Text, m.URL, m.Line))
}

// unreliable says that requests of the tab may fail from now on.
func (p *tab) unreliable() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offline = true
}

func (p *tab) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// limited bounds one thing.
func (p *tab) limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, waitTime)
}

func (p *tab) navigate(url string) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	p.do(chromedp.Do(ctx, chromedp.Navigate(url)))
}

func (p *tab) reload() {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	p.do(chromedp.Do(ctx, chromedp.Reload()))
}

// eval returns what an expression is, as JSON.
func (p *tab) eval(expression string) string {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	b, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %s: %v", p.name, expression, err)
	}
	return string(b)
}

// count returns how many elements of a selector have a text in them.
func (p *tab) count(selector, text string) int {
	p.t.Helper()
	var n int
	if err := json.Unmarshal([]byte(p.eval(fmt.Sprintf(`[...document.querySelectorAll(%q)].filter(e => !e.hasAttribute("data-gone") && e.innerText.includes(%q)).length`, selector, text))), &n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// await waits until an expression is true.
func (p *tab) await(what, expression string) {
	p.t.Helper()
	ticker := time.NewTicker(pollTime)
	defer ticker.Stop()
	deadline := time.NewTimer(waitTime)
	defer deadline.Stop()
	for p.eval("Boolean("+expression+")") != "true" {
		select {
		case <-ticker.C:
		case <-deadline.C:
			p.t.Fatalf("%s: it does not come to this: %s", p.name, what)
		}
	}
}

// awaitText waits until an element has exactly a text.
func (p *tab) awaitText(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%s is %q", selector, text), fmt.Sprintf(`document.querySelector(%q)?.innerText.trim() === %q`, selector, text))
}

// awaitIn waits until one of the elements of a selector has a text in it.
func (p *tab) awaitIn(selector, text string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%s has %q", selector, text), fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => !e.hasAttribute("data-gone") && e.innerText.includes(%q))`, selector, text))
}

// awaitState waits until the connection is in a state.
func (p *tab) awaitState(state string) {
	p.t.Helper()
	p.await("the connection is "+state, fmt.Sprintf(`document.body.dataset.connection === %q`, state))
}

// click clicks with the mouse on what can be seen of an element.
func (p *tab) click(selector string) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		p.t.Fatalf("%s: click on %s: %v", p.name, selector, err)
	}
}

// write types into an element.
func (p *tab) write(selector, text string) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(selector), text)); err != nil {
		p.t.Fatalf("%s: write into %s: %v", p.name, selector, err)
	}
}

// press presses a key, wherever the focus is.
func (p *tab) press(keys string) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	p.do(chromedp.Do(ctx, chromedp.KeyEvent(keys)))
}

// closeDialog closes the dialog, and waits until it is gone.
func (p *tab) closeDialog() {
	p.t.Helper()
	p.click("#dialog header button")
	p.await("the dialog is closed", `!document.querySelector("#dialog").open`)
}

func (p *tab) size(width, height int64) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < 500,
	})
	p.do(err)
}

// theme is what the tab's user prefers.
func (p *tab) theme(scheme string) { p.prefer(scheme, "no-preference") }

// awaitTheme waits until the page is in a theme.
func (p *tab) awaitTheme(theme string) {
	p.t.Helper()
	p.await("the theme is "+theme, fmt.Sprintf(`document.documentElement.dataset.theme === %q`, theme))
}

func (p *tab) prefer(scheme, motion string) {
	p.t.Helper()
	ctx, cancel := p.limited()
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}})
	p.do(err)
}

// picture takes a picture of what the tab shows, once nothing moves into place any
// more.
func (p *tab) picture(name string) {
	p.t.Helper()
	p.await("it is at rest", `document.getAnimations().every(a => a.playState !== "running" || a.effect.getComputedTiming().iterations === Infinity || a.animationName === "glow")`)
	p.eval(`document.getAnimations().forEach(a => a.animationName === "arrive" && a.finish())`) // of what came since
	b, err := p.capture()
	p.do(err)
	p.do(os.WriteFile(filepath.Join(output, name+".png"), b, 0o600))
}

func (p *tab) capture() ([]byte, error) {
	ctx, cancel := p.limited()
	defer cancel()
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

// show leaves a picture of a test that failed.
func (p *tab) show() {
	if b, err := p.capture(); err == nil {
		err = os.WriteFile(filepath.Join(output, "failed-"+p.t.Name()+"-"+p.name+".png"), b, 0o600)
		p.t.Logf("%s: there is a picture in test/output/browser (%v)", p.name, err)
	}
}

// ---- what people do

const password = "correct horse"

// register makes an account by the form.
func (p *tab) register(name, username string) {
	p.t.Helper()
	p.write("#r-name", name)
	p.write("#r-username", username)
	p.write("#r-password", password)
	p.click("#form-register button")
	p.awaitState("live")
	p.awaitText("#you-title", name)
}

// signIn logs in by the form.
func (p *tab) signIn(username, password string) {
	p.t.Helper()
	p.click("#tab-login")
	p.write("#l-username", username)
	p.write("#l-password", password)
	p.click("#form-login button")
	p.awaitState("live")
	p.awaitText("#you-handle", "@"+username)
}

// find searches for somebody among people, until they are there.
func (p *tab) find(username string) {
	p.t.Helper()
	p.write("#people-search", username)
	// Others may be there until the answer has come.
	p.await("only "+username+" is found", fmt.Sprintf(`[...document.querySelectorAll("#people-list li")].map(e => e.innerText.includes(%q)).join() === "true"`, "@"+username))
}
