// Keeps the jobs on a page up to date: one stream of events for all of them (web/app/events.py), or
// a look every few seconds where a stream does not come through. Without scripts, people reload.

import { connected, look } from "./connection.js";

const LOOK_EVERY_MS = 3000;
// A proxy that holds a stream back lets nothing through, not even the first events.
const FIRST_EVENT_WITHIN_MS = 6000;
const ENDED = ["succeeded", "failed", "cancelled"];

let source, timer, patience, isPolling = false, isHeldBack = false;
const said = () => document.getElementById("live-said");

function places() {
  return [...document.querySelectorAll("[data-live] [data-job]")];
}

function active() {
  return places().filter((one) => !ENDED.includes(one.dataset.state));
}

function address() {
  const { live, as } = document.querySelector("[data-live]").dataset;
  const ids = new Set(active().map((one) => one.dataset.job));
  return `${live}?as=${as}&jobs=${[...ids].join(",")}`;
}

// Begins, or begins anew after the jobs on the page are others.
export function watch() {
  stop();
  if (document.hidden || !document.querySelector("[data-live]") || !active().length) return;
  if (isPolling || !window.EventSource) poll(); else stream();
}

function stop() {
  source?.close();
  source = undefined;
  clearTimeout(timer);
  clearTimeout(patience);
}

function stream() {
  source = new EventSource(address());
  patience = setTimeout(() => { isHeldBack = true; fallBack(); }, FIRST_EVENT_WITHIN_MS);
  const heard = (take) => (event) => {
    clearTimeout(patience);
    connected(true);
    take(JSON.parse(event.data));
  };
  source.addEventListener("job", heard(show));
  source.addEventListener("gone", heard(({ id }) => remove(id)));
  source.addEventListener("end", heard(stop));
  source.addEventListener("error", () => {
    // It comes back by itself unless it was refused: too many are open, or a proxy will not have it.
    if (source?.readyState === EventSource.CLOSED) fallBack();
    else look();
  });
}

function fallBack() {
  isPolling = true;
  watch();
}

async function poll() {
  try {
    const answer = await fetch(address(), { headers: { Accept: "application/json" } });
    // Signed out, or taken out of the workspace: there is nothing to look at any more.
    if (answer.redirected || [403, 404].includes(answer.status)) return;
    if (!answer.ok) throw new Error(answer.status);
    const { jobs, gone } = await answer.json();
    connected(true);
    jobs.forEach(show);
    gone.forEach(remove);
  } catch {
    connected(false);
  }
  if (active().length && !document.hidden) timer = setTimeout(poll, LOOK_EVERY_MS);
}

function show(job) {
  const fresh = document.createElement("template");
  fresh.innerHTML = job.html;
  for (const place of places().filter((one) => one.dataset.job === job.id)) {
    const isNews = place.dataset.stage !== job.stage;
    place.dataset.state = job.state;
    place.dataset.stage = job.stage;
    for (const part of fresh.content.querySelectorAll("[data-part]")) {
      swap(place.querySelector(`[data-part="${part.dataset.part}"]`), part.cloneNode(true));
    }
    // Stages, not every percent: people who listen want to do something else meanwhile.
    if (isNews) say(job.said);
    place.dispatchEvent(new CustomEvent("job:change", { bubbles: true, detail: job }));
  }
}

// Not under somebody's hands: a menu that is open, or what has the focus, stays until it is left.
function swap(old, part) {
  if (!old || old.innerHTML === part.innerHTML) return;
  if (old.querySelector(":popover-open")) {
    old.querySelector(":popover-open").addEventListener("toggle", () => swap(old, part), { once: true });
    return;
  }
  const isFocused = old.contains(document.activeElement);
  const bar = old.querySelector("progress");
  old.replaceChildren(...part.childNodes);
  // The new bar starts where the old one was, and moves from there.
  const next = old.querySelector("progress");
  if (bar && next) {
    const { value } = next;
    next.value = bar.value;
    requestAnimationFrame(() => { next.value = value; });
  }
  // Where nothing is left to press, Tab goes on from the top of the content.
  const heir = old.querySelector("a, button") ?? document.getElementById("content");
  if (isFocused) heir.focus({ preventScroll: true });
  old.dispatchEvent(new CustomEvent("htmx:after:swap", { bubbles: true }));
}

function remove(id) {
  for (const place of places().filter((one) => one.dataset.job === id)) place.remove();
}

function say(text) {
  if (said()) said().textContent = text;
}

document.addEventListener("visibilitychange", () => {
  // There may be a place for a stream by now.
  isPolling = isHeldBack;
  watch();
});
addEventListener("reconnected", watch);
// A page that the browser keeps for the way back must not keep a stream.
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => { if (event.persisted) watch(); });
watch();
