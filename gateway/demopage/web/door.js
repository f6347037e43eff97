// Coming in: making an account, signing in, or using a token.

import { $ } from "./dom.js";
import { films } from "./films.js";
import { poster } from "./poster.js";
import { Refusal } from "./api.js";

const ways = ["register", "login", "token"];

/** Which field of a form a refusal of the server is about, by its code. */
const fields = { username: "username", name: "name", password: "password" };

export class Door {
  #api;
  #session;
  #entered;

  /** entered is called when somebody came in. */
  constructor(api, session, entered) {
    this.#api = api;
    this.#session = session;
    this.#entered = entered;
    for (const way of ways) {
      $(`tab-${way}`).addEventListener("click", () => this.choose(way));
      $(`tab-${way}`).addEventListener("keydown", event => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        const next = ways.at((ways.indexOf(way) + step) % ways.length);
        this.choose(next);
        $(`tab-${next}`).focus();
      });
      $(`form-${way}`).addEventListener("submit", event => {
        event.preventDefault();
        this.#submit(way, event.currentTarget);
      });
    }
    for (const film of [...films].sort((a, b) => (a.id * 7919) % 1009 - (b.id * 7919) % 1009).slice(0, 18)) $("wall").append(poster(film));
  }

  /** open shows the door, with a word on why, and how one came in before. */
  open(why = "", way = "login") {
    $("welcome").hidden = false;
    const hinted = new URLSearchParams(location.hash.slice(1)).get("sign-in");
    if (hinted) {
      this.choose("login");
      $("l-username").value = hinted.slice(0, 30);
    } else if (why) {
      this.choose(way);
    }
    this.#notice(why);
  }

  close() {
    $("welcome").hidden = true;
    for (const way of ways) $(`form-${way}`).reset();
    this.#notice("");
  }

  choose(way) {
    for (const each of ways) {
      const chosen = each === way;
      $(`tab-${each}`).setAttribute("aria-selected", String(chosen));
      $(`tab-${each}`).tabIndex = chosen ? 0 : -1;
      $(`form-${each}`).hidden = !chosen;
    }
    this.#notice("");
  }

  async #submit(way, form) {
    this.#notice("");
    const given = Object.fromEntries(new FormData(form));
    for (const input of form.elements) {
      input.removeAttribute?.("aria-invalid");
      if (input.required && !input.value.trim()) return this.#wrong(input, `${form.querySelector(`label[for="${input.id}"]`).textContent} is missing.`);
    }
    const button = form.querySelector("button[type=submit]");
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      if (way === "token") this.#session.paste(given.token.trim());
      else this.#session.open(await this.#api[way](given));
      history.replaceState(null, "", location.pathname);
      this.#entered();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const input = form.elements[fields[error.field]];
      if (input) this.#wrong(input, error.message);
      else this.#notice(error.message);
    } finally {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  }

  #wrong(input, message) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
    this.#notice(message);
  }

  #notice(text) {
    $("door-notice").textContent = text;
    $("door-notice").hidden = !text;
  }
}
