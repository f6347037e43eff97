// Runs before anything is shown, so that the page does not flash in the other
// theme. /docs keeps its choice under the same name.
"use strict";
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("kith-theme"); } catch { /* storage is forbidden */ }
  const theme = chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
})();
