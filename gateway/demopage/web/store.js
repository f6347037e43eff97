// What the page knows, and how frames and answers change it. No element is
// touched here: whoever shows a part of it listens to that part's name.

import { instant } from "./format.js";

const MOST_FEED = 300; // older activity is a click away
const MOST_NOTICES = 100;
const MOST_WIRE = 60;

export class Store extends EventTarget {
  me = null;
  feed = []; // {id, user, event}, newest recorded first
  feedNext = null;
  feedState = "loading"; // or ready, failed
  notices = []; // {id, time, user}
  noticesState = "loading";
  unread = 0;
  watched = new Map(); // counters of people who are watched, by username
  wire = []; // {n, at, frame, replayed}, newest first
  wireCount = 0;
  /** Whom the caller follows and who follows them, by username; missing: not asked yet. */
  following = new Map();
  followedBy = new Map();
  /** What the caller said about films, by id: {rating, review, seen, watchlist}. */
  films = new Map();
  #latest = new Map(); // users by uid, as new as they were seen
  #dirty = new Set();

  /** touch tells listeners of a part that it changed, once for all that changes now. */
  touch(...parts) {
    if (this.#dirty.size === 0) queueMicrotask(() => {
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const part of dirty) this.dispatchEvent(new Event(part));
    });
    for (const part of parts) this.#dirty.add(part);
  }

  on(part, f) { this.addEventListener(part, f); }

  /** reset forgets everything: somebody else signs in. */
  reset() {
    Object.assign(this, { me: null, feed: [], feedNext: null, feedState: "loading", notices: [], noticesState: "loading", unread: 0, wire: [], wireCount: 0 });
    for (const map of [this.watched, this.following, this.followedBy, this.films, this.#latest]) map.clear();
    this.touch("me", "feed", "notices", "relations", "films", "wire");
  }

  /** name returns the newest name of somebody that was seen. */
  name(uid) { return this.#latest.get(uid)?.name; }

  learn(...users) {
    for (const user of users) {
      const known = this.#latest.get(user.uid);
      if (known && instant(known.updated_at) > instant(user.updated_at)) continue;
      this.#latest.set(user.uid, user);
      if (known && known.name !== user.name) this.touch("names");
      if (this.me?.uid === user.uid) {
        // Counters come in frames of their own, which are newer than what a record holds.
        this.me = { ...user, followers: this.me.followers, following: this.me.following };
        this.touch("me");
      }
    }
  }

  setMe(user) {
    this.me = user;
    this.learn(user);
    this.touch("me", "notices");
  }

  count(counters) {
    if (counters.username === this.me?.username) {
      this.me = { ...this.me, followers: counters.followers, following: counters.following };
      this.touch("me");
    } else {
      this.watched.set(counters.username, counters);
      this.touch("watched");
    }
  }

  /** relate notes who follows whom; undefined leaves a side as it is. */
  relate(username, following, followedBy) {
    if (following !== undefined) this.following.set(username, following);
    if (followedBy !== undefined) this.followedBy.set(username, followedBy);
    this.touch("relations");
  }

  /** addFeed adds activities that it has not, and returns how many were new. */
  addFeed(activities) {
    const had = new Set(this.feed.map(activity => activity.id));
    const fresh = activities.filter(activity => !had.has(activity.id));
    this.learn(...activities.map(activity => activity.user));
    if (fresh.length) {
      this.feed = [...this.feed, ...fresh].sort(newestFirst);
      if (fresh.length < 10 && this.feed.length > MOST_FEED) this.feed.length = MOST_FEED;
      this.touch("feed");
    }
    return fresh.length;
  }

  /**
   * replaceFeed makes the feed a page of it, and what came since: much may have
   * changed that no frame told of.
   */
  replaceFeed(page) {
    const newest = page.activities[0];
    const since = this.feed.filter(activity => !newest || newestFirst(activity, newest) < 0);
    this.feed = [];
    this.feedNext = page.next_cursor;
    this.touch("feed");
    this.addFeed([...since, ...page.activities]);
  }

  /** forget takes what somebody did out of the feed. */
  forgetUser(username) {
    this.feed = this.feed.filter(activity => activity.user.username !== username);
    this.touch("feed");
  }

  forgetEvent(uid, eventID) {
    this.feed = this.feed.filter(({ user, event }) => user.uid !== uid || event.event_id !== eventID);
    this.touch("feed");
  }

  addNotices(notices) {
    const had = new Set(this.notices.map(notice => notice.id));
    const fresh = notices.filter(notice => !had.has(notice.id));
    this.learn(...notices.map(notice => notice.user));
    this.notices = [...this.notices, ...fresh].sort((a, b) => compare(instant(b.time), instant(a.time))).slice(0, MOST_NOTICES);
    this.touch("notices");
    return fresh.length;
  }

  /** takeBack forgets that somebody followed who does no longer, as the server does. */
  takeBack(username) {
    const kept = this.notices.filter(notice => notice.user.username !== username);
    const unread = this.notices.filter((notice, i) => i < this.unread && notice.user.username === username).length;
    this.notices = kept;
    this.setUnread(Math.max(0, this.unread - unread));
  }

  setUnread(unread) {
    this.unread = unread;
    this.touch("notices");
  }

  /** own notes what the caller did with a film, oldest first. */
  own(event) {
    const film = { ...this.films.get(event.movie_id) };
    switch (event.type) {
      case "rating": film.rating = event.rating; film.seen = true; break;
      case "review": film.review = event.review; film.rating = event.rating ?? film.rating; film.seen = true; break;
      case "view": film.seen = true; break;
      case "watchlist_add": film.watchlist = true; break;
      case "watchlist_remove": film.watchlist = false; break;
    }
    this.films.set(event.movie_id, film);
    this.touch("films");
  }

  /** log keeps a frame to show it as it came. */
  log(frame, replayed) {
    this.wire = [{ n: ++this.wireCount, at: Date.now(), frame, replayed }, ...this.wire].slice(0, MOST_WIRE);
    this.touch("wire");
  }
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** newestFirst is the order of the feed everywhere: recorded_at, uid, seq. */
function newestFirst(a, b) {
  return compare(instant(b.event.recorded_at), instant(a.event.recorded_at)) || compare(b.user.uid, a.user.uid) || seq(b) - seq(a);
}

const seq = activity => Number(activity.id.split("/")[1]);
