// Posters and pictures of people: drawn here, from an id and a few colours. No
// picture is loaded from elsewhere, so nobody learns who looks at what.

import { el, svg } from "./dom.js";
import { motifs } from "./motifs.js";

// back, far, mid, near and spot, from the paper to what catches the eye.
const palettes = {
  ash: ["#e7e2d8", "#c3bcae", "#8d8678", "#2d2a27", "#c2402c"],
  candy: ["#f7e3df", "#f0b7b4", "#d9798b", "#5c2a4d", "#f2a03d"],
  deep: ["#10172c", "#22305a", "#3d5a94", "#0a0e1c", "#f3d9a0"],
  dusk: ["#d9c7b8", "#8fa3b5", "#5b7089", "#27323f", "#e9a45b"],
  ember: ["#f3dcc0", "#e2955b", "#c4432a", "#3a1616", "#f7c95c"],
  ink: ["#17161a", "#3a3740", "#6a6570", "#08080a", "#d8452f"],
  lantern: ["#2a1a2e", "#64304a", "#a5423f", "#180e1c", "#f5b04c"],
  moss: ["#dfe0c6", "#9fb08a", "#5f7d5d", "#22352d", "#d9593a"],
  mustard: ["#f4e4b3", "#e3b341", "#b9772a", "#2f2320", "#c43d2b"],
  paper: ["#f0e9da", "#cfc4ae", "#978b77", "#33302c", "#b8352b"],
  phosphor: ["#0d1613", "#1d3b2f", "#3c7a57", "#060a09", "#8df0a6"],
  sand: ["#f6e0bb", "#e9b97c", "#c98248", "#5b3423", "#f6f0de"],
  sky: ["#d7e8ea", "#8fc1cf", "#4f8fb0", "#1d3a56", "#f4f1e4"],
  steel: ["#cfd6da", "#94a4b0", "#5c7182", "#1f2a33", "#e0663c"],
  twilight: ["#2b2350", "#5a3f83", "#a65a92", "#171232", "#fdc47d"],
};

/** stream returns a random stream of a seed: the same one every time. */
function stream(seed) {
  let a = Number(BigInt.asUintN(32, BigInt(Math.trunc(seed)) * 2654435761n)) || 1;
  return () => { // mulberry32
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const pick = (random, from) => from[Math.floor(random() * from.length)];

function art(film) {
  const random = stream(film.id);
  // Of a film that is not in the list, the id chooses.
  const motif = film.motif ?? pick(random, ["blocks", "hills", "rings", "sun", "city", "windows", "kith", "spiral"]);
  const [back, far, mid, near, spot] = palettes[film.palette ?? pick(random, Object.keys(palettes))];
  return [back, near, svg("svg", { viewBox: "0 0 100 110", preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" },
    svg("rect", { width: 100, height: 110, fill: back }), motifs[motif]({ back, far, mid, near, spot }, random))];
}

/** poster draws a film with its title. */
export function poster(film) {
  const [back, , drawing] = art(film);
  const dark = luminance(back) < 0.3;
  const e = el("span", { class: `poster ${dark ? "on-dark" : "on-light"}`, "aria-hidden": "true" },
    drawing,
    el("span", { class: "poster-title" },
      el("b", { text: film.title, class: film.title.length > 22 ? "long" : false }),
      film.maker && el("i", { text: film.maker })));
  e.style.setProperty("--back", back);
  return e;
}

/** thumbnail draws a film without its title, for where that stands beside it. */
export function thumbnail(film) {
  const [back, , drawing] = art(film);
  const e = el("span", { class: "thumbnail", "aria-hidden": "true" }, drawing);
  e.style.setProperty("--back", back);
  return e;
}

function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// Text on each of these is white, with a contrast of at least 4.5.
const faces = ["#8a3b2e", "#7a4a12", "#5d5a1a", "#2f6242", "#1f6169", "#2c5a8c", "#4a4d9b", "#6d418f", "#8b3870", "#5b5048"];

/** initials are the first letters of up to two words of a name. */
function initials(name) {
  const words = name.trim().split(/\s+/u);
  const first = word => [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(word)][0]?.segment ?? "";
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : "")).toUpperCase();
}

/**
 * face shows who somebody is: their photo if this server keeps it, else their
 * initials. A picture at any other address is not loaded.
 */
export function face(user, size = "") {
  const e = el("span", { class: `face ${size}`, "aria-hidden": "true", text: initials(user.name || user.username) });
  let hash = 0;
  for (const c of user.uid) hash = (hash * 31 + c.charCodeAt(0)) | 0;
  e.style.setProperty("--face", faces[Math.abs(hash) % faces.length]);
  if (/^ProfileProto\/users\/[0-9a-f]{32}\.jpg$/.test(user.profile_picture)) {
    const photo = el("img", { src: `/media/${user.profile_picture}`, alt: "", loading: "lazy", decoding: "async", onerror: () => photo.remove() });
    e.append(photo);
  }
  return e;
}
