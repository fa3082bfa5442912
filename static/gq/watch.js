/* One result at a time: keys, swipes, going on, playing; and two versions played together. Every action is a form or a link of the
   page; without this file they work by page loads. */
(() => {
  "use strict";
  const SWIPE = 80, SAID_MS = 6000; // pixels of a swipe that counts; time until a message leaves
  const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => Array.from(r.querySelectorAll(s));
  const htmx = window.htmx, still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const now = () => $("#now"), film = (index) => document.getElementById(`film-${index}`);

  // options of this device; on by default
  const isOn = (name) => localStorage.getItem(`gq-${name}`) !== "off";
  $$("[data-option]").forEach((box) => {
    box.checked = isOn(box.dataset.option);
    box.addEventListener("change", () => localStorage.setItem(`gq-${box.dataset.option}`, box.checked ? "on" : "off"));
  });

  // playing: one bar for one video, or for two together
  let wantsSound = false;
  const videos = () => $$("#film, [data-duo] video");
  const drawing = (button, name) => button?.querySelector("use")?.setAttribute("href", `#i-${name}`);
  const showTime = () => {
    const [first] = videos(), track = $("[data-track]"), play = $("[data-play]");
    if (!first || !track) return;
    const whole = first.duration || 0;
    $("[data-time]").textContent = `${clock(first.currentTime)} / ${clock(whole)}`;
    if (track !== document.activeElement || first.paused) track.value = whole ? String(Math.round(1000 * first.currentTime / whole)) : "0";
    track.setAttribute("aria-valuetext", `${clock(first.currentTime)} of ${clock(whole)}`);
    drawing(play, first.paused ? "play" : "pause");
    play?.setAttribute("aria-label", first.paused ? "Play" : "Pause");
  };
  const start = () => videos().forEach((one) => one.play().catch(() => {})); // refused by the browser: the still stays, with its play button
  const halt = () => videos().forEach((one) => one.pause());
  const toggle = () => { const [first] = videos(); if (first) { if (first.paused) start(); else halt(); } };
  const seek = (part) => videos().forEach((one) => { if (one.duration) one.currentTime = Math.max(0, Math.min(1, part)) * one.duration; });
  const scrub = (by) => { const [first] = videos(); if (first?.duration) { halt(); seek(first.currentTime / first.duration + by); } };
  const sound = (on) => {
    wantsSound = on;
    videos().forEach((one) => { one.muted = !on; });
    const button = $("[data-sound]");
    drawing(button, on ? "speaker" : "silent");
    button?.setAttribute("aria-label", on ? "Sound off" : "Sound on");
  };
  const full = () => { const stage = $("#stage"); if (document.fullscreenElement) document.exitFullscreen(); else stage?.requestFullscreen?.().catch(() => {}); };
  for (const name of ["timeupdate", "loadedmetadata", "play", "pause", "seeked"]) document.addEventListener(name, showTime, true);
  document.addEventListener("input", (e) => { if (e.target.matches("[data-track]")) seek(e.target.value / 1000); });

  // a result that comes up: our own controls, its place in the strip, messages that leave after a while
  const ahead = document.createElement("video"), image = new Image();
  ahead.preload = "auto"; ahead.muted = true;
  const set = (moves) => {
    $$("[data-scripted]").forEach((one) => { one.hidden = false; });
    videos().forEach((one) => { one.controls = false; });
    sound(wantsSound);
    showTime();
    const here = now()?.dataset.index;
    $$("[data-reel] [aria-current]").forEach((one) => one.removeAttribute("aria-current"));
    const place = here && film(here);
    if (place) {
      place.setAttribute("aria-current", "true");
      place.scrollIntoView({ inline: "center", block: "nearest", behavior: "instant" });
    }
    const said = $("#said");
    if (said) leave(said);
    load(now()?.dataset);
    if (moves && isOn("autoplay") && !still) start();
  };
  const load = (next) => { // the one that follows, before it is wanted
    if (next?.aheadKind === "image") image.src = next.ahead;
    else if (next?.aheadKind === "video" && ahead.getAttribute("src") !== next.ahead) ahead.src = next.ahead;
  };
  const leave = (said) => {
    const go = () => { if (!said.matches(":hover, :focus-within")) said.remove(); else setTimeout(go, 1000); };
    setTimeout(go, SAID_MS);
  };

  // going on without a page load, one at a time: a key pressed before the next result is there is ignored
  let busy = false;
  const swap = async (verb, address, values = {}) => {
    const before = now();
    if (busy || !before) return;
    busy = true;
    before.setAttribute("aria-busy", "true");
    await htmx.ajax(verb, address, { target: "#now", swap: "outerHTML", source: document.body, values }).catch(() => {});
    busy = false;
    before.removeAttribute("aria-busy");
    if (now() === before) return; // refused or lost: a message says so, and the same result stays
    if (values.undo) done.pop();
    remember();
    set(true);
  };
  document.addEventListener("click", (e) => {
    const link = e.target.closest("[data-reel] a, .gq-turn a");
    if (!link || !htmx || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    e.preventDefault();
    swap("GET", link.getAttribute("href"));
  });
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (!htmx || !form.matches("#verdict, #undo-form, #remark") || !now()) return;
    e.preventDefault();
    const values = Object.fromEntries(new FormData(form));
    if (e.submitter?.name) values[e.submitter.name] = e.submitter.value;
    if (e.submitter?.hasAttribute("formaction") || form.id === "remark") saveNote();
    else {
      if (form.id === "verdict" && !isOn("go-on")) values.stay = "1";
      swap("POST", form.getAttribute("action"), values);
    }
  });

  // undo: the server's answer undoes the last review; the ones before are kept here
  const done = [];
  const remember = () => {
    const form = $("#undo-form");
    if (!form) return;
    if (form.dataset.of) done.push({ address: form.getAttribute("action"), review: form.elements.review.value });
    else if (done.length) { form.setAttribute("action", done.at(-1).address); form.elements.review.value = done.at(-1).review; }
    $("#do-undo").disabled = !done.length;
  };

  // a note is saved when it loses focus, and with each verdict
  const saveNote = async () => {
    const note = $("#note"), said = $("#note-said");
    if (!note?.dataset.note) return;
    const words = note.value;
    const answer = await fetch(note.dataset.note, {
      method: "POST",
      headers: { "HX-Request": "true", "X-CSRFToken": JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"] },
      body: new URLSearchParams({ note: words }),
    }).catch(() => null);
    if (said?.isConnected) said.textContent = answer?.status === 204 ? "Saved." : "Not saved. Try again.";
  };
  document.addEventListener("change", (e) => { if (e.target.matches("#note")) saveNote(); });

  const toast = (text) => {
    const note = Object.assign(document.createElement("div"), { className: "gq-toast", textContent: text });
    $("#toasts").append(note); setTimeout(() => note.remove(), SAID_MS);
  };
  document.addEventListener("htmx:responseError", (e) => { if (e.detail.xhr.status !== 401) toast(`Not saved (error ${e.detail.xhr.status}). Reload the page and try again.`); });
  document.addEventListener("htmx:sendError", () => toast("Not saved: no connection. Try again."));

  // buttons of the bar, and a tap on the video
  document.addEventListener("click", (e) => {
    if (e.target.closest("[data-play]")) toggle();
    else if (e.target.closest("[data-sound]")) sound(!wantsSound);
    else if (e.target.closest("[data-full]")) full();
    else if (e.target.matches("#film, [data-duo] video") && !swiped) toggle();
  });

  // swipe: right approves, left rejects; a short one springs back; a label names the effect
  let from = null, swiped = false;
  const frame = () => $("#stage .frame");
  const drag = (by) => {
    const shown = frame(); if (!shown) return;
    shown.style.transform = by ? `translateX(${by}px)` : "";
    $(".gq-swipe.is-yes").hidden = by < 12; $(".gq-swipe.is-no").hidden = by > -12;
  };
  document.addEventListener("pointerdown", (e) => {
    swiped = false;
    if (e.pointerType === "mouse" || !$(".gq-thumbbar button") || !e.target.closest("#stage .frame")) return;
    from = { x: e.clientX, y: e.clientY };
    $("#stage").classList.remove("is-back");
  });
  document.addEventListener("pointermove", (e) => {
    if (!from) return;
    const by = e.clientX - from.x;
    if (Math.abs(by) > 8) swiped = true;
    drag(by);
  });
  const drop = (e) => {
    if (!from) return;
    const by = e.type === "pointerup" ? e.clientX - from.x : 0;
    from = null;
    $("#stage").classList.add("is-back");
    drag(0);
    if (by > SWIPE) $("#do-approve")?.click(); else if (by < -SWIPE) $("#do-reject")?.click();
  };
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", drop);

  // keys; theme.js opens their dialog and remembers whether they are on
  const step = (by) => {
    const frames = $$("[data-reel] a"), at = frames.findIndex((one) => one.hasAttribute("aria-current"));
    const next = at < 0 ? $(by > 0 ? "#go-after" : "#go-before") : frames[at + by];
    if (next) swap("GET", next.getAttribute("href"));
  };
  const press = (id) => () => document.getElementById(id)?.click();
  const isDuo = !!$("[data-duo]");
  const KEYS = isDuo
    ? { " ": toggle, ArrowLeft: () => scrub(-.1), ArrowRight: () => scrub(.1), c: press("go-close"), Escape: press("go-close"), 1: press("use-1"), 2: press("use-2") }
    : {
      a: press("do-approve"), r: press("do-reject"), w: press("do-win"), u: press("do-undo"), c: press("go-compare"), g: press("do-grid"),
      n: () => $("#note, #comment")?.focus(), m: () => sound(!wantsSound), f: full, " ": toggle,
      ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: () => step(-1), j: () => step(1),
    };
  const SHIFTED = { ArrowLeft: () => scrub(-.1), ArrowRight: () => scrub(.1) };
  document.addEventListener("keydown", (e) => {
    const at = e.target;
    if (e.key === "Escape" && at.matches?.("#note, #comment")) { at.blur(); return; }
    if (e.metaKey || e.ctrlKey || e.altKey || e.repeat || at.matches?.("input, textarea, select") || $("dialog[open]")) return;
    const act = (e.shiftKey ? SHIFTED : KEYS)[e.key];
    if (!act || (e.key === " " && at.closest?.("a, button, summary"))) return;
    if (document.documentElement.dataset.keys === "off" && e.key.length === 1 && e.key !== " ") return;
    e.preventDefault();
    act();
  });

  $$("#toasts .gq-note:not(#logged-out)").forEach(leave);
  set(false);
  remember();
  if (isOn("autoplay") && !still && now()) start();
})();
