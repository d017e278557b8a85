"use strict";
// Filters and pages the completions; without it all of them are listed.
(() => {
  const PAGE = 20;
  const form = document.getElementById("filters");
  const pages = document.getElementById("pages");
  const list = document.querySelector(".completions");
  const all = [...list.children];
  const texts = new Map(all.map((item) => [item, item.textContent.toLowerCase()]));
  let page = 0;

  const matching = () => {
    const { outcome, round, words } = form.elements;
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    return all.filter(
      (item) =>
        (!outcome.value || item.dataset.outcome === outcome.value) &&
        (!round.value || item.dataset.round === round.value) &&
        wanted.every((word) => texts.get(item).includes(word)),
    );
  };

  const show = () => {
    const found = matching();
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.min(page, last);
    const shown = new Set(found.slice(page * PAGE, (page + 1) * PAGE));
    for (const item of all) item.hidden = !shown.has(item);
    document.getElementById("found").textContent =
      found.length === 1 ? "1 completion" : `${found.length} completions`;
    document.getElementById("page").textContent = `page ${page + 1} of ${last + 1}`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page === last;
    pages.hidden = last === 0;
  };

  const turn = (step) => {
    page += step;
    show();
    document.getElementById("samples").scrollIntoView();
  };

  if (all.length) {
    form.hidden = false;
    form.addEventListener("input", () => { page = 0; show(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("previous").addEventListener("click", () => turn(-1));
    document.getElementById("next").addEventListener("click", () => turn(1));
    window.addEventListener("beforeprint", () => { for (const item of all) item.hidden = false; });
    window.addEventListener("afterprint", show);
    show();
  }
})();
