/* Home: a result shows its picture until it is played, in place; the browser's own controls would cover half of it. What was
   played keeps them, also over the page's renewals. Without this file they are there from the start. */
(() => {
  "use strict";
  const partsOf = (shot) => ({ film: shot.querySelector("video"), play: shot.querySelector(".play") });
  const rest = () => document.querySelectorAll("#results .gq-shot").forEach((shot) => {
    const { film, play } = partsOf(shot);
    film.controls = play.hidden = "played" in film.dataset;
  });
  document.addEventListener("click", (e) => {
    const shot = e.target.closest("#results .gq-shot");
    if (!shot || partsOf(shot).play.hidden) return;
    const { film } = partsOf(shot);
    film.dataset.played = "";
    rest();
    film.focus();
    film.play().catch(() => {}); // why it cannot be played is shown by the controls
  });
  document.addEventListener("htmx:oobAfterSwap", rest);
  rest();
})();
