// The films: a shelf of posters, and a dialog in which to say what one thinks.

import { $, el, icon } from "./dom.js";
import { meter, time } from "./activity.js";
import { films } from "./films.js";
import { score } from "./format.js";
import { face, poster } from "./poster.js";
import { closeDialog, openDialog, toast, trouble } from "./shell.js";

const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

export class Films {
  #store;
  #api;
  #buttons = new Map(); // by film id

  constructor(store, api) {
    this.#store = store;
    this.#api = api;
    for (const film of films) {
      const button = el("button", { type: "button", class: "plain shelf-film", tabindex: "-1", "data-find": plain(`${film.title} ${film.maker}`), onclick: () => this.open(film) }, poster(film), el("span", { class: "marks" }));
      this.#buttons.set(film.id, button);
      $("shelf").append(button);
    }
    $("shelf").firstElementChild.tabIndex = 0;
    $("shelf").addEventListener("keydown", event => this.#move(event));
    $("shelf").addEventListener("focusin", event => {
      for (const button of this.#buttons.values()) button.tabIndex = button === event.target ? 0 : -1;
    });
    $("films-search").addEventListener("input", event => this.#filter(plain(event.target.value.trim())));
    store.on("films", () => this.#marks());
    this.#marks();
  }

  #visible() { return [...this.#buttons.values()].filter(button => !button.hidden); }

  #move(event) {
    const buttons = this.#visible();
    const at = buttons.indexOf(document.activeElement);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (next === undefined || !buttons[next]) return;
    event.preventDefault();
    buttons[next].focus();
    buttons[next].scrollIntoView({ block: "nearest", inline: "center" });
  }

  #filter(text) {
    for (const button of this.#buttons.values()) button.hidden = !button.dataset.find.includes(text);
    const shown = this.#visible();
    for (const button of this.#buttons.values()) button.tabIndex = button === shown[0] ? 0 : -1;
    $("shelf").scrollLeft = 0;
    $("films-empty").textContent = "No film of this page has that in its title.";
    $("films-empty").hidden = shown.length > 0;
  }

  #marks() {
    for (const film of films) {
      const mine = this.#store.films.get(film.id) ?? {};
      const button = this.#buttons.get(film.id);
      const said = [
        mine.rating !== undefined && `you gave it ${score(mine.rating)} of 10`,
        mine.rating === undefined && mine.seen && "you have seen it",
        mine.watchlist && "on your watchlist",
      ].filter(Boolean);
      button.setAttribute("aria-label", [`${film.title}, ${film.year}`, ...said].join(", "));
      button.lastElementChild.replaceChildren(...[
        mine.rating !== undefined && el("span", { class: "mark rated", text: score(mine.rating) }),
        mine.rating === undefined && mine.seen && el("span", { class: "mark" }, icon("seen")),
        mine.watchlist && el("span", { class: "mark kept" }, icon("keep")),
      ].filter(Boolean));
    }
  }

  /** open shows a film, what friends think of it, and what to do with it. */
  open(film) {
    const mine = this.#store.films.get(film.id) ?? {};
    const output = el("output", { for: "rate", class: "rate-value" });
    const range = el("input", { type: "range", id: "rate", name: "rating", min: 0, max: 10, step: 0.5, value: mine.rating ?? 7 });
    const show = () => {
      output.textContent = score(Number(range.value));
      range.setAttribute("aria-valuetext", `${score(Number(range.value))} of 10`);
      range.style.setProperty("--filled", `${range.value * 10}%`);
    };
    range.addEventListener("input", show);
    show();
    const review = el("textarea", { id: "review", name: "review", rows: 3, maxlength: 10_000, placeholder: "One line is plenty." });
    const submit = el("button", { type: "submit", class: "primary", text: "Post rating" });
    review.addEventListener("input", () => { submit.textContent = review.value.trim() ? "Post review" : "Post rating"; });
    const act = (type, text) => el("button", { type: "button", text, onclick: event => this.#record(film, { type }, event.currentTarget) });
    openDialog(film.title, el("div", { class: "film-page" },
      el("div", { class: "film-poster" }, poster(film)),
      el("div", { class: "film-body" },
        el("p", { class: "film-facts", text: [film.maker, film.year || ""].filter(Boolean).join(", ") }),
        el("form", { class: "rate", onsubmit: event => {
          event.preventDefault();
          const text = review.value.trim();
          this.#record(film, { type: text ? "review" : "rating", rating: Number(range.value), ...(text && { review: text }) }, submit);
        } },
          el("div", { class: "rate-line" }, el("label", { for: "rate", text: "Your rating" }), el("span", { class: "rate-number" }, output, el("span", { class: "of", text: "/10" }))),
          range,
          el("label", { for: "review", text: "A few words, if you like" }), review,
          el("div", { class: "row" }, submit, act("view", "Just watched it"), mine.watchlist ? act("watchlist_remove", "Off my watchlist") : act("watchlist_add", "Keep for later"))),
        this.#friends(film))), { kind: "wide" });
  }

  #friends(film) {
    const said = new Map();
    for (const { user, event } of this.#store.feed) if (event.movie_id === film.id && event.rating !== undefined && !said.has(user.uid)) said.set(user.uid, { user, event });
    if (!said.size) return null;
    return el("section", { class: "friends", "aria-labelledby": "friends-title" }, el("h3", { id: "friends-title", text: "Your friends" }),
      el("ul", { class: "persons" }, ...[...said.values()].slice(0, 5).map(({ user, event }) => el("li", { class: "person" }, face(user, "tiny"), el("span", { class: "names" }, el("b", { text: user.name }), time(event.recorded_at)), meter(event.rating)))));
  }

  async #record(film, event, button) {
    button.disabled = true;
    // The id makes it safe to send it twice, should an answer get lost.
    const whole = { ...event, event_id: crypto.randomUUID?.() ?? id(), movie_id: film.id, event_details: { title: film.title }, context: { source_page: "demo" } };
    try {
      const answer = await this.#api.record(whole);
      this.#store.own(answer.event);
      closeDialog();
      toast({
        rating: `You gave ${film.title} ${score(event.rating)}. Your followers see it now.`,
        review: `Your review of ${film.title} is out.`,
        view: `You watched ${film.title}.`,
        watchlist_add: `${film.title} is on your watchlist.`,
        watchlist_remove: `${film.title} is off your watchlist.`,
      }[event.type]);
    } catch (error) {
      button.disabled = false;
      trouble(error);
    }
  }
}

// crypto.randomUUID exists in secure contexts only: not over plain HTTP from
// another machine.
function id() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0")).join("");
}
