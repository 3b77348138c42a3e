// What every page has: menus beside their buttons, dialogs, things to copy, times, toasts.
// Everything works without it, only less comfortably.

// Menus (`popover`) open beside the button that names them.
document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.matches?.(".menu")) return;
  const button = document.querySelector(`[popovertarget="${menu.id}"]`);
  if (!button) return;
  const at = button.getBoundingClientRect();
  const left = Math.min(at.left, innerWidth - menu.offsetWidth - 8);
  const below = at.bottom + 4;
  const fits = below + menu.offsetHeight <= innerHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${fits ? below : Math.max(8, at.top - 4 - menu.offsetHeight)}px`;
  menu.querySelector("a, button")?.focus();
}, true);

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    event.preventDefault();
    document.getElementById(opener.dataset.dialog)?.showModal();
    return;
  }
  const closer = event.target.closest("[data-close]");
  if (closer) {
    event.preventDefault();
    closer.closest("dialog")?.close();
    return;
  }
  const copier = event.target.closest("[data-copy]");
  if (copier) copy(copier);
});

// `data-copy` is the text itself, or "#id" of what holds it.
async function copy(button) {
  const what = button.dataset.copy;
  const text = what.startsWith("#") ? document.querySelector(what).textContent.trim() : what;
  try {
    await navigator.clipboard.writeText(text);
    toast(button.dataset.copied);
  } catch {
    // Not over plain HTTP: what would be copied is selected instead.
    if (what.startsWith("#")) getSelection().selectAllChildren(document.querySelector(what));
  }
}

// Says something in the corner for a while. `action` is {label, run}.
export function toast(text, { action, kind = "" } = {}) {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  box.append(words);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = action.label;
    button.addEventListener("click", () => { box.remove(); action.run(); });
    box.append(button);
  }
  document.getElementById("toasts").append(box);
  leave(box);
  return box;
}

function leave(box) {
  // Long enough to be read, and not while somebody is on it (WCAG 2.2.1).
  let timer = setTimeout(() => box.remove(), 8000);
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("focusin", () => clearTimeout(timer));
  for (const left of ["pointerleave", "focusout"]) {
    box.addEventListener(left, () => {
      clearTimeout(timer);
      timer = setTimeout(() => box.remove(), 3000);
    });
  }
}

// A choice that takes effect at once, such as the language.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// Times in the reader's language, and in the zone that they chose or live in.
const FORMAT = timeFormat(document.documentElement.dataset.zone);

function timeFormat(timeZone) {
  const language = document.documentElement.lang || undefined;
  try {
    return new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone });
  } catch {
    // A zone that this browser has not heard of.
    return timeFormat();
  }
}

// The server cannot know it: for what it counts by days.
const here = new Intl.DateTimeFormat().resolvedOptions().timeZone;
if (here && !document.cookie.split("; ").includes(`time_zone=${here}`)) {
  document.cookie = `time_zone=${here}; path=/; max-age=31536000; samesite=lax`;
}

// What scrolls sideways can be scrolled by keyboard (WCAG 2.1.1).
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

export function dress(root) {
  for (const box of root.querySelectorAll(".scroll, pre")) sizes.observe(box);
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = FORMAT.format(new Date(time.dateTime));
  }
  for (const form of root.querySelectorAll("form:has([data-submits])")) {
    form.querySelector("button:not([name])")?.setAttribute("hidden", "");
  }
}
dress(document);
// All of it: what sent the event may be what was replaced.
document.addEventListener("htmx:after:swap", () => dress(document));
for (const box of document.querySelectorAll(".toast")) leave(box);
// Where tabs do not all fit, the one that is open is in sight.
document.querySelector(".tabs > [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
