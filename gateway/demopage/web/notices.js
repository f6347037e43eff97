// Who began to follow the caller, and every frame as it came.

import { $, el, sync } from "./dom.js";
import { time } from "./activity.js";
import { clockTime, number, plural } from "./format.js";
import { failed, trouble } from "./shell.js";

export class Notices {
  #store;
  #api;
  #people;

  constructor(store, api, people) {
    this.#store = store;
    this.#api = api;
    this.#people = people;
    store.on("notices", () => this.#show());
    $("seen").addEventListener("click", () => this.#seen());
  }

  async load() {
    const store = this.#store;
    try {
      const page = await this.#api.notifications();
      await this.#people.relate(page.notifications.map(notice => notice.user));
      store.addNotices(page.notifications);
      store.noticesState = "ready";
      store.setUnread(page.unread);
    } catch (error) {
      if (!("status" in error)) throw error;
      if (store.noticesState !== "ready") store.noticesState = "failed";
      store.touch("notices");
    }
  }

  async #seen() {
    const { notices, unread } = this.#store;
    if (!notices.length) return;
    this.#store.setUnread(0);
    try {
      await this.#api.seen(notices[0].id);
    } catch (error) {
      this.#store.setUnread(unread);
      trouble(error);
    }
  }

  #show() {
    const { notices, noticesState, unread } = this.#store;
    sync($("notices-list"), notices, notice => notice.id, notice => this.#people.row(notice.user, el("span", { class: "handle" }, el("span", { text: "follows you" }), time(notice.time))));
    [...$("notices-list").children].forEach((e, i) => e.classList.toggle("unread", i < unread));
    for (const id of ["unread", "tab-unread"]) {
      $(id).hidden = unread === 0;
      $(id).textContent = number(unread);
      $(id).setAttribute("aria-label", `${unread} new`);
    }
    document.title = unread ? `(${unread}) Kith, live` : "Kith, live";
    $("seen").hidden = unread === 0;
    $("notices-state").replaceChildren(...this.#state(notices, noticesState));
  }

  #state(notices, state) {
    if (notices.length) return [];
    if (state === "failed") return [failed("Notices could not be loaded.", () => this.load())];
    if (state === "loading") return [];
    return [el("p", { class: "empty", text: "When somebody follows you, it says so here." })];
  }
}

/** Wire shows frames as they came. */
export class Wire {
  #store;
  #stream;

  constructor(store, stream) {
    this.#store = store;
    this.#stream = stream;
    store.on("wire", () => this.#show());
    $("drop").addEventListener("click", () => stream.drop(6_000));
  }

  #show() {
    sync($("wire-list"), this.#store.wire, ({ n }) => n, ({ at, frame, replayed }) => el("li", { class: replayed ? "replayed" : ["cursor", "pong"].includes(frame.type) ? "quiet" : false },
      el("details", {},
        el("summary", {}, el("span", { class: "at", text: clockTime(at) }), el("b", { text: frame.type }), el("span", { class: "about", text: about(frame) }), replayed && el("span", { class: "visually-hidden", text: "missed, and caught up" })),
        el("pre", { text: JSON.stringify(frame, null, 1), tabindex: "0" }))));
    const cursor = this.#stream.cursor;
    $("wire-cursor").textContent = cursor ? `${plural(this.#store.wireCount, "frame")}. Cursor …${cursor.slice(-10)}` : "";
  }
}

function about({ type, data }) {
  switch (type) {
    case "activity": return `@${data.user.username} ${data.event.type}`;
    case "counters": return `@${data.username} ${data.followers}/${data.following}`;
    case "error": return data.code;
    case "auth.expiring": return `${data.seconds} s`;
    default: return data?.user ? `@${data.user.username}` : "";
  }
}
