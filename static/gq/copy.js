/* Buttons that copy. What is marked .gq-js does nothing without a script and is hidden then. */
(() => {
  "use strict";
  document.documentElement.classList.add("has-js");

  // [data-copy="id"] copies that element's text, [data-copy-link] an address, the page's own if it names none; the button says so
  document.addEventListener("click", async (e) => {
    const button = e.target.closest("[data-copy], [data-copy-link]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy ?? "");
    try {
      await navigator.clipboard.writeText(source ? source.textContent.trim() : new URL(button.dataset.copyLink ?? "", location.href).href);
      button.classList.add("is-done");
    } catch { // no clipboard without TLS: the text is selected, for the reader's own copy
      if (source) getSelection().selectAllChildren(source);
      return;
    }
    setTimeout(() => button.classList.remove("is-done"), 1500);
  });
})();
