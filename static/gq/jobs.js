/* The job list: rows renewed in place. */
(() => {
  "use strict";
  const $$ = (s, r = document) => Array.from(r.querySelectorAll(s));

  // what is on the screen goes with each look: the answer is the rows that have changed since
  document.addEventListener("htmx:configRequest", (e) => {
    if (e.detail.elt.id !== "live") return;
    e.detail.parameters.shown = $$("#result_list tbody tr[id]").map((row) => `${row.id.slice(4)}:${row.dataset.version}`).join(",");
  });

  // a row keeps its element, its checkbox and the cell that has the focus; the other cells come new
  document.addEventListener("htmx:oobBeforeSwap", (e) => {
    const old = e.detail.target, fresh = e.detail.fragment.querySelector?.(`tr[id="${old.id}"]`);
    if (!old.matches("#result_list tr") || !fresh) return;
    e.detail.shouldSwap = false;
    old.dataset.version = fresh.dataset.version;
    Array.from(fresh.cells).forEach((cell, place) => {
      const mine = old.cells[place];
      if (mine.matches(".action-checkbox") || mine.contains(document.activeElement) || mine.innerHTML === cell.innerHTML) return;
      mine.replaceWith(cell.cloneNode(true));
    });
  });
})();
