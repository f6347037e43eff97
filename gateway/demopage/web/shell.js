// The frame around the sections: the state of the connection, tabs on a phone, the
// theme, dialogs, and short messages.

import { $, el, fade, icon } from "./dom.js";

// ---- themes

export function themes() {
  const root = document.documentElement;
  const name = () => {
    const other = root.dataset.theme === "dark" ? "light" : "dark";
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.setAttribute("aria-label", `Use the ${other} theme`);
      button.title = `Use the ${other} theme`;
    }
  };
  for (const button of document.querySelectorAll("[data-theme-switch]")) button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("kith-theme", root.dataset.theme); } catch { /* it lasts until the reload */ }
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", event => {
    let chosen = null;
    try { chosen = localStorage.getItem("kith-theme"); } catch { /* nothing was chosen */ }
    if (!chosen) root.dataset.theme = event.matches ? "dark" : "light";
    name();
  });
  name();
}

// ---- tabs, on a phone

export function tabs(onShown) {
  for (const button of $("tabs").children) button.addEventListener("click", () => show(button.dataset.tab));
  const show = tab => {
    if ($("content").dataset.tab === tab) return scrollTo({ top: 0, behavior: "smooth" });
    $("content").dataset.tab = tab;
    for (const button of $("tabs").children) button.toggleAttribute("aria-current", button.dataset.tab === tab);
    for (const button of $("tabs").querySelectorAll("[aria-current]")) button.setAttribute("aria-current", "page");
    scrollTo({ top: 0 });
    onShown(tab);
  };
  return show;
}

// ---- the connection

const words = {
  connecting: "Connecting",
  resuming: "Catching up",
  live: "Live",
  offline: "Offline",
  ended: "Signed out",
};

let countdown = 0;

/** status shows a state of the stream. */
export function status(state) {
  clearInterval(countdown);
  const offline = state.name === "offline";
  $("status").dataset.state = state.name;
  $("status-text").textContent = words[state.name];
  $("offline").hidden = !offline;
  if (offline) {
    const show = () => {
      const seconds = Math.max(0, Math.ceil((state.until - Date.now()) / 1000));
      $("offline-when").textContent = `Trying again in ${seconds} s.`;
    };
    $("offline-why").textContent = state.why;
    show();
    countdown = setInterval(show, 250);
  }
  // Said once for a state: not every second of a countdown.
  if (state.name !== "ended") $("status-said").textContent = offline ? `Offline. ${state.why} Trying again soon.` : `${words[state.name]}.`;
}

// ---- messages

const TOAST_TIME = 6_000;

/** toast says something for a moment. */
export function toast(text, { bad = false } = {}) {
  const e = el("p", { class: bad ? "toast bad" : "toast", text });
  // What is outside of an open dialog cannot be seen or heard.
  const shown = $($("dialog").open ? "dialog-toasts" : "toasts");
  // What is said again takes the place of what was said.
  if (shown.lastElementChild?.textContent === text) shown.lastElementChild.remove();
  shown.append(e);
  while (shown.children.length > 3) shown.firstElementChild.remove();
  setTimeout(() => fade(e), TOAST_TIME);
}

/** trouble says what went wrong. Other errors than ours are bugs, and stay visible. */
export function trouble(error) {
  if (!("status" in error)) throw error;
  toast(error.message, { bad: true });
}

let sayTimer = 0;
let unsaid = [];

/** say tells a screen reader what is new, a few things at a time. */
export function say(text) {
  unsaid.push(text);
  if (sayTimer) return;
  sayTimer = setTimeout(() => {
    $("news-said").textContent = unsaid.length > 3 ? `${unsaid.length} new things, the last: ${unsaid.at(-1)}` : unsaid.join(" ");
    unsaid = [];
    sayTimer = 0;
  }, 2_000);
}

/** failed is what stands where something could not be loaded. */
export function failed(what, again) {
  return el("div", { class: "empty bad" }, el("p", { text: what }), el("button", { type: "button", class: "link", text: "Try again", onclick: again }));
}

// ---- dialogs

let onClosed = null;

/** openDialog shows content in the one dialog; closed is called when it goes. */
export function openDialog(title, content, { closed = null, kind = "" } = {}) {
  const dialog = $("dialog");
  onClosed?.();
  onClosed = closed;
  dialog.className = kind;
  $("dialog-inner").replaceChildren(
    el("header", { class: "dialog-head" },
      el("h2", { id: "dialog-title", text: title, tabindex: "-1" }),
      el("button", { class: "quiet square", type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"))),
    ...[content].flat());
  if (!dialog.open) dialog.showModal();
  $("dialog-inner").scrollTop = 0;
  $("dialog-title").focus();
}

export function closeDialog() { if ($("dialog").open) $("dialog").close(); }

export function dialogs() {
  $("dialog").addEventListener("close", () => {
    onClosed?.();
    onClosed = null;
    $("dialog-inner").replaceChildren();
  });
  // A click beside it closes it.
  $("dialog").addEventListener("click", event => { if (event.target === $("dialog")) closeDialog(); });
}
