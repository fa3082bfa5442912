/* The job list and bulk actions: rows renewed in place, ages and countdowns that go on by themselves, keys of the list. */
(() => {
  "use strict";
  const $$ = (s, r = document) => Array.from(r.querySelectorAll(s));
  const started = Date.now(), now = document.querySelector("[data-now]");
  const skew = now ? Date.parse(now.dataset.now) - started : 0; // the server's clock less this one's

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

  // 2 m 20 s, 1 h 05 m, 3 d 4 h: as the server says it
  const two = (n) => String(n).padStart(2, "0");
  const duration = (s) => {
    const m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
    if (s < 60) return `${s} s`;
    if (m < 60) return `${m} m ${two(s % 60)} s`;
    return h < 24 ? `${h} h ${two(m % 60)} m` : `${d} d ${h % 24} h`;
  };
  const say = (el, words) => { if (el.textContent !== words) el.textContent = words; };
  const tick = () => {
    const at = Date.now() + skew;
    $$("time[data-age]").forEach((one) => say(one, duration(Math.max(0, Math.round((at - Date.parse(one.dateTime)) / 1000)))));
    $$("[data-until]").forEach((one) => {
      const left = Math.ceil((Date.parse(one.dataset.until) - at) / 1000);
      say(one, left > 0 ? `${left} s` : "a moment");
    });
  };
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  tick();
})();
