// The live page. This file wires its parts: frames of the stream change the store,
// and the sections show the store.

import { $ } from "./dom.js";
import { Api } from "./api.js";
import { refreshTimes } from "./activity.js";
import { Door } from "./door.js";
import { Feed } from "./feed.js";
import { Films } from "./shelf.js";
import { number, plural } from "./format.js";
import { Notices, Wire } from "./notices.js";
import { People } from "./people.js";
import { face } from "./poster.js";
import { Session } from "./session.js";
import { closeDialog, dialogs, say, status, tabs, themes, toast } from "./shell.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";

const PATIENCE = 3_000; // for the stream, before the page is filled without it

const session = new Session();
const api = new Api(session);
const store = new Store();
const stream = new Stream();
const films = new Films(store, api);
const people = new People(store, api, stream, films);
const open = { person: username => people.person(username), film: film => films.open(film) };
const showTab = tabs(() => {});
const feed = new Feed(store, api, open, () => {
  showTab("people");
  $("people-search").focus();
});
const notices = new Notices(store, api, people);
new Wire(store, stream);
const door = new Door(api, session, enter);

// ---- coming and going

let fallback = 0;
let fillings = 0; // who left meanwhile is not filled any more

function enter() {
  door.close();
  $("app").hidden = false;
  document.body.dataset.screen = "app";
  store.reset();
  showTab("feed");
  scrollTo({ top: 0 });
  $("content").focus({ preventScroll: true });
  stream.start();
  fallback = setTimeout(fill, PATIENCE);
}

function leave(why, way) {
  clearTimeout(fallback);
  fillings++;
  session.close();
  stream.stop();
  feed.clear();
  closeDialog();
  $("app").hidden = true;
  document.body.dataset.screen = "welcome";
  document.title = "Kith, live";
  store.reset();
  door.open(why, way);
}

$("sign-out").addEventListener("click", async () => {
  // A pasted token has no session that could end.
  if (session.refreshable) await api.logout().catch(() => {});
  leave("");
});

api.onSignedOut = () => leave("You were signed out. Sign in again to go on.", session.refreshable ? "login" : "token");
session.onRenewed = token => stream.send({ type: "auth", token });

/** fill loads what the frames then keep up to date. Doing it again adds what is missing. */
async function fill() {
  clearTimeout(fallback);
  const filling = ++fillings;
  const anew = store.feedState === "ready";
  if (!store.me) {
    try {
      const name = session.username ?? (await api.profile("self")).profile.username;
      const { user } = await api.user(name);
      if (filling !== fillings) return;
      welcome(user);
    } catch (error) {
      if (!("status" in error)) throw error;
      if (filling === fillings && session.token) fallback = setTimeout(fill, PATIENCE);
      return;
    }
  }
  await Promise.all([feed.load({ anew }), notices.load(), people.load(), anew && people.again().catch(() => {}), own()]);
}

function welcome(user) {
  store.setMe(user);
  session.named(user.username);
}

async function own() {
  try {
    const { events } = await api.events("self", undefined, 100);
    for (const event of events.reverse()) store.own(event);
  } catch (error) {
    if (!("status" in error)) throw error; // marks on posters are no necessity
  }
}

// ---- the stream

stream.token = async renew => {
  if (!session.token) return null;
  return renew && !(await session.renew()) ? null : session.token;
};

let wasOffline = false;

stream.onState = state => {
  status(state);
  document.body.dataset.connection = state.name;
  if (state.name === "offline") wasOffline = true;
  if (state.name === "live") {
    if (state.missed) toast(`Back, and nothing was lost: ${plural(state.missed, "thing")} happened meanwhile.`);
    else if (wasOffline) toast("Back. Nothing happened meanwhile.");
    wasOffline = false;
  }
  if (state.name === "ended" && state.why && session.token) {
    if (session.refreshable) leave(state.why);
    else leave(`${state.why} A new one: kith token --username NAME.`, "token");
  }
};

stream.onReady = ({ user, resumed }) => {
  const first = !store.me;
  welcome(user);
  store.count({ username: user.username, followers: user.followers, following: user.following });
  people.rewatch();
  if (first || !resumed) fill();
};

const handlers = {
  "follower.added"({ id, time, data }) {
    store.relate(data.user.username, undefined, true);
    if (store.addNotices([{ id, time, user: data.user }])) store.setUnread(store.unread + 1);
    people.relate([data.user]).catch(() => {}); // else the button says Follow
    say(`${data.user.name} follows you.`);
  },
  "follower.removed"({ data }) {
    store.relate(data.user.username, undefined, false);
    store.takeBack(data.user.username);
  },
  "following.added"({ data }) {
    store.relate(data.user.username, true);
    feed.soon();
  },
  "following.removed"({ data }) {
    store.relate(data.user.username, false);
    store.forgetUser(data.user.username);
  },
  counters: ({ data }) => store.count(data),
  activity({ id, data }) {
    if (data.user.uid === store.me.uid) return store.own(data.event);
    people.activity(data);
    // Of somebody who is only watched, it is for their page alone.
    if (store.following.get(data.user.username) !== false || store.feed.some(activity => activity.user.uid === data.user.uid)) feed.arrived({ id, ...data });
  },
  "activity.deleted": ({ data }) => store.forgetEvent(data.uid, data.event_id),
  "profile.updated"({ data }) {
    store.learn(data.user);
  },
  "auth.expiring"({ data }) {
    if (session.refreshable) session.renew().catch(() => {});
    else toast(`This token ends in ${plural(data.seconds, "second")}.`, { bad: true });
  },
  gap() {
    toast("Too much happened while you were away: here is how it is now.");
    fill();
  },
  error({ data }) {
    if (data.code !== "bad_cursor") toast(data.message, { bad: true });
  },
};

stream.onFrame = frame => {
  store.log(frame, Boolean(frame.id) && stream.state.name === "resuming");
  handlers[frame.type]?.(frame);
};

// ---- the caller

store.on("names", () => {
  for (const e of document.querySelectorAll("[data-uid]")) e.textContent = store.name(e.dataset.uid) ?? e.textContent;
});

people.onFollow = (username, following) => {
  if (following) feed.soon();
  else store.forgetUser(username);
};

store.on("me", () => {
  const { me } = store;
  if (!me) return;
  $("you-title").textContent = me.name;
  $("you-handle").textContent = `@${me.username}`;
  if ($("you-face").dataset.of !== me.uid) {
    $("you-face").dataset.of = me.uid;
    $("you-face").replaceChildren(face(me, "large"));
  }
  move($("count-followers"), me.followers);
  move($("count-following"), me.following);
  $("open-followers").lastElementChild.textContent = me.followers === 1 ? "follower" : "followers";
});

/** move shows a number, and that it changed. */
function move(e, n) {
  const text = number(n);
  const was = e.textContent;
  if (was === text) return;
  e.textContent = text;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  e.animate([{ transform: `translateY(${n > Number(was.replace(/\D/g, "")) ? "" : "-"}45%)`, opacity: 0 }, { transform: "none", opacity: 1 }], { duration: 320, easing: "cubic-bezier(.2,.9,.3,1.3)" });
}

$("retry").addEventListener("click", () => stream.retry());
setInterval(refreshTimes, 20_000);
themes();
dialogs();
if (session.token) enter();
else leave("");
