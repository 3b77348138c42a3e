// The page of a job: what it made takes the place of its progress once it has ended; tabs.

import { dress } from "./shell.js";
import "./live.js";

const ENDED = ["succeeded", "failed", "cancelled"];

document.addEventListener("job:change", (event) => {
  if (ENDED.includes(event.detail.state)) renew();
});
// Deleted elsewhere: the page says so by itself.
new MutationObserver(() => {
  const live = document.querySelector("[data-live]");
  if (live && !live.querySelector("[data-job]")) location.reload();
}).observe(document.getElementById("content"), { childList: true, subtree: true });

// Of the page as it is now only the content is taken: whoever listens is not thrown to its top.
async function renew() {
  let fresh;
  try {
    const answer = await fetch(location.href);
    fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  } catch {
    // Without a connection the progress stays, and says that it is done.
  }
  if (!fresh) return;
  const main = document.getElementById("content");
  const said = document.getElementById("live-said");
  main.replaceChildren(...fresh.childNodes);
  // What was said is still being read out.
  document.getElementById("live-said").replaceWith(said);
  // Scripts that come by a parser do not run.
  for (const script of main.querySelectorAll("script[src]")) {
    const runs = document.createElement("script");
    runs.type = script.type;
    runs.src = script.src;
    script.replaceWith(runs);
  }
  dress(main);
  tabs();
}

// Without scripts the parts stand below each other, each under its heading. With them, the one that
// was chosen last, anywhere, is shown.
function tabs() {
  for (const box of document.querySelectorAll("[data-tabs]:not(:has([role=tablist]))")) {
    const panels = [...box.querySelectorAll("[data-tab]")];
    const list = document.createElement("div");
    list.className = "tabs";
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-labelledby", box.getAttribute("aria-labelledby"));
    const buttons = panels.map((panel) => tab(panel));
    const choose = (at, isFocused) => {
      buttons.forEach((button, i) => {
        button.setAttribute("aria-selected", String(i === at));
        button.tabIndex = i === at ? 0 : -1;
        panels[i].hidden = i !== at;
      });
      if (isFocused) buttons[at].focus();
      try { localStorage.setItem("language", panels[at].dataset.tab); } catch { /* Not kept then. */ }
    };
    buttons.forEach((button, at) => {
      button.addEventListener("click", () => choose(at));
      button.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) choose((at + step + buttons.length) % buttons.length, true);
      });
    });
    list.append(...buttons);
    panels[0].before(list);
    let last = null;
    try { last = localStorage.getItem("language"); } catch { /* The first, then. */ }
    choose(Math.max(0, panels.findIndex((panel) => panel.dataset.tab === last)));
  }
}

function tab(panel) {
  const button = document.createElement("button");
  button.type = "button";
  button.id = `${panel.id}-tab`;
  button.textContent = panel.dataset.tab;
  button.setAttribute("role", "tab");
  button.setAttribute("aria-controls", panel.id);
  panel.setAttribute("role", "tabpanel");
  panel.setAttribute("aria-labelledby", button.id);
  panel.querySelector("h3")?.remove();
  return button;
}

tabs();
