// The REST routes that the page uses, and what went wrong in words.

/** Refusal is an answer that was not wanted, or none. */
export class Refusal extends Error {
  constructor(status, message, code = "", field = "") {
    super(message);
    this.status = status; // 0: there was no answer
    this.code = code;
    this.field = field;
  }
}

const TRIES = 3;
const PATIENCE = 5; // seconds that the server may ask to wait

export class Api {
  #session;

  /** onSignedOut is told that the session has ended. */
  onSignedOut = () => {};

  constructor(session) { this.#session = session; }

  register = fields => this.#send("POST", "/auth/register", fields, { signedIn: false });
  login = fields => this.#send("POST", "/auth/login", fields, { signedIn: false });
  logout = () => this.#send("POST", "/auth/logout", {});

  user = name => this.#send("GET", `/users/${path(name)}`);
  profile = name => this.#send("GET", `/users/${path(name)}/profile`);
  people = seed => this.#send("GET", `/users/list?${query({ limit: 24, seed })}`);
  search = q => this.#send("GET", `/users/search?${query({ q, limit: 12 })}`);
  relationships = names => this.#send("GET", `/users/relationships?${new URLSearchParams(names.map(name => ["username", name]))}`);
  list = (name, which, cursor) => this.#send("GET", `/users/${path(name)}/${which}?${query({ limit: 30, cursor })}`);
  events = (name, cursor, limit = 20) => this.#send("GET", `/users/${path(name)}/events?${query({ limit, cursor })}`);
  feed = cursor => this.#send("GET", `/users/self/feed?${query({ limit: 30, cursor })}`);
  notifications = cursor => this.#send("GET", `/users/self/notifications?${query({ limit: 20, cursor })}`);

  follow = name => this.#send("PUT", `/users/self/following/${path(name)}`);
  unfollow = name => this.#send("DELETE", `/users/self/following/${path(name)}`);
  seen = id => this.#send("PUT", "/users/self/notifications/seen", { id });
  /** record may be sent again: the event has an id. */
  record = event => this.#send("POST", "/users/self/events", event);

  async #send(method, url, body, { signedIn = true } = {}) {
    for (let attempt = 1, renewed = false; ; attempt++) {
      const response = await this.#once(method, url, body, signedIn && this.#session.token);
      const answer = await response.json().catch(() => ({}));
      if (response.ok) return answer;
      if (response.status === 401 && signedIn && !renewed) {
        if (await this.#renew()) {
          renewed = true;
          continue;
        }
        this.onSignedOut();
      }
      const wait = Number(response.headers.get("Retry-After"));
      if ((response.status === 429 || response.status === 503) && attempt < TRIES && wait <= PATIENCE) {
        await new Promise(resolve => setTimeout(resolve, Math.max(wait, 1) * 1000));
        continue;
      }
      throw refusal(response, answer, wait);
    }
  }

  async #once(method, url, body, token) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    try {
      return await fetch(url, {
        method, headers, body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit", redirect: "error", signal: AbortSignal.timeout(20_000),
      });
    } catch {
      throw new Refusal(0, "The server cannot be reached right now.");
    }
  }

  async #renew() {
    try {
      return await this.#session.renew();
    } catch {
      throw new Refusal(0, "The server cannot be reached right now.");
    }
  }
}

const path = encodeURIComponent;
const query = fields => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

function refusal({ status }, { message, code, field, reasons }, wait) {
  if (status === 429) message = `That was a lot at once. Try again in ${wait > 1 ? `${wait} seconds` : "a moment"}.`;
  else if (status >= 500) message = "The server has a problem right now. Try again in a moment.";
  else if (Array.isArray(reasons) && reasons.length) message = reasons.join(" ");
  return new Refusal(status, sentence(message ?? `The server answered ${status}.`), code, field);
}

const sentence = text => (/[.!?]$/.test(text) ? text : `${text}.`);
