/* Images that a job starts from: each is sent as soon as it is chosen, so that a page's renewal loses none, and stands there as a
   checkbox. What is folded stays open over a renewal. Without this file images are sent with the whole form. */
(() => {
  "use strict";
  document.documentElement.classList.add("has-js");
  const isFile = (e) => e.target.matches?.("[data-images] input[type=file]");
  // A typed text changes no choice of the quick form. It would renew it when its button is pressed, and the click would be lost.
  const TYPED = "#quick-choices :is(textarea, input:is([type=text], [type=url]))";

  // the forms renew themselves on input and change: a chosen file is neither until it is there
  document.addEventListener("input", (e) => { if (isFile(e)) e.stopImmediatePropagation(); }, true);
  document.addEventListener("change", (e) => {
    if (!isFile(e) && !e.target.matches?.(TYPED)) return;
    e.stopImmediatePropagation();
    if (!isFile(e)) return;
    const files = [...e.target.files];
    e.target.value = "";
    send(e.target.closest("[data-images]"), files.map((file) => ["file", file]));
  }, true);

  document.addEventListener("click", (e) => {
    const field = e.target.closest("[data-fetch]") && e.target.closest("[data-images]");
    if (field) fetchUrl(field);
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Enter" || !e.target.matches?.("[data-images] input[type=url]")) return;
    e.preventDefault();
    fetchUrl(e.target.closest("[data-images]"));
  });

  async function fetchUrl(field) {
    const url = field.querySelector("input[type=url]");
    if (url.value.trim() && await send(field, [["url", url.value.trim()]])) {
      const now = fieldNow(field)?.querySelector("input[type=url]");
      if (now) { now.value = ""; now.dispatchEvent(new Event("input", { bubbles: true })); }
    }
  }

  // the field may have been renewed while an image was on its way
  const fieldNow = (field) => document.querySelector(`[data-images="${field.dataset.images}"]`);

  async function send(field, parts) {
    const form = field.closest("form");
    let sent = 0;
    for (const [name, value] of parts) {
      say(field, `Uploading${parts.length > 1 ? ` ${sent + 1} of ${parts.length}` : ""}…`, "gq-hint");
      const body = new FormData();
      body.append("csrfmiddlewaretoken", form.elements.namedItem("csrfmiddlewaretoken").value);
      body.append("role", field.dataset.images);
      body.append(name, value);
      let answer, text;
      try {
        answer = await fetch(field.closest("[data-uploads]").dataset.uploads, { method: "POST", body, headers: { "HX-Request": "true" } });
        text = await answer.text();
      } catch {
        say(field, "Not uploaded: no connection. Try again.");
        return false;
      }
      if (!answer.ok) {
        const isOurs = answer.status === 422 || answer.status === 413;
        say(field, isOurs ? text : answer.status === 401 ? "You're logged out. Log in in a new tab, then try again." : `Not uploaded: server error ${answer.status}. Try again.`);
        return false;
      }
      add(fieldNow(field) ?? field, text);
      sent += 1;
    }
    say(field, "");
    return true;
  }

  function add(field, html) {
    const list = field.querySelector("[data-list]");
    if (!list) return; // the model that was chosen since takes none
    const one = document.createElement("template");
    one.innerHTML = html;
    const box = one.content.querySelector("input[type=checkbox]");
    const isMany = field.querySelector("input[type=file]").multiple;
    const twin = list.querySelector(`input[value="${box.value}"]`);
    if (twin) twin.checked = true;
    else if (isMany) list.append(one.content);
    else list.replaceChildren(one.content);
    for (const kind of ["input", "change"]) (twin ?? box).dispatchEvent(new Event(kind, { bubbles: true }));
  }

  const said = new Map(); // role → what is said at it: a renewal would take it away
  function say(field, words, as = "gq-err") {
    said.set(field.dataset.images, { words, as });
    show(field.dataset.images);
  }
  function show(role) {
    const note = document.querySelector(`[data-images="${role}"] [data-note]`);
    if (!note) return;
    const line = document.createElement("span");
    line.className = said.get(role).as;
    line.textContent = said.get(role).words;
    note.replaceChildren(...(line.textContent ? [line] : []));
  }

  // between press and release a renewal would take away what is pressed, and the click would be lost: it waits for the release
  let isPressed = false, isLate = false;
  document.addEventListener("pointerdown", (e) => { isPressed = Boolean(e.target.closest?.("#quick-choices :is(button, summary)")); });
  document.addEventListener("htmx:beforeSwap", (e) => {
    if (!isPressed || e.detail.target.id !== "quick-choices") return;
    e.detail.shouldSwap = false;
    isLate = true;
  });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(() => {
    isPressed = false;
    if (isLate) document.getElementById("quick-choices")?.dispatchEvent(new Event("change", { bubbles: true }));
    isLate = false;
  }));

  // what was opened stays open when htmx puts new choices in its place, and what was typed since they were asked for stays there
  const typed = new Map(), opened = new Set();
  document.addEventListener("htmx:beforeSwap", () => {
    for (const field of document.querySelectorAll(TYPED)) typed.set(field.id, field.value);
    for (const more of document.querySelectorAll("details.gq-more[id]")) opened[more.open ? "add" : "delete"](more.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const field of document.querySelectorAll(TYPED)) field.value = typed.get(field.id) ?? field.value;
    typed.clear();
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    for (const role of said.keys()) show(role);
  });
})();
