// The feed: what the people whom one follows do, newest first.

import { $, el, fade, sync } from "./dom.js";
import { card, sentence } from "./activity.js";
import { plural } from "./format.js";
import { failed, say, trouble } from "./shell.js";

const NEAR_TOP = 240; // pixels; who has scrolled further reads, and is not moved
const FOLLOW_PAUSE = 600; // after which a follow's older activity is fetched

export class Feed {
  #store;
  #api;
  #open;
  #unread = 0;
  #loading = null;
  #again = false;
  #anew = false;
  #timer = 0;
  #suggest;

  /** suggest is called by who has nobody to follow yet. */
  constructor(store, api, open, suggest) {
    this.#store = store;
    this.#api = api;
    this.#open = open;
    this.#suggest = suggest;
    store.on("feed", () => this.#show());
    $("feed-more").addEventListener("click", () => this.#older());
    $("feed-fresh").addEventListener("click", () => {
      this.#seen();
      $("feed-title").scrollIntoView({ block: "center" });
    });
    addEventListener("scroll", () => { if (this.#unread && this.#atTop()) this.#seen(); }, { passive: true });
  }

  /** load fetches the newest page, and keeps what is there; anew does not. */
  load({ anew = false } = {}) {
    this.#anew ||= anew;
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = null;
      if (this.#again) {
        this.#again = false;
        this.load();
      }
    });
    return this.#loading;
  }

  async #load() {
    const store = this.#store;
    const first = store.feedState !== "ready";
    try {
      const anew = this.#anew || first;
      this.#anew = false;
      const page = await this.#api.feed();
      if (anew) store.replaceFeed(page);
      else store.addFeed(page.activities);
      store.feedState = "ready";
    } catch (error) {
      if (!("status" in error)) throw error;
      if (first) store.feedState = "failed";
    }
    store.touch("feed");
  }

  /** soon fetches it again: somebody was followed, whose older activity belongs here. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.load(), FOLLOW_PAUSE);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#unread = 0;
    $("feed-fresh").hidden = true;
  }

  /** arrived shows an activity that just happened. */
  arrived(activity) {
    if (!this.#store.addFeed([activity])) return;
    say(sentence(activity));
    if (this.#atTop()) return;
    this.#unread++;
    $("feed-fresh").textContent = `${plural(this.#unread, "new card")} above`;
    $("feed-fresh").hidden = false;
  }

  #atTop() { return $("feed-list").getBoundingClientRect().top > -NEAR_TOP; }

  #seen() {
    this.#unread = 0;
    $("feed-fresh").hidden = true;
  }

  async #older() {
    const button = $("feed-more");
    button.disabled = true;
    try {
      const page = await this.#api.feed(this.#store.feedNext);
      this.#store.feedNext = page.next_cursor;
      this.#store.addFeed(page.activities);
      this.#store.touch("feed");
    } catch (error) {
      trouble(error);
    } finally {
      button.disabled = false;
    }
  }

  #show() {
    const { feed, feedState, feedNext } = this.#store;
    const list = $("feed-list");
    const filled = list.childElementCount > 0;
    sync(list, feed, activity => activity.id, activity => {
      const { user } = activity; // as it was then
      const e = card({ ...activity, user: { ...user, name: this.#store.name(user.uid) ?? user.name } }, this.#open);
      if (!filled) e.removeAttribute("data-new"); // only what comes later moves
      return e;
    }, fade);
    $("feed-more").hidden = !feedNext || feedState !== "ready";
    $("feed-state").replaceChildren(...this.#state(feed, feedState));
  }

  #state(feed, state) {
    if (state === "failed" && !feed.length) return [failed("Your feed could not be loaded.", () => this.load())];
    if (state === "loading" && !feed.length) return [el("div", { class: "skeletons", role: "status", "aria-label": "Loading your feed" }, ...Array.from({ length: 3 }, () => el("div", { class: "skeleton" })))];
    if (feed.length) return [];
    return [el("div", { class: "empty large" },
      el("h3", { text: "A quiet screening room" }),
      el("p", { text: "Follow somebody, and what they watch, rate and write appears here the moment they do." }),
      el("button", { type: "button", class: "primary", text: "Find people", onclick: this.#suggest }))];
  }
}
