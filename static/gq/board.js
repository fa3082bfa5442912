/* The dashboard: new answers are merged part by part. A part is replaced only when its version is another; a row that is
   being edited is left alone, and rows keep their places under the pointer. Open details, scroll, focus and typed text survive. */
(() => {
  "use strict";
  const board = document.getElementById("board");
  if (!board) return;
  const $$ = (s, r) => Array.from(r.querySelectorAll(s));
  const folds = () => JSON.parse(localStorage.getItem("gq-folds") ?? "{}"); // by id: opened on this device, or closed again
  const typing = (el) => el.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  const edited = (row) => Boolean(row.querySelector(".is-dirty")) || typing(row);

  // folds are as they were left on this device; what opens by itself, for what is in it, stays open
  const unfold = (root) => { for (const one of $$("details[data-fold]", root)) one.open ||= folds()[one.id] ?? false; };
  document.addEventListener("click", (e) => {
    const fold = e.target.closest("details[data-fold] > summary")?.parentElement;
    if (fold) localStorage.setItem("gq-folds", JSON.stringify({ ...folds(), [fold.id]: !fold.open }));
  });

  // an element in place of another: what was open stays open, what was scrolled stays scrolled, what had the focus gets it back
  const replace = (old, fresh) => {
    const open = $$("details[open]", old).map((one) => one.id);
    const scrolled = $$(".gq-scroll", old).map((one) => [one.scrollLeft, one.scrollTop]);
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(fresh);
    window.htmx.process(fresh);
    unfold(fresh);
    for (const id of open) { const one = document.getElementById(id); if (one) one.open = true; }
    $$(".gq-scroll", fresh).forEach((one, place) => { [one.scrollLeft, one.scrollTop] = scrolled[place] ?? [0, 0]; });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  };

  // a table of rows while somebody points at it or types in it: each row in its place, the order and the number of rows later
  const renewRows = (fresh) => {
    for (const row of $$("table[data-rows] > tbody", fresh)) {
      const old = document.getElementById(row.id);
      if (old && !edited(old)) replace(old, row);
    }
  };

  // only what is new among the notes is read out, not all of them whenever a number in one has changed
  const readOut = (old, fresh) => {
    const said = document.getElementById("said"), news = $$(".gq-note", fresh).filter((one) => !$$(".gq-note", old).some((was) => was.id === one.id));
    said.textContent = news.map((one) => one.querySelector("[data-said]").textContent).join(" ");
  };

  const merge = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    let held = false;
    const now = page.getElementById("seen")?.value ?? "";
    for (const fresh of $$("[data-part]", page)) {
      const old = document.getElementById(fresh.id);
      if (!old || old.dataset.version === fresh.dataset.version) continue;
      const tables = $$("table[data-rows]", old);
      if (tables.length && fresh.querySelector("table[data-rows]") && (edited(old) || tables.some((one) => one.matches(":hover")))) {
        renewRows(fresh);
        held = true;
        continue;
      }
      if (fresh.id === "part-notes") readOut(old, fresh);
      replace(old, document.adoptNode(fresh));
    }
    const seen = document.getElementById("seen");
    if (seen) seen.value = held ? "" : now; // what was held back is asked for again
  };

  // parts that are here already need not come again
  document.addEventListener("htmx:configRequest", (e) => {
    if (e.detail.elt === board) e.detail.parameters.parts = $$("[data-part]", document).map((one) => one.dataset.version).join(",");
  });

  document.addEventListener("htmx:beforeSwap", (e) => {
    if (e.detail.elt !== board) return;
    e.detail.shouldSwap = false;
    if (e.detail.xhr.status === 200) merge(e.detail.xhr.responseText);
  });

  // a limit that is being typed is not saved yet: Enter or “Save” saves it, Escape takes it back
  const step = (el) => el.closest?.(".gq-step");
  const quiet = (input) => { const below = document.getElementById(input.getAttribute("aria-describedby")); if (below) below.textContent = ""; };
  const look = (input) => {
    const same = input.value === input.defaultValue && input.validity.valid;
    step(input).classList.toggle("is-dirty", !same);
    if (same) quiet(input);
  };
  document.addEventListener("input", (e) => { if (step(e.target)) look(e.target); });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !e.target.matches?.(".gq-step input")) return;
    e.target.value = e.target.defaultValue;
    e.target.removeAttribute("aria-invalid");
    look(e.target);
    quiet(e.target);
  });
  // an answer that comes after the limit was taken back says nothing
  document.addEventListener("htmx:beforeSwap", (e) => {
    const input = e.detail.requestConfig?.elt;
    if (input?.matches?.(".gq-step input") && !step(input).classList.contains("is-dirty")) e.detail.shouldSwap = false;
  });
  // a refused value is put back into its field: it stays typed, and Escape knows what it was before
  const restore = (root) => { for (const input of $$("input[data-typed]", root)) { input.value = input.dataset.typed; step(input).classList.add("is-dirty"); } };
  document.addEventListener("htmx:afterSettle", (e) => restore(e.target.parentElement ?? document));
  restore(document);
  unfold(document);
})();
