// People: finding them, following them, who follows whom, and one person's page.

import { $, el, sync } from "./dom.js";
import { card } from "./activity.js";
import { number, plural } from "./format.js";
import { face } from "./poster.js";
import { failed, openDialog, trouble } from "./shell.js";

const TYPING = 200; // pause in typing after which is searched
const SHOWN = 6;

export class People {
  #store;
  #api;
  #stream;
  #films;
  #seed = Math.random().toString(36).slice(2);
  #found = [];
  #query = "";
  #timer = 0;
  #watching = null; // {username, list, user}: the person whose page is open

  /** onFollow(username, following) is told what the caller does here. */
  onFollow = () => {};

  constructor(store, api, stream, films) {
    this.#store = store;
    this.#api = api;
    this.#stream = stream;
    this.#films = films;
    store.on("relations", () => this.#relations());
    store.on("watched", () => this.#counters());
    $("people-search").addEventListener("input", event => {
      clearTimeout(this.#timer);
      this.#query = event.target.value.trim();
      this.#timer = setTimeout(() => this.load(), TYPING);
    });
    $("people-more").addEventListener("click", () => {
      this.#seed = Math.random().toString(36).slice(2);
      this.load();
    });
    $("open-followers").addEventListener("click", () => this.list(store.me, "followers"));
    $("open-following").addEventListener("click", () => this.list(store.me, "following"));
  }

  /** load finds who is searched for, else some people whom one does not follow. */
  async load() {
    const query = this.#query;
    try {
      const { users } = await (query ? this.#api.search(query) : this.#api.people(this.#seed));
      if (query !== this.#query) return; // typed on
      const others = users.filter(user => user.uid !== this.#store.me?.uid);
      await this.relate(others);
      if (query !== this.#query) return;
      this.#found = query ? others : others.filter(user => !this.#store.following.get(user.username)).slice(0, SHOWN);
      this.#show(query, others.length);
    } catch (error) {
      if (!("status" in error)) throw error;
      $("people-list").replaceChildren();
      this.#empty("People could not be loaded.");
      $("people-more").hidden = false;
    }
  }

  #show(query, others) {
    sync($("people-list"), this.#found, user => user.uid, user => this.row(user));
    $("people-more").hidden = Boolean(query) || !others;
    if (this.#found.length) this.#empty("");
    else if (query) this.#empty(`Nobody here is called “${query}”.`);
    else if (others) this.#empty("You follow everybody who came by.");
    else this.#empty("Nobody else is here yet. Open this page in a second tab and be your own friend.");
  }

  #empty(text) {
    $("people-empty").textContent = text;
    $("people-empty").hidden = !text;
  }

  /** relate asks whom of some people the caller follows, unless that is known. */
  async relate(users) {
    this.#store.learn(...users);
    const unknown = users.map(user => user.username).filter(name => !this.#store.following.has(name) || !this.#store.followedBy.has(name));
    if (!unknown.length) return;
    const { relationships } = await this.#api.relationships(unknown);
    for (const r of relationships) this.#store.relate(r.username, r.following, r.followed_by);
  }

  /** again asks whom the caller follows of those who are shown: much may have changed. */
  async again() {
    const names = [...new Set([...document.querySelectorAll("[data-follow]")].map(e => e.dataset.follow))].slice(0, 100);
    if (!names.length) return;
    const { relationships } = await this.#api.relationships(names);
    for (const r of relationships) this.#store.relate(r.username, r.following, r.followed_by);
  }

  /** row shows a person in a list, with a button to follow them. */
  row(user, note = null) {
    return el("li", { class: "person" },
      el("button", { type: "button", class: "plain person-open", onclick: () => this.person(user.username) },
        face(user),
        el("span", { class: "names" }, el("b", { "data-uid": user.uid, text: this.#store.name(user.uid) ?? user.name }), note ?? el("span", { class: "handle" }, `@${user.username}`, el("span", { class: "mutual", "data-mutual": user.username, hidden: !this.#store.followedBy.get(user.username), text: "follows you" })))),
      this.#button(user));
  }

  #button(user) {
    if (user.username === this.#store.me?.username) return null;
    const button = el("button", { type: "button", class: "follow", "data-follow": user.username, "data-name": user.name, onclick: () => this.#toggle(user.username) });
    this.#dress(button);
    return button;
  }

  #dress(button) {
    const following = this.#store.following.get(button.dataset.follow) === true;
    button.textContent = following ? "Following" : "Follow";
    button.setAttribute("aria-pressed", String(following));
    button.setAttribute("aria-label", following ? `Following ${button.dataset.name}, press to stop` : `Follow ${button.dataset.name}`);
  }

  #relations() {
    for (const button of document.querySelectorAll("[data-follow]")) this.#dress(button);
    for (const e of document.querySelectorAll("[data-mutual]")) e.hidden = !this.#store.followedBy.get(e.dataset.mutual);
  }

  async #toggle(username) {
    const following = this.#store.following.get(username) !== true;
    this.#store.relate(username, following);
    try {
      await (following ? this.#api.follow(username) : this.#api.unfollow(username));
      this.onFollow(username, following);
    } catch (error) {
      this.#store.relate(username, !following);
      trouble(error);
    }
  }

  /** list shows who follows somebody, or whom they follow. */
  async list(user, which) {
    const body = el("ul", { class: "persons roomy" });
    const state = el("div");
    const more = el("button", { type: "button", class: "more", text: "Show more", hidden: true, onclick: () => load(more.dataset.cursor) });
    const mine = user.uid === this.#store.me?.uid;
    openDialog(mine ? { followers: "Your followers", following: "You follow" }[which] : `${user.name}: ${which}`, [state, body, more], { kind: "narrow" });
    const load = async cursor => {
      state.replaceChildren();
      more.disabled = true;
      try {
        const page = await this.#api.list(user.username, which, cursor);
        if (mine) for (const u of page.users) this.#store.relate(u.username, which === "following" || undefined, which === "followers" || undefined);
        await this.relate(page.users.filter(u => u.uid !== this.#store.me?.uid));
        body.append(...page.users.map(u => this.row(u)));
        more.hidden = !page.next_cursor;
        more.dataset.cursor = page.next_cursor ?? "";
        if (!body.childElementCount) state.append(el("p", { class: "empty", text: which === "followers" ? "Nobody yet." : "Nobody yet. Follow somebody and they stand here." }));
      } catch (error) {
        if (!("status" in error)) throw error;
        state.append(error.status === 403 ? el("p", { class: "empty", text: "Only people whom they follow can see this." }) : failed("This list could not be loaded.", () => load(cursor)));
      } finally {
        more.disabled = false;
      }
    };
    await load();
  }

  /** person shows one person, live as long as it is open. */
  async person(username) {
    const state = el("div", { role: "status" }, el("div", { class: "skeleton" }));
    const page = el("div", { class: "person-page" }, state);
    const watching = { username, user: null, list: null, counts: null };
    openDialog(`@${username}`, page, { kind: "wide", closed: () => this.#unwatch(watching) });
    let user;
    try {
      const answer = await this.#api.user(username);
      user = answer.user;
      if (user.uid !== this.#store.me.uid) {
        this.#store.relate(username, answer.following);
        await this.relate([user]);
      }
    } catch (error) {
      if (!("status" in error)) throw error;
      return state.replaceChildren(error.status === 404 ? el("p", { class: "empty", text: "This account is gone." }) : failed("This page could not be loaded.", () => this.person(username)));
    }
    watching.user = user;
    $("dialog-title").textContent = user.name;
    watching.counts = el("div", { class: "counts inline" });
    watching.list = el("ol", { class: "activities" });
    const bio = el("p", { class: "bio" });
    const empty = el("div");
    page.replaceChildren(
      el("div", { class: "person-head" }, face(user, "large"), el("div", {}, el("p", { class: "handle" }, `@${username}`, user.role === "creator" && el("span", { class: "mutual", text: "creator" }), el("span", { class: "mutual", "data-mutual": username, hidden: !this.#store.followedBy.get(username), text: "follows you" }))), this.#button(user)),
      bio, watching.counts, empty, watching.list);
    this.#store.watched.delete(username);
    this.#watching = watching;
    this.#counters();
    if (user.uid !== this.#store.me.uid) this.#stream.send({ type: "watch", username });
    await this.#history(watching, bio, empty);
  }

  async #history({ user, list }, bio, empty) {
    try {
      const [{ profile }, page] = await Promise.all([this.#api.profile(user.username), this.#api.events(user.username)]);
      bio.textContent = profile.bio;
      const fresh = new Set([...list.children].map(e => e.dataset.event));
      for (const event of page.events) if (!fresh.has(event.event_id)) list.append(this.#eventCard(user, event));
      if (!list.childElementCount) empty.replaceChildren(el("p", { class: "empty", text: "Nothing to see yet. It appears here as it happens." }));
    } catch (error) {
      if (!("status" in error)) throw error;
      empty.replaceChildren(error.status === 403
        ? el("p", { class: "empty", text: "A private profile: only people whom they follow see more." })
        : failed("What they did could not be loaded.", () => { empty.replaceChildren(); this.#history({ user, list }, bio, empty); }));
    }
  }

  #eventCard(user, event) {
    const e = card({ user, event }, { film: film => this.#films.open(film) });
    e.removeAttribute("data-new");
    e.dataset.event = event.event_id;
    return e;
  }

  /** activity shows what the person did whose page is open, and tells whether it was them. */
  activity({ user, event }) {
    const open = this.#watching;
    if (!open?.list || open.user.uid !== user.uid) return;
    const e = this.#eventCard(user, event);
    e.setAttribute("data-new", "");
    open.list.prepend(e);
    open.list.previousElementSibling.replaceChildren();
  }

  /** rewatch tells a new connection whose page is open: a watch belongs to its connection. */
  rewatch() {
    if (this.#watching && this.#watching.user.uid !== this.#store.me?.uid) this.#stream.send({ type: "watch", username: this.#watching.username });
  }

  #unwatch(watching) {
    if (this.#watching !== watching) return;
    this.#watching = null;
    this.#stream.send({ type: "unwatch", username: watching.username });
    this.#store.watched.delete(watching.username);
  }

  #counters() {
    const open = this.#watching;
    if (!open?.counts) return;
    const { followers, following } = this.#store.watched.get(open.username) ?? open.user;
    const show = (which, n, words) => el("button", { type: "button", class: "link", onclick: () => this.list(open.user, which) }, el("b", { text: number(n) }), ` ${words}`);
    open.counts.replaceChildren(show("followers", followers, plural(followers, "follower").split(" ")[1]), show("following", following, "following"));
  }
}
