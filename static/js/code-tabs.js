// Code in several languages: one is shown, everywhere on the page and on the next one.
// Without it, all stand one below the other.

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

function tabOf(figure, id) {
  const name = figure.querySelector("figcaption");
  const tab = document.createElement("button");
  tab.type = "button";
  tab.id = `${id}-tab`;
  tab.textContent = name.textContent;
  tab.dataset.language = figure.dataset.language;
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", id);
  figure.id = id;
  figure.setAttribute("role", "tabpanel");
  figure.setAttribute("aria-labelledby", tab.id);
  name.hidden = true;
  return tab;
}

sets.forEach((set, number) => {
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  set.querySelectorAll("figure[data-language]").forEach((figure, place) => {
    list.append(tabOf(figure, `code-panel-${number}-${place}`));
  });
  list.ariaLabel = [...list.children].map((tab) => tab.textContent).join(", ");
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (!tab) return;
    // What changes above must not push the block away from under the pointer.
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
