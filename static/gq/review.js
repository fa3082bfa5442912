/* Review: the scrubber, playing in place, and keys. Verdicts are forms; without this file they work by a page load. */
(() => {
  "use strict";
  const FRAMES = 10;
  const $$ = (s, r = document) => Array.from(r.querySelectorAll(s));
  const clamp = (n, low, high) => Math.max(low, Math.min(high, n));
  $$("[data-scripted]").forEach((one) => { one.hidden = false; });

  // scrubber: the sheet holds ten frames in one row and is fetched when it is first wanted
  const show = (shot, frame) => {
    if (!shot.dataset.sheet) return;
    let sheet = shot.querySelector(".sheet");
    if (!sheet) {
      sheet = Object.assign(document.createElement("img"), { className: "sheet", src: shot.dataset.sheet, alt: "", draggable: false });
      sheet.addEventListener("load", () => shot.classList.add("is-scrubbing"), { once: true });
      shot.querySelector(".frame").append(sheet);
    } else if (sheet.complete) shot.classList.add("is-scrubbing");
    sheet.style.left = `${-100 * frame}%`;
    shot.dataset.at = frame;
    shot.querySelector(".gq-scrub .p").setAttribute("width", String((frame + 1) * (100 / FRAMES)));
  };
  const still = (shot) => { shot.classList.remove("is-scrubbing"); delete shot.dataset.at; };
  const under = (shot, x) => { const box = shot.getBoundingClientRect(); return clamp(Math.floor(((x - box.left) / box.width) * FRAMES), 0, FRAMES - 1); };
  const shotOf = (e) => e.target.closest?.("a.gq-shot[data-sheet]");
  let pressed = null, dragged = false;
  document.addEventListener("pointerdown", (e) => { const shot = shotOf(e); pressed = shot ? { shot, x: e.clientX } : null; dragged = false; });
  document.addEventListener("pointermove", (e) => {
    const shot = shotOf(e); if (!shot) return;
    if (pressed?.shot === shot && Math.abs(e.clientX - pressed.x) > 8) dragged = true;
    show(shot, under(shot, e.clientX));
  });
  document.addEventListener("pointerout", (e) => { const shot = shotOf(e); if (shot && !shot.contains(e.relatedTarget) && shot !== document.activeElement) still(shot); });
  document.addEventListener("pointerup", () => { pressed = null; });

  // playing in place, one at a time
  const playerOf = (card) => card?.querySelector("video.gq-inplace");
  const close = (card) => {
    const player = playerOf(card); if (!player) return;
    player.pause(); player.remove();
    const shot = card.querySelector(".gq-shot"); shot.hidden = false; shot.focus({ preventScroll: true });
  };
  const play = (card) => {
    const open = playerOf(card), shot = card.querySelector("a.gq-shot[data-video]");
    if (open) { if (open.paused) open.play(); else open.pause(); return; }
    if (!shot) return;
    const player = Object.assign(document.createElement("video"), { className: "gq-inplace", src: shot.href, controls: true, playsInline: true, preload: "auto" });
    if (shot.dataset.poster) player.poster = shot.dataset.poster;
    player.setAttribute("aria-label", `Video ${shot.dataset.name}`);
    shot.after(player); shot.hidden = true; still(shot);
    player.focus({ preventScroll: true });
    player.play().catch((refusal) => { if (refusal.name !== "AbortError" && refusal.name !== "NotAllowedError") toast("This video can't be played here. Open it in a new tab."); });
  };
  document.addEventListener("play", (e) => $$("video.gq-inplace").forEach((one) => { if (one !== e.target) one.pause(); }), true);
  document.addEventListener("click", (e) => {
    const shot = e.target.closest("a.gq-shot[data-video]");
    if (!shot || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    e.preventDefault();
    if (dragged) { dragged = false; return; }
    setCurrent(shot.closest(".gq-vid")); play(shot.closest(".gq-vid"));
  });

  // the current card is the one with focus, or the one that had it last
  const current = () => document.querySelector(".gq-vid.is-current");
  const setCurrent = (card) => { if (card === current()) return; current()?.classList.remove("is-current"); card?.classList.add("is-current"); };
  const go = (card) => {
    if (!card) return;
    setCurrent(card);
    (playerOf(card) || card.querySelector("a.gq-shot, .acts button, .acts a"))?.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("focusin", (e) => { const card = e.target.closest("article.gq-vid"); if (card) setCurrent(card); });
  document.addEventListener("focusout", (e) => { if (e.target.matches?.("a.gq-shot")) still(e.target); });

  // verdicts are buttons of a form; what stood before is kept for undo
  const undo = document.getElementById("undo"), done = [], before = new WeakMap();
  const verdictOf = (form) => form.querySelector("[aria-pressed=true]")?.dataset.verdict || "";
  const press = (card, verdict) => card?.querySelector(`[data-verdict=${verdict}]`)?.click();
  const isVerdict = (el) => el?.matches?.("form.acts");
  document.addEventListener("htmx:beforeRequest", (e) => { if (isVerdict(e.detail.elt)) before.set(e.detail.xhr, verdictOf(e.detail.elt)); });
  document.addEventListener("htmx:afterRequest", (e) => {
    if (!e.detail.successful) return;
    const asked = e.detail.requestConfig; // its form is replaced by now: e.detail.elt is what the form stood in
    if (before.has(e.detail.xhr)) done.push({ url: asked.path, id: asked.elt.id, review: before.get(e.detail.xhr) });
    else if (undo && asked.elt === undo) done.splice(done.indexOf(taken), 1);
    if (undo) undo.disabled = !done.length;
  });
  let taken = null, queue = Promise.resolve(); // one after the other, each of what is the last one then
  const takeLast = () => {
    taken = done.at(-1); if (!taken) return null;
    const acts = document.getElementById(taken.id);
    const shown = acts ? { target: acts, select: `#${taken.id}`, swap: "outerHTML" } : { swap: "none" };
    if (acts) go(acts.closest(".gq-vid"));
    return window.htmx.ajax("POST", taken.url, { source: undo, ...shown, values: { review: taken.review, next: location.pathname + location.search } });
  };
  const takeBack = () => { if (undo) queue = queue.then(takeLast).catch(() => {}); }; // a failure is said below, and leaves it to be tried again
  undo?.addEventListener("click", takeBack);
  // a saved note folds up: the focus moves from its button to the summary that unfolds it
  document.addEventListener("htmx:afterSettle", (e) => {
    const remark = e.detail.requestConfig?.elt.closest(".gq-remark");
    if (!remark || document.activeElement !== document.body) return;
    const now = document.getElementById(remark.id);
    now?.querySelector(now.open ? "textarea" : "summary").focus();
  });
  const toast = (text) => {
    const note = Object.assign(document.createElement("div"), { className: "gq-toast", textContent: text });
    document.getElementById("toasts").append(note); setTimeout(() => note.remove(), 6000);
  };
  document.addEventListener("htmx:responseError", (e) => {
    const status = e.detail.xhr.status; // what 401 means is said by session.js
    if (status !== 401) toast(`Not saved (error ${status}). Reload the page and try again.`);
  });
  document.addEventListener("htmx:sendError", () => toast("Not saved: no connection. Try again."));

  // keys; theme.js keeps whether single keys are on, and opens the dialog
  const typing = (el) => el.matches?.("input, textarea, select, [contenteditable]");
  const step = (card, by) => {
    const player = playerOf(card), shot = card?.querySelector("a.gq-shot[data-sheet]");
    if (player) { if (player.duration) player.currentTime = clamp(player.currentTime + by * player.duration / FRAMES, 0, player.duration); }
    else if (shot) show(shot, (Number(shot.dataset.at ?? (by > 0 ? -1 : FRAMES)) + by + FRAMES) % FRAMES);
  };
  const list = () => $$("article.gq-vid");
  const KEYS = {
    j: () => go(list()[clamp(list().indexOf(current()) + 1, 0, list().length - 1)]),
    k: () => go(list()[Math.max(0, list().indexOf(current()) - 1)]),
    a: () => press(current(), "approved"), r: () => press(current(), "rejected"), w: () => press(current(), "winner"),
    u: takeBack, ArrowRight: () => step(current(), 1), ArrowLeft: () => step(current(), -1), " ": () => { if (current()) play(current()); },
    Escape: () => close(current()),
  };
  const ALWAYS = new Set(["ArrowRight", "ArrowLeft", " ", "Escape"]);
  document.addEventListener("keydown", (e) => {
    if (e.metaKey || e.ctrlKey || e.altKey || typing(e.target) || document.querySelector("dialog[open]") || !(e.key in KEYS)) return;
    if (ALWAYS.has(e.key)) { if (!e.target.closest?.("a.gq-shot, video.gq-inplace")) return; }
    else if (document.documentElement.dataset.keys === "off" || e.repeat) return;
    e.preventDefault();
    KEYS[e.key]();
  });
})();
