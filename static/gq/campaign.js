/* Pages of small pictures: a picture scrubs under the pointer, a larger one stands beside it, a click plays it in the dialog, the
   arrows move through the matrix, chips dim the rest of it. A live page replaces only parts that differ, so that
   pictures, the pointer's cell and an open form stay. Without this file every picture is a link to its page. */
(() => {
  "use strict";
  const FRAMES = 10, PEEK_AFTER = 120; // frames of a sheet; milliseconds
  const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => Array.from(r.querySelectorAll(s));
  document.documentElement.classList.add("has-js");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  // --- scrub and peek: the sheet of ten frames comes with the first touch of the pointer
  let peekTimer = 0;
  const scrub = (picture, address, part) => {
    let sheet = $("img.sheet", picture);
    if (!sheet) { sheet = Object.assign(new Image(), { className: "sheet", alt: "", src: address }); picture.append(sheet); }
    sheet.style.transform = `translateX(${-100 / FRAMES * Math.min(FRAMES - 1, Math.floor(part * FRAMES))}%)`;
  };
  const peek = (picture, part) => {
    const box = $("#peek"), inner = $(".gq-th", box), place = picture.getBoundingClientRect();
    if (box.dataset.of !== picture.dataset.sheet) {
      box.dataset.of = picture.dataset.sheet;
      inner.replaceChildren($("img", picture).cloneNode());
      $("p", box).textContent = picture.getAttribute("aria-label").replace(/\. \w+$/, "");
    }
    box.hidden = false;
    scrub(inner, picture.dataset.sheet, part);
    const left = Math.max(12, Math.min(innerWidth - box.offsetWidth - 12, place.left + (place.width - box.offsetWidth) / 2));
    const above = place.top > box.offsetHeight + 20;
    box.style.left = `${left + scrollX}px`;
    box.style.top = `${(above ? place.top - box.offsetHeight - 8 : place.bottom + 8) + scrollY}px`;
  };
  const unpeek = () => { clearTimeout(peekTimer); peekTimer = 0; const box = $("#peek"); if (box) box.hidden = true; };
  document.addEventListener("pointermove", (e) => {
    const picture = e.target.closest?.(".gq-th[data-sheet]");
    if (!picture || picture.closest("#peek")) return;
    const place = picture.getBoundingClientRect(), part = Math.max(0, Math.min(.999, (e.clientX - place.left) / place.width));
    scrub(picture, picture.dataset.sheet, part);
    if (e.pointerType !== "mouse" || !picture.closest(".gq-mx")) return;
    if (!$("#peek").hidden) peek(picture, part);
    else if (!peekTimer) peekTimer = setTimeout(() => { if (picture.matches(":hover")) peek(picture, part); }, PEEK_AFTER);
  });
  document.addEventListener("pointerout", (e) => {
    const picture = e.target.closest?.(".gq-th[data-sheet]");
    if (!picture || picture.contains(e.relatedTarget)) return;
    $("img.sheet", picture)?.remove();
    unpeek();
  });
  addEventListener("scroll", unpeek, { passive: true });

  // --- the dialog
  const player = $("#player"), inside = $("#player-in");
  let opener = "", taken = false;
  const film = () => $("#player-film");
  const start = () => film()?.play().catch(() => {}); // refused: its own controls can start it
  // one request at a time: a key that comes before the next result is there is not for it
  let busy = false;
  const load = async (address, verb = "GET", values = {}) => {
    if (busy) return;
    busy = true;
    await window.htmx.ajax(verb, address, { source: document.body, target: inside, swap: "innerHTML", values }).catch(() => {});
    busy = false;
  };
  const open = async (link) => {
    opener = link.id;
    unpeek();
    await load(link.dataset.play);
    if (!player.open) player.showModal();
    inside.focus({ preventScroll: true });
    start();
  };
  document.addEventListener("click", (e) => {
    const link = e.target.closest("[data-play]");
    if (!link || !player || !window.htmx || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    e.preventDefault();
    open(link);
  });
  player?.addEventListener("click", (e) => {
    if (e.target === player) player.close(); // beside the content
    const step = e.target.closest("[data-step]");
    if (!step || e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    load(step.dataset.step).then(() => { inside.focus({ preventScroll: true }); if (!still) start(); });
  });
  player?.addEventListener("submit", (e) => {
    e.preventDefault();
    const values = Object.fromEntries(new FormData(e.target, e.submitter));
    load(e.target.getAttribute("action"), "POST", values).then(() => { inside.focus({ preventScroll: true }); if (!still) start(); });
  });
  player?.addEventListener("close", () => {
    const last = $(".in", inside)?.dataset.cell;
    inside.replaceChildren();
    (document.getElementById(last) ?? document.getElementById(opener))?.focus();
    if (taken) window.htmx.trigger(document.body, "gq:changed");
    taken = false;
  });
  // a review has been saved: the cell shows it, the next result plays
  document.addEventListener("htmx:afterSettle", (e) => {
    if (e.target !== inside) return;
    for (const fresh of $$("template[data-renewed]", inside)) {
      taken = true;
      const cell = fresh.content.firstElementChild, old = document.getElementById(cell.id);
      if (old) { known.set(cell.id, cell.outerHTML); cell.tabIndex = old.tabIndex; old.replaceWith(cell); }
      fresh.remove();
    }
  });
  // a request of the player that failed: what it would have shown or saved is not there
  const toast = (text) => {
    const note = Object.assign(document.createElement("div"), { className: "gq-toast", textContent: text });
    $("#toasts").append(note);
    setTimeout(() => note.remove(), 6000);
  };
  const failed = (e) => e.detail.target === inside && inside;
  document.addEventListener("htmx:responseError", (e) => { if (failed(e) && e.detail.xhr.status !== 401) toast(`That didn't work (error ${e.detail.xhr.status}). Reload the page and try again.`); });
  document.addEventListener("htmx:sendError", (e) => { if (failed(e)) toast("No connection. Try again."); });
  const press = (id) => { const button = document.getElementById(id); if (button && !button.disabled) button.click(); };
  const KEYS = { u: () => press("player-undo"), ArrowLeft: () => press("player-before"), ArrowRight: () => press("player-after"), n: () => $("#player-note")?.focus() };
  player?.addEventListener("keydown", (e) => {
    if (e.metaKey || e.ctrlKey || e.altKey || e.repeat || e.target.matches("textarea, input, select")) return;
    if (document.documentElement.dataset.keys === "off" && e.key.length === 1) return;
    if (e.key.startsWith("Arrow") && e.target.matches("video")) return; // its own seeking
    const button = $(`[data-key="${CSS.escape(e.key)}"]`, inside), act = button ? () => button.click() : KEYS[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });

  // --- the matrix is one tab stop; the arrows move in it
  const places = (matrix) => $$("tbody tr:not(.grp)", matrix).map((row) => $$("td", row).map((cell) => $("a", cell)));
  const rove = () => $$(".gq-mx").forEach((matrix) => {
    const links = $$("td a", matrix), at = links.find((one) => one === document.activeElement) ?? links[0];
    links.forEach((one) => { one.tabIndex = one === at ? 0 : -1; });
  });
  document.addEventListener("keydown", (e) => {
    const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[e.key], cell = e.target.closest?.(".gq-mx td");
    if (!by || !cell || e.metaKey || e.ctrlKey || e.altKey) return;
    e.preventDefault();
    const grid = places(cell.closest("table")), y = grid.findIndex((row) => row.some((one) => one && cell.contains(one)));
    const x = grid[y].findIndex((one) => one && cell.contains(one));
    const within = $$("a", cell), next = within[within.indexOf(e.target) + by[1]]; // the pictures of a tile, and its list
    const to = (by[1] && next) || grid[y + by[0]]?.[x + by[1]];
    if (!to) return;
    e.target.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });

  // --- chips: one shows its cells and dims the others; without script it lists them
  let only = "";
  const dim = () => {
    $$(".gq-mx").forEach((one) => { if (only) one.dataset.only = only; else delete one.dataset.only; });
    $$("[data-is]").forEach((one) => one.classList.toggle("is-dim", Boolean(only) && !one.dataset.is.split(" ").includes(only)));
    $$("[data-only]:not(table)").forEach((chip) => { chip.setAttribute("role", "button"); chip.setAttribute("aria-pressed", String(chip.dataset.only === only)); });
  };
  const choose = (chip) => { only = only === chip.dataset.only ? "" : chip.dataset.only; dim(); };
  document.addEventListener("click", (e) => {
    const chip = e.target.closest("a[data-only]");
    if (!chip || e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
    e.preventDefault();
    choose(chip);
  });
  document.addEventListener("keydown", (e) => { const chip = e.target.closest?.("a[data-only]"); if (chip && e.key === " ") { e.preventDefault(); choose(chip); } });

  // --- new answers: unchanged parts stay; in a matrix of the same shape only cells that differ are replaced
  const known = new Map();
  const learn = (root) => $$("[data-is]", root).forEach((one) => known.set(one.id, one.outerHTML));
  const shape = (matrix) => $$("tr", matrix).map((row) => $$("th, td > *", row).map((one) => one.id || one.firstChild?.textContent.trim()).join()).join("|");
  const said = new Map();
  const renewCells = (old, fresh) => {
    for (const cell of $$("td > [data-is]", fresh)) {
      const html = cell.outerHTML, there = document.getElementById(cell.id);
      if (!there || known.get(cell.id) === html || there.matches(":hover")) continue;
      const focused = there.contains(document.activeElement) ? document.activeElement.id : "", tab = there.tabIndex;
      known.set(cell.id, html);
      there.replaceWith(cell);
      cell.tabIndex = tab;
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
    $$("th", fresh).forEach((head, place) => { const was = $$("th", old)[place]; if (was && was.innerHTML !== head.innerHTML) was.innerHTML = head.innerHTML; });
  };
  document.addEventListener("htmx:oobBeforeSwap", (e) => {
    const old = e.detail.target, fresh = e.detail.fragment.firstElementChild;
    if (!fresh || fresh.id === "seen") return;
    const html = fresh.outerHTML, typing = old.contains(document.activeElement) && document.activeElement.matches("input:not([type=radio]), textarea");
    if (said.get(fresh.id) === html || typing || $("details[data-keep][open]", old)) { e.detail.shouldSwap = false; return; }
    said.set(fresh.id, html);
    for (const one of $$("details[open]", old)) { const now = $(`#${CSS.escape(one.id)}`, fresh); if (now) now.open = true; }
    if (fresh.id === "heat" && old.className === fresh.className && shape(old) === shape(fresh)) { renewCells(old, fresh); e.detail.shouldSwap = false; }
    else learn(fresh);
  });
  document.addEventListener("htmx:afterSettle", () => { rove(); dim(); });

  learn(document);
  $$("#board > [id], #board section[id], #heat, #side").forEach((part) => said.set(part.id, part.outerHTML));
  rove();
  dim();
})();
