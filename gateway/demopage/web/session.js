// Who is signed in, in this tab.
//
// The session is kept in sessionStorage: a reload keeps it, closing the tab ends
// it, and every tab is somebody of its own, so that two people can be watched side
// by side. It is not a cookie: the server takes tokens from the Authorization
// header and from the first frame only, so no other site can use them (no CSRF).
// Script could read it, wherever script can send requests; the page's policy lets
// no script in but its own, and its texts are never markup.
//
// A tab that was duplicated begins with a copy. A refresh token can be used once,
// so copies tell each other of the next one.

const KEY = "kith-demo-session";
// What is left of a token's time when it is renewed.
const EARLY = 0.25;

export class Session {
  #kept = null; // {token, refresh, until, lifetime, username}
  #renewing = null;
  #timer = 0;
  #copies = new BroadcastChannel("kith-demo-session");

  /** onRenewed is told of every new token, also of one that a copy got. */
  onRenewed = () => {};

  constructor() {
    try { this.#kept = JSON.parse(sessionStorage.getItem(KEY)); } catch { /* nothing usable is kept */ }
    this.#copies.onmessage = ({ data }) => {
      if (!this.#kept?.refresh || data.was !== this.#kept.refresh) return;
      this.#keep(data.kept);
      this.onRenewed(this.token);
    };
    this.#schedule();
  }

  get token() { return this.#kept?.token ?? null; }
  get username() { return this.#kept?.username ?? null; }
  get refreshable() { return Boolean(this.#kept?.refresh); }

  /** open keeps the answer of registering or logging in. */
  open({ token, refresh_token: refresh, expires_in: seconds, user }) {
    this.#keep({ token, refresh, lifetime: seconds, until: Date.now() + seconds * 1000, username: user.username });
  }

  /** paste keeps a token that somebody got elsewhere. It cannot be renewed. */
  paste(token) { this.#keep({ token }); }

  named(username) { this.#keep({ ...this.#kept, username }); }

  close() {
    clearTimeout(this.#timer);
    this.#kept = null;
    try { sessionStorage.removeItem(KEY); } catch { /* storage is forbidden */ }
  }

  /**
   * renew gets the next token and returns whether there is one. Whoever asks
   * meanwhile gets the same. It throws what may pass: no connection, no time.
   */
  renew() {
    this.#renewing ??= this.#renew().finally(() => { this.#renewing = null; });
    return this.#renewing;
  }

  async #renew() {
    const was = this.#kept?.refresh;
    if (!was) return false;
    const response = await fetch("/auth/refresh", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ refresh_token: was }), signal: AbortSignal.timeout(15_000),
    });
    if (response.status === 401 || response.status === 400) return false;
    if (!response.ok) throw new Error(`The server answered ${response.status} when the session was to be renewed.`);
    const answer = await response.json();
    if (this.#kept?.refresh !== was) return this.#kept !== null; // signed out, or in, meanwhile
    this.open({ ...answer, user: answer.user ?? { username: this.username } });
    this.#copies.postMessage({ was, kept: this.#kept });
    this.onRenewed(this.token);
    return true;
  }

  #keep(kept) {
    this.#kept = kept;
    try { sessionStorage.setItem(KEY, JSON.stringify(kept)); } catch { /* a reload will ask to sign in */ }
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.#timer);
    if (!this.#kept?.refresh) return;
    const { until, lifetime } = this.#kept;
    const wait = until - Date.now() - lifetime * 1000 * EARLY;
    // A failure is no matter yet: the stream asks when its token ends.
    this.#timer = setTimeout(() => this.renew().catch(() => {}), Math.min(Math.max(wait, 0), 2 ** 31 - 1));
  }
}
