// One thing that somebody did with a film, as a card.

import { el, icon } from "./dom.js";
import { filmOf } from "./films.js";
import { ago, fullTime, score } from "./format.js";
import { face, thumbnail } from "./poster.js";

const verbs = {
  view: "watched",
  rating: "rated",
  review: "reviewed",
  watchlist_add: "wants to see",
  watchlist_remove: "no longer wants to see",
};

/** time shows how long ago something was; refreshTimes keeps it true. */
export const time = iso => el("time", { datetime: iso, title: fullTime(iso), text: ago(iso) });

export function refreshTimes() {
  for (const e of document.querySelectorAll("time[datetime]")) {
    const text = ago(e.dateTime);
    if (e.textContent !== text) e.textContent = text;
  }
}

/** meter shows a rating of ten as a number and as ten lights. */
export function meter(rating) {
  const lights = el("span", { class: "lights", "aria-hidden": "true" });
  for (let i = 1; i <= 10; i++) lights.append(el("i", { class: rating >= i ? "on" : rating >= i - 0.5 ? "half" : false }));
  return el("span", { class: "meter" }, el("b", { text: score(rating) }), el("span", { class: "of", text: "/10" }), lights);
}

const SHORT = 280;

/** review shows what somebody wrote, the rest of a long one when asked. */
function review(text) {
  if (text.length <= SHORT * 1.3) return el("blockquote", { text });
  const cut = text.lastIndexOf(" ", SHORT);
  const e = el("blockquote", { text: `${text.slice(0, cut > 0 ? cut : SHORT)}… ` });
  e.append(el("button", { type: "button", class: "link", text: "Read on", onclick: () => { e.textContent = text; } }));
  return e;
}

/**
 * card makes the card of an activity. open.person(username) and open.film(film) are
 * called when somebody wants to see more; without person, whose it is is not shown.
 */
export function card({ user, event }, open) {
  const film = filmOf(event);
  const big = event.type === "rating" || event.type === "review";
  const verb = verbs[event.type] ?? event.type;
  const title = el("button", { type: "button", class: "film-link", text: film.title, onclick: () => open.film(film) });
  return el("li", { class: `activity ${big ? "big" : "small"} ${event.type}`, "data-new": "" },
    el("article", {},
      open.person && el("button", { type: "button", class: "plain face-button", tabindex: "-1", "aria-hidden": "true", onclick: () => open.person(user.username) }, face(user)),
      el("div", { class: "what" },
        el("p", { class: "line" },
          open.person && el("button", { type: "button", class: "person-link", "data-uid": user.uid, title: `@${user.username}`, text: user.name, onclick: () => open.person(user.username) }),
          " ", el("span", { class: "verb" }, event.type === "watchlist_add" && icon("keep"), verb), " ", title,
          film.year > 0 && big && el("span", { class: "year", text: ` ${film.year}` })),
        big && event.rating !== undefined && meter(event.rating),
        event.review && review(event.review),
        el("p", { class: "when" }, time(event.recorded_at))),
      el("button", { type: "button", class: "plain thumbnail-button", tabindex: "-1", "aria-hidden": "true", onclick: () => open.film(film) }, thumbnail(film))));
}

/** sentence says an activity. */
export function sentence({ user, event }) {
  const of = event.rating === undefined || !["rating", "review"].includes(event.type) ? "" : `, ${score(event.rating)} of 10`;
  return `${user.name} ${verbs[event.type] ?? event.type} ${filmOf(event).title}${of}.`;
}
