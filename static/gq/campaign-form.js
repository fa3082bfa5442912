/* The campaign form: what htmx cannot do by itself. An answer that is older than what was typed since is not shown (the next one
   follows), buttons of the matrix and of the polishing are never lost on the way, opened prompts stay open over a swap, and what
   could not be saved is said. Without it the form works by its buttons. */
(() => {
  "use strict";
  const form = document.getElementById("campaign");
  if (!form) return;
  const saved = document.getElementById("saved");
  const opened = new Set(); // cells whose prompts are shown in full
  const idea = () => document.getElementById("f-big_idea"); // replaced when another wording is chosen
  let changes = 0;
  const asked = new WeakMap(); // request → changes when it was sent, and the button that it carries
  const presses = []; // buttons whose turn has not come
  let carried = null; // the button of the request that is being made
  const ticked = new Map(); // rows ticked since the last request → whether they are in

  // a reload asks for the draft, it does not post this page's fields again
  window.history.replaceState(null, "", window.location.href);

  form.addEventListener("input", (e) => { changes += 1; if (e.target.name === "in") ticked.set(e.target.id, e.target.checked); });
  // such a button goes with a request of the form's own: what is in flight may replace the button before its turn comes
  form.addEventListener("click", (e) => {
    const button = e.target.closest("button[formaction]");
    if (!button || !window.htmx) return;
    e.preventDefault();
    presses.push({ do: button.value, value: form.elements.namedItem("value")?.value });
    window.htmx.trigger(form, "form-press");
  });
  form.addEventListener("toggle", (e) => {
    if (e.target.matches(".gq-unclip")) opened[e.target.open ? "add" : "delete"](e.target.dataset.cell);
  }, true);
  // a title for the mouse costs nothing until it is pointed at
  form.addEventListener("pointerover", (e) => {
    const clip = e.target.closest(".gq-unclip > summary");
    if (clip && !clip.title) clip.title = clip.textContent;
  });

  form.addEventListener("htmx:configRequest", (e) => {
    // htmx would take address and name from whichever button has the focus
    carried = presses.shift() || null;
    e.detail.path = form.getAttribute("hx-post");
    e.detail.parameters.do = carried?.do || "update";
    if (carried?.value) e.detail.parameters.value = carried.value;
    ticked.clear();
  });

  form.addEventListener("htmx:beforeRequest", (e) => asked.set(e.detail.xhr, { changes, carried }));
  let pressed = ""; // the button whose answer is shown
  form.addEventListener("htmx:beforeSwap", (e) => {
    const then = asked.get(e.detail.xhr);
    pressed = then?.carried?.do || "";
    // what a button has done is in its answer alone: that one is shown in any case
    if (then && then.changes !== changes && !pressed) e.detail.shouldSwap = false;
  });
  form.addEventListener("htmx:afterSwap", () => {
    for (const [id, isIn] of ticked) { const box = document.getElementById(id); if (box) box.checked = isIn; }
  });
  form.addEventListener("htmx:afterRequest", () => { if (presses.length) window.htmx.trigger(form, "form-press"); });
  document.addEventListener("htmx:afterSettle", () => {
    for (const cell of opened) { const found = form.querySelector(`.gq-unclip[data-cell="${cell}"]`); if (found) found.open = true; }
    for (const field of form.querySelectorAll("[aria-describedby^=note-]")) {
      const wrong = document.getElementById(field.getAttribute("aria-describedby"))?.querySelector(".gq-err:not(.is-warn)");
      if (wrong) field.setAttribute("aria-invalid", "true"); else field.removeAttribute("aria-invalid");
    }
    // after turning a page, or pressing a button that is gone, the focus is where the answer begins
    const moved = pressed === "show-blocked" || pressed.startsWith("page-");
    if (pressed === "polish-use" || pressed === "polish-back") idea().focus();
    else if (moved || (pressed && document.activeElement === document.body)) {
      const next = pressed.startsWith("polish") ? ["polish-said", "do-polish"] : ["matrix-said"];
      (next.map((id) => document.getElementById(id)).find(Boolean) || idea()).focus();
    }
    pressed = "";
    // what began as a copy of an old campaign is a draft of its own now
    if (window.location.search && saved.querySelector("time")) window.history.replaceState(null, "", window.location.pathname);
  });

  const notSaved = (why) => saved.replaceChildren(`Not saved: ${why}`, ...saved.querySelectorAll("input"));
  document.addEventListener("htmx:sendError", () => notSaved("no connection. Your text is still here. Edit any field to try again."));
  document.addEventListener("htmx:timeout", () => notSaved("the server took too long. Edit any field to try again."));
  const loggedOut = document.getElementById("logged-out"); // shown by session.js; a page load would lose what was typed since
  document.addEventListener("htmx:responseError", (e) => {
    const isOut = e.detail.xhr.status === 401;
    if (isOut) document.getElementById("launch").disabled = true;
    notSaved(isOut ? "you're logged out." : `server error ${e.detail.xhr.status}. Your text is still here.`);
  });

  // while a polishing is under way, its panel follows it
  const watch = document.getElementById("polish-watch");
  for (const name of ["gq:tick", "gq:changed"]) {
    document.body.addEventListener(name, () => { if (watch.firstElementChild) window.htmx.trigger(watch, "polish-look"); });
  }

  // one press, one launch; the server would see to it anyway
  form.addEventListener("submit", (e) => {
    if (!loggedOut.hidden) { e.preventDefault(); return; }
    setTimeout(() => { for (const one of form.querySelectorAll("button[name=do]")) one.disabled = true; });
  });
  window.addEventListener("pageshow", (e) => { if (e.persisted) window.location.reload(); });
})();
