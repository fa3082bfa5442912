/* The forms of pages: keywords as tokens, notes that mark their fields, one press for one launch. Without it the forms work by their
   buttons, and keywords are a field with commas. */
(() => {
  "use strict";
  const form = document.getElementById("page-form");
  if (!form) return;

  // a reload asks for the draft, it does not post this page's fields again
  if (!window.location.search) window.history.replaceState(null, "", window.location.href);

  /* a field with commas becomes tokens and a field for the next one; the first stays in the form and is what is sent */
  const upgrade = (field) => {
    const box = document.createElement("div");
    const next = document.createElement("input");
    box.className = "gq-tags";
    next.type = "text";
    next.id = field.id;
    next.autocomplete = "off";
    next.placeholder = "Add and press Enter";
    for (const name of ["list", "aria-describedby", "aria-invalid"]) {
      if (field.hasAttribute(name)) { next.setAttribute(name, field.getAttribute(name)); field.removeAttribute(name); }
    }
    field.id = `${field.id}-all`;
    field.type = "hidden";
    field.after(box);
    const words = () => field.value.split(",").map((one) => one.trim()).filter(Boolean);
    const keep = (all) => {
      field.value = [...new Set(all)].join(", ");
      draw();
      field.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const draw = () => {
      const tokens = words().map((word, place) => {
        const token = document.createElement("span");
        const drop = document.createElement("button");
        token.className = "gq-token";
        token.textContent = word;
        token.dir = "auto";
        drop.type = "button";
        drop.textContent = "×";
        drop.setAttribute("aria-label", `Remove ${word}`);
        drop.addEventListener("click", () => { keep(words().filter((_, at) => at !== place)); next.focus(); });
        token.append(drop);
        return token;
      });
      box.replaceChildren(...tokens, next);
    };
    const take = () => {
      const found = next.value.split(/[,\n]/).map((one) => one.trim()).filter(Boolean);
      next.value = "";
      if (found.length) keep([...words(), ...found]);
    };
    next.addEventListener("keydown", (e) => {
      if (e.isComposing) return; // Enter ends the word of an input method
      if (e.key === "Enter" || e.key === ",") { if (next.value.trim() || e.key === ",") { e.preventDefault(); take(); next.focus(); } }
      else if (e.key === "Backspace" && !next.value && words().length) keep(words().slice(0, -1));
    });
    // what is being typed is not a keyword yet: the form waits
    next.addEventListener("input", (e) => { e.stopPropagation(); if (/[,\n]/.test(next.value) && !e.isComposing) { take(); next.focus(); } });
    next.addEventListener("change", (e) => { e.stopPropagation(); take(); });
    box.addEventListener("click", (e) => { if (e.target === box) next.focus(); });
    form.addEventListener("submit", take);
    draw();
  };
  for (const field of form.querySelectorAll("[data-tokens]")) upgrade(field);

  const CELL = ".gq-csv :is(input, textarea)";
  // a cell that is being typed in is not sent before it is left, and stays as it is when the rows around it are renewed
  form.addEventListener("htmx:configRequest", (e) => {
    const here = document.activeElement;
    if (here?.matches(CELL) && here !== e.detail.triggeringEvent?.target) e.detail.parameters[here.name] = here.defaultValue;
  });
  let told; // the cell whose change was sent or waits to be
  form.addEventListener("change", (e) => { told = e.target; });
  let kept; // while rows are renewed: the changed cells, and the cell with the caret and its selection
  form.addEventListener("htmx:beforeSwap", (e) => {
    if (!e.detail.shouldSwap) return;
    const here = document.activeElement;
    kept = [...form.querySelectorAll(CELL)].filter((one) => one === here || one.value !== one.defaultValue)
      .map((one) => [one.id, one.value, one === here && [one.selectionStart, one.selectionEnd]]);
  });
  form.addEventListener("htmx:afterSwap", () => {
    for (const [id, value, selected] of kept ?? []) {
      const one = document.getElementById(id);
      if (!one) continue;
      if (one.value !== value) one.value = value;
      if (selected && one === document.activeElement) one.setSelectionRange(...selected);
    }
    kept = undefined;
  });
  // a browser tells of no change in a cell that was typed before a renewal: it is sent when it is left
  form.addEventListener("focusout", ({ target }) => {
    if (kept || target === told || !target.matches(CELL) || target.value === target.defaultValue) return;
    target.dispatchEvent(new Event("change", { bubbles: true }));
  });

  document.addEventListener("htmx:afterSettle", () => {
    for (const field of form.querySelectorAll("[aria-describedby^=note-]")) {
      const note = document.getElementById(field.getAttribute("aria-describedby").split(" ")[0]);
      if (note?.querySelector(".gq-err:not(.is-warn)")) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  });

  const saved = document.getElementById("saved");
  const notSaved = (why) => saved?.replaceChildren(`Not saved: ${why}`, ...saved.querySelectorAll("input"));
  document.addEventListener("htmx:sendError", () => notSaved("no connection. Your text is still here. Edit any field to try again."));
  document.addEventListener("htmx:timeout", () => notSaved("the server took too long. Edit any field to try again."));
  document.addEventListener("htmx:responseError", (e) => {
    notSaved(e.detail.xhr.status === 401 ? "you're logged out." : `server error ${e.detail.xhr.status}. Your text is still here.`);
  });

  // a chosen file is read without another press
  form.querySelector("input[type=file]")?.addEventListener("change", () => form.querySelector("[value=read]").click());

  // one press, one launch; the server would see to it anyway
  const loggedOut = document.getElementById("logged-out"); // shown by session.js; a page load would lose what was typed since
  form.addEventListener("submit", (e) => {
    if (loggedOut && !loggedOut.hidden) { e.preventDefault(); return; }
    setTimeout(() => { for (const one of form.querySelectorAll("button[name=do]")) one.disabled = true; });
  });
  window.addEventListener("pageshow", (e) => { if (e.persisted) window.location.reload(); });
})();
