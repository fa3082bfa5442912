/* Somebody logs out in another tab: htmx is answered 401, the page stays as it is and a note says what to do. Logging in again
   changes the token of this very page's forms: the cookie has the one that counts. */
(() => {
  "use strict";
  const token = () => document.cookie.split("; ").find((one) => one.startsWith("csrftoken="))?.slice(10);
  document.addEventListener("htmx:configRequest", (e) => {
    const now = token();
    if (now && e.detail.verb !== "get") { e.detail.headers["X-CSRFToken"] = now; e.detail.parameters.csrfmiddlewaretoken = now; }
  });
  document.addEventListener("submit", (e) => {
    const now = token(), field = e.target.elements.namedItem("csrfmiddlewaretoken");
    if (now && field) field.value = now;
  });

  const note = document.getElementById("logged-out");
  document.addEventListener("htmx:afterRequest", (e) => {
    if (note && e.detail.successful) note.hidden = true;
    else if (note && e.detail.xhr.status === 401) note.hidden = false;
  });
})();
