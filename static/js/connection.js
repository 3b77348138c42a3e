// Without a connection, says so, lets nobody lose what they typed, and looks when it is back. Of a
// part of the page that could not be loaded, says that too.

import { toast } from "./shell.js";

const LOOK_EVERY_MS = 4000;
const banner = document.getElementById("offline");
let isThere = true;
let timer = 0;

// What has heard of the service, or could not reach it, says so here.
export function connected(isIt) {
  clearTimeout(timer);
  if (!isIt) timer = setTimeout(look, LOOK_EVERY_MS);
  if (isIt === isThere) return;
  isThere = isIt;
  banner.hidden = isIt;
  if (!isIt) return;
  toast(banner.dataset.back, { kind: "success" });
  // For what waits to go on.
  dispatchEvent(new Event("reconnected"));
}

// Asks the service: browsers know of their network only, and the service may be on this machine.
export async function look() {
  try {
    connected((await fetch("/livez", { cache: "no-store" })).ok);
  } catch {
    connected(false);
  }
  return isThere;
}

for (const news of ["online", "offline"]) addEventListener(news, look);
document.addEventListener("visibilitychange", () => { if (!isThere && !document.hidden) look(); });
if (!navigator.onLine) look();

// --- Forms and links -----------------------------------------------------------------------------

// The browser's own page of errors would take the place of this one, and of what was typed in it.
addEventListener("submit", async (event) => {
  const { target: form, submitter } = event;
  if (isThere || event.defaultPrevented || form.method === "dialog") return;
  event.preventDefault();
  if (await look()) form.requestSubmit(submitter);
  else toast(banner.dataset.unsent, { kind: "error" });
});

addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[href]");
  if (isThere || !link || event.defaultPrevented || !isWay(link, event)) return;
  event.preventDefault();
  if (await look()) location.assign(link.href);
  else toast(banner.dataset.unread, { kind: "error" });
});

// Whether it leads away from here, in this tab.
function isWay(link, { ctrlKey, metaKey, shiftKey, button }) {
  const isElsewhere = link.target || ctrlKey || metaKey || shiftKey || button;
  const [here, there] = [location.href, link.href].map((address) => address.split("#")[0]);
  return !isElsewhere && link.origin === location.origin && (here !== there || !link.hash);
}

// --- Parts of the page ---------------------------------------------------------------------------

document.addEventListener("htmx:before:request", ({ detail }) => {
  detail.ctx.target?.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:finally:request", ({ detail }) => {
  detail.ctx.target?.removeAttribute("aria-busy");
});
document.addEventListener("htmx:error", ({ detail }) => {
  if (!detail.ctx) return;
  failed();
  look();
});
// What a page refuses it says itself, in a part of its own. Whole pages are no part of this one.
document.addEventListener("htmx:before:swap", (event) => {
  const { raw, status } = event.detail.ctx.response;
  const isPart = raw.headers.get("Content-Type")?.startsWith("text/html") && status < 500;
  if (raw.redirected) {
    // To sign in: this page leads there too, and back to itself.
    event.preventDefault();
    location.reload();
  } else if (!isPart || (status >= 400 && event.detail.ctx.select)) {
    event.preventDefault();
    failed();
  }
});

let saidAt = -Infinity;

// Not each time, of what is asked for every few seconds.
function failed() {
  if (performance.now() - saidAt < 60_000) return;
  saidAt = performance.now();
  toast(banner.dataset.failed, { kind: "error" });
}
