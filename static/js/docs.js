// The documentation: the language of code, and results while one types.
// Without it, code of all languages stands one below the other, and the form leads to a page.

// --- One language for all code, kept for the next page -----------------------------------------

const KEPT = "code-language";
const sets = [...document.querySelectorAll("[data-languages]")];

function choose(language) {
  for (const set of sets) {
    const figures = [...set.querySelectorAll("figure[data-language]")];
    const shown = figures.find((one) => one.dataset.language === language) ?? figures[0];
    for (const figure of figures) figure.hidden = figure !== shown;
    for (const tab of set.querySelectorAll("[role=tab]")) {
      const isShown = tab.dataset.language === shown.dataset.language;
      tab.setAttribute("aria-selected", isShown);
      tab.tabIndex = isShown ? 0 : -1;
    }
  }
}

sets.forEach((set, number) => {
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  set.querySelectorAll("figure[data-language]").forEach((figure, place) => {
    const name = figure.querySelector("figcaption");
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `code-tab-${number}-${place}`;
    tab.textContent = name.textContent;
    tab.dataset.language = figure.dataset.language;
    tab.setAttribute("role", "tab");
    figure.id = `code-panel-${number}-${place}`;
    tab.setAttribute("aria-controls", figure.id);
    figure.setAttribute("role", "tabpanel");
    figure.setAttribute("aria-labelledby", tab.id);
    name.hidden = true;
    list.append(tab);
  });
  list.setAttribute("aria-label", [...list.children].map((tab) => tab.textContent).join(", "));
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    // What is above must not push the block away from under the pointer.
    const before = list.getBoundingClientRect().top;
    choose(tab.dataset.language);
    scrollBy(0, list.getBoundingClientRect().top - before);
    try { localStorage.setItem(KEPT, tab.dataset.language); } catch { /* Not kept, then. */ }
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...list.children];
    const next = tabs.at((tabs.indexOf(event.target) + step) % tabs.length);
    next.click();
    next.focus();
  });
  set.prepend(list);
});
let kept = null;
try { kept = localStorage.getItem(KEPT); } catch { /* Forbidden: the first one. */ }
choose(kept);

// --- Results while one types ---------------------------------------------------------------------

for (const form of document.querySelectorAll("[data-docs-search]")) {
  const field = form.querySelector("input");
  const box = form.querySelector("[data-results]");
  let asked = 0;
  let timer;
  const close = () => { box.hidden = true; };

  async function ask() {
    const number = ++asked;
    const query = field.value.trim();
    if (query.length < 2) return close();
    const values = new URLSearchParams({ q: query, part: "1" });
    try {
      const answer = await fetch(`${form.action}?${values}`);
      if (!answer.ok || number !== asked) return;
      box.innerHTML = await answer.text();
      box.hidden = false;
    } catch {
      close(); // Offline. The key Enter tells.
    }
  }

  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 120); });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.hidden) {
      event.preventDefault();
      close();
      field.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || box.hidden) return;
    const stops = [field, ...box.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement) + step;
    event.preventDefault();
    stops[Math.max(0, Math.min(stops.length - 1, at))].focus();
  });
  form.addEventListener("focusout", (event) => {
    if (!form.contains(event.relatedTarget)) close();
  });
}

// --- Where one is on the page --------------------------------------------------------------------

const links = new Map([...document.querySelectorAll(".docs-toc a")]
  .map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
if (links.size) {
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  const mark = () => {
    const passed = headings.filter((one) => one.getBoundingClientRect().top < 120);
    const here = links.get((passed.at(-1) ?? headings[0]).id);
    for (const link of links.values()) link.ariaCurrent = link === here ? "location" : null;
  };
  addEventListener("scroll", mark, { passive: true });
  mark();
}
