// Elements and text. Everything that somebody wrote goes through text nodes: no
// string is ever markup here, and the page's policy forbids it as well.

const SVG = "http://www.w3.org/2000/svg";

export const $ = id => document.getElementById(id);

/**
 * el makes an element. Properties that begin with "on" are listeners, "text" is its
 * text, false and null are left out, true is an attribute without a value.
 */
export function el(name, properties, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (key === "text") e.textContent = value;
    else if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return e;
}

/** svg makes an element of a drawing. */
export function svg(name, attributes, ...children) {
  const e = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes ?? {})) e.setAttribute(key, value);
  e.append(...children.flat());
  return e;
}

/** icon uses a symbol of the page. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

/**
 * sync makes the children of a list what the items are, in order. What is there
 * already stays the same element, so that focus, scrolling and motion do.
 * make(item) makes the element of a new item; gone(element) takes one away.
 */
export function sync(list, items, key, make, gone = e => e.remove()) {
  const had = new Map();
  for (const e of list.children) if (e.dataset.key !== undefined && !e.hasAttribute("data-gone")) had.set(e.dataset.key, e);
  let next = list.firstElementChild;
  const pass = () => { while (next?.hasAttribute("data-gone")) next = next.nextElementSibling; };
  for (const item of items) {
    const k = String(key(item));
    let e = had.get(k);
    had.delete(k);
    pass();
    if (!e) {
      e = make(item);
      e.dataset.key = k;
    }
    if (e === next) next = next.nextElementSibling;
    else list.insertBefore(e, next);
  }
  for (const e of had.values()) gone(e);
}

/** fade takes an element away so that one sees it go. */
export function fade(e) {
  e.setAttribute("data-gone", "");
  e.inert = true;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return e.remove();
  e.animate([{ opacity: 1 }, { opacity: 0, transform: "scale(.97)" }], { duration: 220, easing: "ease-in" }).finished.then(() => e.remove(), () => e.remove());
}
