/* Pages of one thing in the admin. Extras only: elements marked .gq-js do nothing without a script and are hidden then. */
(() => {
  "use strict";
  // what is open stays open in what comes instead of it
  document.addEventListener("htmx:oobBeforeSwap", (e) => {
    e.detail.target.querySelectorAll("details[id][open]").forEach((open) => {
      e.detail.fragment.getElementById(open.id)?.setAttribute("open", "");
    });
  });

  // `c` cancel…, `r` retry…; keys can be turned off in the dialog of keys
  const KEYS = { c: "do-cancel", r: "do-retry" };
  document.addEventListener("keydown", (e) => {
    if (e.metaKey || e.ctrlKey || e.altKey || document.documentElement.dataset.keys === "off") return;
    if (e.target.matches("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
    document.getElementById(KEYS[e.key] ?? "")?.click();
  });
})();
