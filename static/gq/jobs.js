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
    Object.assign(old.dataset, fresh.dataset);
    Array.from(fresh.cells).forEach((cell, place) => {
      const mine = old.cells[place];
      if (mine.matches(".action-checkbox") || mine.contains(document.activeElement) || mine.innerHTML === cell.innerHTML) return;
      mine.replaceWith(cell.cloneNode(true));
    });
  });

  // a selection offers only verbs that can change one of its jobs; all that match may be in any state
  const offer = () => {
    const form = document.getElementById("changelist-form"), chosen = $$("#result_list tr:has(.action-select:checked)");
    if (!form || !chosen.length) return;
    const acts = new Set(chosen.flatMap((row) => row.dataset.acts.split(" ")));
    const all = form.querySelector(".select-across")?.value === "1";
    $$("[data-act]", form).forEach((button) => { button.hidden = !all && !acts.has(button.value); });
  };
  document.addEventListener("change", offer);
  document.addEventListener("click", offer);
  document.addEventListener("htmx:afterSwap", offer);
  window.addEventListener("pageshow", offer);
})();
