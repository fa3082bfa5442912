/* Live pages. Elements in [data-stream="address"] hear of changes, and those that renew themselves do so on gq:changed and gq:tick
   (hx-trigger="gq:tick from:body, gq:changed from:body"; a filter in a trigger would need eval, which the CSP forbids);
   [data-live] says how old that is; by the server's clock of [data-now] time[data-age] counts on, [data-until] and [data-seconds]
   count down, and the bar [data-run] and the ring [data-ring] run out within the 10 seconds before their moment. Nothing runs in a hidden tab. */
(() => {
  "use strict";
  const TICK = 5000, GATHER = 150, STALE = 15000, RETRY = 30000; // milliseconds
  const body = document.body;
  let source = null, gathering = 0, retry = 0, answered = Date.now();

  const say = (name) => { if (!document.hidden && window.htmx) window.htmx.trigger(body, name); };
  // what comes within 150 ms of a change is answered by the same look
  const changed = () => { gathering ||= setTimeout(() => { gathering = 0; say("gq:changed"); }, GATHER); };

  const notAgain = () => { clearTimeout(retry); retry = 0; };
  const disconnect = () => { notAgain(); source?.close(); source = null; };
  const connect = () => {
    notAgain();
    const address = document.querySelector("[data-stream]")?.dataset.stream;
    if (source || document.hidden || !address) return;
    source = new EventSource(address);
    for (const name of ["change", "queue", "resync"]) source.addEventListener(name, changed);
    // the browser connects again by itself unless it was refused; the tick goes on meanwhile
    source.addEventListener("error", () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      disconnect();
      retry = setTimeout(connect, RETRY);
    });
  };

  // 45s, 2m 20s, 1h 5m, 3d 4h: as the server says it
  const two = (large, unit, small, subunit) => (small ? `${large}${unit} ${small}${subunit}` : `${large}${unit}`);
  const duration = (s) => {
    const m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(s / 86400);
    if (s < 60) return `${s}s`;
    if (m < 60) return two(m, "m", s % 60, "s");
    return h < 24 ? two(h, "h", m % 60, "m") : two(d, "d", h % 24, "h");
  };

  const put = (el, words) => { if (el.textContent !== words) el.textContent = words; };
  const showAge = () => {
    const age = Date.now() - answered, stale = age > STALE, since = new Date(answered);
    const at = since.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    document.querySelectorAll("[data-live]").forEach((dot) => {
      dot.classList.toggle("is-stale", stale);
      dot.title = `Updated ${duration(Math.round(age / 1000))} ago`;
      put(dot, stale ? `Not updated since ${at}. Retrying…` : "Live");
    });
  };

  const now = document.querySelector("[data-now]")?.dataset.now;
  const skew = now ? Date.parse(now) - Date.now() : 0; // the server's clock less this one's
  const showAges = () => document.querySelectorAll("time[data-age]").forEach((one) => {
    put(one, duration(Math.max(0, Math.round((Date.now() + skew - Date.parse(one.dateTime)) / 1000))));
  });

  const secondsTo = (moment) => (Date.parse(moment) - Date.now() - skew) / 1000;
  const countDown = () => {
    document.querySelectorAll("[data-until]").forEach((one) => {
      const left = Math.ceil(secondsTo(one.dataset.until));
      put(one, left > 0 ? `${left} second${left === 1 ? "" : "s"}` : "a few seconds");
    });
    document.querySelectorAll("[data-seconds]").forEach((one) => put(one, String(Math.max(0, Math.ceil(secondsTo(one.dataset.seconds))))));
    document.querySelectorAll("[data-ring]").forEach((ring) => ring.setAttribute("stroke-dasharray", `${Math.min(10, Math.max(0, secondsTo(ring.dataset.ring)))} 10`));
    document.querySelectorAll("[data-run]").forEach((bar) => bar.setAttribute("width", Math.min(100, Math.max(0, 10 * secondsTo(bar.dataset.run)))));
  };

  document.addEventListener("htmx:afterRequest", (e) => {
    const live = e.detail.elt.closest("[hx-trigger*='gq:']:not(#pending)");
    if (live && e.detail.successful) { answered = Date.now(); showAge(); }
  });
  // whatever a page asks for, the answer says how many notices are unread
  document.addEventListener("htmx:afterRequest", (e) => {
    const unread = e.detail.xhr.getResponseHeader("Genqueue-Unread"), bell = document.getElementById("bell");
    if (unread === null || !bell) return;
    const count = bell.querySelector(".gq-count");
    put(count, unread);
    count.hidden = !unread;
    bell.setAttribute("aria-label", unread ? `Notices, ${unread} unread` : "Notices");
  });
  // a look that fails is said by its age: what a page says of its forms' requests is not about it
  for (const name of ["htmx:responseError", "htmx:sendError"])
    document.addEventListener(name, (e) => { if (e.detail.elt.matches("[hx-trigger*='gq:']")) e.stopImmediatePropagation(); }, true);
  document.addEventListener("htmx:afterSettle", () => { showAge(); countDown(); if (!retry) connect(); }); // a listener may have come with the answer
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return disconnect();
    connect();
    changed();
  });
  // six streams block a browser's every other request to a host: none outlives its page, not even in the back-forward cache
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", connect);
  setInterval(() => say("gq:tick"), TICK);
  setInterval(() => { if (!document.hidden) { showAge(); showAges(); countDown(); } }, 1000);
  connect();
  showAges();
  countDown();
})();
