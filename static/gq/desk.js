/* Pages of one thing in the admin. Extras only: what is marked .gq-js does nothing without a script and is hidden then. */
(() => {
  "use strict";
  document.documentElement.classList.add("has-js");

  // [data-copy="id"] copies that element's text, [data-copy-link] the page's address; the button says that it has
  document.addEventListener("click", async (e) => {
    const button = e.target.closest("[data-copy], [data-copy-link]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy ?? "");
    try {
      await navigator.clipboard.writeText(source ? source.textContent : location.href);
      button.classList.add("is-done");
    } catch { // no clipboard without TLS: the text is selected, for the reader's own copy
      if (source) getSelection().selectAllChildren(source);
      return;
    }
    setTimeout(() => button.classList.remove("is-done"), 1500);
  });

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
