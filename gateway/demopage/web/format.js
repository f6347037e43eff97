// How numbers and times are written.

const count = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const whole = new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "medium" });
const date = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const dated = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** number writes 1,234, and 12.3K where there is little room. */
export const number = n => (n < 10_000 ? count : short).format(n);

/** plural writes a number and its noun. */
export const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** score writes a rating. */
export const score = rating => String(rating);

export const fullTime = iso => whole.format(new Date(iso));
export const clockTime = at => clock.format(at);

/** ago says how long ago a time is, as short as it can be said. */
export function ago(iso, now = Date.now()) {
  const at = Date.parse(iso);
  const seconds = Math.max(0, (now - at) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`;
  if (seconds < 7 * 86_400) return plural(Math.round(seconds / 86_400), "day");
  const d = new Date(at);
  return (d.getFullYear() === new Date(now).getFullYear() ? date : dated).format(d);
}

/**
 * instant makes of an RFC 3339 time in UTC a text that sorts by time: the server
 * leaves out zeros at the end of the fraction, and Date keeps only milliseconds.
 */
export function instant(iso) {
  const [, second, fraction = ""] = /^(.{19})(?:\.(\d+))?/.exec(iso) ?? [null, iso];
  return `${second}.${fraction.padEnd(9, "0")}`;
}
