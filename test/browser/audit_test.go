package browser_test

import (
	"encoding/json"
	"testing"
)

// audit is a script that returns what a person may not be able to read, reach or
// understand, each as a line: WCAG 2.2 AA as far as a script can judge.
const audit = `(() => {
	const found = new Set();
	// What moves into place, or from one theme to the other, is judged where it ends.
	for (const a of document.getAnimations()) if (a.effect.getComputedTiming().endTime !== Infinity) a.finish();
	const modal = document.querySelector("dialog[open]");
	const scope = modal ?? document.body;
	const visible = e => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
	const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className && e.className.baseVal === undefined ? "." + e.className.replaceAll(" ", ".") : "");

	// Colours, as the browser paints them.
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
	const paint = (...colours) => {
		canvas.clearRect(0, 0, 1, 1);
		for (const colour of colours) {
			canvas.fillStyle = colour;
			canvas.fillRect(0, 0, 1, 1);
		}
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
	const behind = e => {
		const layers = [];
		for (let at = e; at; at = at.parentElement) {
			const style = getComputedStyle(at);
			if (style.backgroundImage.includes("url")) return null;
			layers.unshift(style.backgroundColor);
			if (paint(style.backgroundColor)[3] === 255) break;
		}
		return layers;
	};
	const texts = document.createTreeWalker(scope, NodeFilter.SHOW_TEXT);
	for (let node; (node = texts.nextNode());) {
		const e = node.parentElement;
		if (!node.data.trim() || !visible(e) || e.closest("[aria-hidden=true], [inert], .visually-hidden, .skip, :disabled")) continue;
		const style = getComputedStyle(e);
		const layers = behind(e);
		if (!layers) continue;
		const ratio = contrast(paint(...layers, style.color), paint(...layers));
		const size = parseFloat(style.fontSize);
		const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
		if (ratio < (large ? 3 : 4.5)) found.add("contrast " + ratio.toFixed(2) + " of " + name(e) + ": " + node.data.trim().slice(0, 30));
	}

	// Controls: named, and large enough unless they are words in a text.
	for (const e of scope.querySelectorAll("button, a[href], input, textarea, select, summary, [role=tab]")) {
		if (!visible(e) || e.closest("[aria-hidden=true], [inert]")) continue;
		const labelled = e.getAttribute("aria-label") || e.labels?.length || e.innerText?.trim() || e.getAttribute("aria-labelledby");
		if (!labelled) found.add("no name for " + name(e));
		const box = e.getBoundingClientRect();
		const inText = e.matches("a, .link, .person-link, .film-link");
		if (!e.classList.contains("skip") && !inText && (box.width < 24 || box.height < 24) && e.tagName !== "SUMMARY") found.add("only " + Math.round(box.width) + " by " + Math.round(box.height) + ": " + name(e));
	}

	// Nothing goes beyond the sides, but inside of what scrolls by itself.
	if (document.scrollingElement.scrollWidth > innerWidth) found.add("the page is " + document.scrollingElement.scrollWidth + " wide");
	for (const e of scope.querySelectorAll("*")) {
		if (!visible(e) || e.closest(".shelf, .visually-hidden, .skip, svg, .frames")) continue;
		const box = e.getBoundingClientRect();
		if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) found.add("beyond the side: " + name(e));
	}

	// Structure.
	const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.add("two elements are #" + id);
	for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
		for (const e of document.querySelectorAll("[" + attribute + "]")) {
			for (const id of e.getAttribute(attribute).split(" ")) if (!document.getElementById(id) && id !== "dialog-title") found.add(attribute + " of " + name(e) + " names nothing");
		}
	}
	if ([...document.querySelectorAll("main")].filter(visible).length !== 1) found.add("there is not one main");
	if ([...document.querySelectorAll("h1")].filter(e => e.checkVisibility()).length !== 1) found.add("there is not one h1");
	for (const e of document.querySelectorAll("img:not([alt])")) found.add("no alt: " + name(e));
	return [...found];
})()`

// inspect reports what the audit finds in what a tab shows.
func inspect(t *testing.T, p *tab, where string) {
	t.Helper()
	var found []string
	if err := json.Unmarshal([]byte(p.eval(audit)), &found); err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Errorf("%s: %s", where, line)
	}
}
