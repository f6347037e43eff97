// The live stream: one WebSocket at a time, replaced when it breaks, and continued
// where it broke. It knows the protocol and nothing of the page.

const READY_TIME = 10_000; // from opening to the first frame
const PONG_TIME = 8_000;
const SILENCE = 500; // after which what was missed has all come
const BACKOFF = { least: 500, first: 1_000, most: 30_000 };
const MOST_RECENT = 16_384; // ids that are remembered: more than a server replays
const STEADY = 10_000; // a connection that lived so long starts the backoff over

/** What a close code means for us. Every other one is a connection that broke. */
const CLOSES = {
  1001: { why: "The server is restarting.", wait: 1_000 },
  4001: { renew: true },
  4002: { renew: true },
  4003: { end: "This session has ended: it was signed out, or the account was deleted." },
  4008: { why: "This page fell behind and is catching up.", wait: 200 },
  4009: { why: "This account is open in 20 other places, which is the most there can be. Close one of them.", wait: 20_000 },
};

/**
 * Stream calls onState({name, …}) with one of
 *   connecting   the first time
 *   resuming     connected again, what was missed is coming
 *   live         missed: how much came, when it was resuming
 *   offline      why, until (a time in ms)
 *   ended        why: it will not connect again
 * and onFrame(frame) for every frame that is new: what comes twice has the same id
 * and is left out. onReady({user, resumed}) tells that frames will follow.
 */
export class Stream {
  onState = () => {};
  onFrame = () => {};
  onReady = () => {};
  /** token returns the token to use, renewed if asked to; null: there is none. */
  token = async () => null;

  #url = `${location.origin.replace(/^http/, "ws")}/ws`;
  #socket = null;
  #state = { name: "ended" };
  #cursor = null;
  #recent = new Set(); // ids that came, oldest first
  #failures = 0;
  #renewedAt = 0;
  #openedAt = 0;
  #missed = 0;
  #timers = new Map();

  constructor() {
    addEventListener("online", () => this.retry());
    addEventListener("offline", () => this.#check(2_000));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return;
      if (this.#state.name === "offline") this.retry();
      else this.#check(PONG_TIME);
    });
  }

  get state() { return this.#state; }
  get cursor() { return this.#cursor; }

  start() {
    if (this.#state.name !== "ended") return;
    this.#failures = 0;
    this.#connect();
  }

  /** stop closes the stream and forgets where it was. */
  stop() {
    this.#discard(1000);
    this.#cursor = null;
    this.#recent.clear();
    this.#become({ name: "ended", why: "" });
  }

  /** retry connects at once, when it would later. */
  retry() {
    if (this.#state.name === "offline") this.#connect();
  }

  /** drop breaks the connection, to show what then happens. */
  drop(wait) {
    this.#discard(4900);
    this.#offline("You dropped the connection.", wait);
  }

  /** send sends a frame, if there is somebody to take it. */
  send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  async #connect(renew = false) {
    this.#discard();
    this.#become(this.#cursor ? { name: "resuming" } : { name: "connecting" });
    let token;
    try {
      token = await this.token(renew);
    } catch {
      return this.#failed("The server cannot be reached.");
    }
    if (renew) this.#renewedAt = Date.now();
    if (this.#socket || !["connecting", "resuming"].includes(this.#state.name)) return; // stopped, or connected, meanwhile
    if (!token) return this.#become({ name: "ended", why: "The session has expired." });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#missed = 0;
    this.#openedAt = Date.now();
    socket.onopen = () => this.send({ type: "auth", token, ...(this.#cursor && { cursor: this.#cursor }) });
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code }) => this.#closed(code);
    this.#later("ready", READY_TIME, () => this.#failed("The server does not answer."));
  }

  #receive(frame) {
    this.#stopTimer("pong");
    switch (frame.type) {
      case "ready":
        this.#stopTimer("ready");
        this.#beat(frame.data.heartbeat_seconds * 1000);
        this.onReady(frame.data);
        this.onFrame(frame);
        // A resumption that breaks before its first cursor begins where it began.
        if (!frame.data.resumed) this.#cursor = frame.data.cursor;
        if (frame.data.resumed) this.#later("silence", SILENCE, () => this.#live());
        else this.#live();
        return;
      case "cursor":
        this.#cursor = frame.data.cursor;
        break;
    }
    if (frame.id) {
      if (this.#recent.has(frame.id)) return;
      this.#recent.add(frame.id);
      if (this.#recent.size > MOST_RECENT) this.#recent.delete(this.#recent.values().next().value);
      if (this.#state.name === "resuming") {
        this.#missed++;
        this.#later("silence", SILENCE, () => this.#live());
      }
    }
    this.onFrame(frame);
  }

  #live() {
    this.#stopTimer("silence");
    this.#become({ name: "live", missed: this.#missed });
    this.#later("steady", STEADY, () => { this.#failures = 0; });
  }

  // The server's own pings are answered by the browser and tell us nothing: a
  // connection of which nothing has come for long is asked whether it is there.
  #beat(every) {
    this.#later("beat", every, () => {
      this.#check(PONG_TIME);
      this.#beat(every);
    });
  }

  #check(patience) {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#timers.has("pong")) return;
    this.send({ type: "ping" });
    this.#later("pong", patience, () => this.#failed("The connection is lost."));
  }

  #closed(code) {
    const lived = Date.now() - this.#openedAt;
    const meaning = CLOSES[code] ?? { why: code === 1006 && lived < READY_TIME && this.#state.name !== "live" ? "The server cannot be reached." : "The connection broke." };
    this.#discard();
    if (meaning.end) return this.#become({ name: "ended", why: meaning.end });
    if (meaning.renew) {
      const again = Date.now() - this.#renewedAt < 5_000; // the new token was refused as well
      return again ? this.#become({ name: "ended", why: "The server does not accept this token." }) : void this.#connect(true);
    }
    if (meaning.wait) return this.#offline(meaning.why, meaning.wait * (0.75 + Math.random() / 2));
    this.#failed(meaning.why);
  }

  #failed(why) {
    this.#discard();
    const most = Math.min(BACKOFF.most, BACKOFF.first * 2 ** this.#failures++);
    // Half of it at random, so that a thousand pages do not come back at once.
    this.#offline(why, Math.max(BACKOFF.least, most / 2 + Math.random() * (most / 2)));
  }

  #offline(why, wait) {
    this.#become({ name: "offline", why, until: Date.now() + wait });
    this.#later("retry", wait, () => this.#connect());
  }

  #discard(code) {
    for (const name of [...this.#timers.keys()]) this.#stopTimer(name);
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(...(code ? [code] : []));
  }

  #become(state) {
    this.#state = state;
    this.onState(state);
  }

  #later(name, wait, f) {
    this.#stopTimer(name);
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      f();
    }, wait));
  }

  #stopTimer(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
