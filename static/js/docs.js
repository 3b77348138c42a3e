// The documentation: results while one types, and where one is on the page.
// Without it, the form leads to a page of results.
import "./code-tabs.js";

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
