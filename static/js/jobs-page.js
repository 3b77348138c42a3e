// The page of a job: what it made takes the place of its progress once it has ended.

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

// Its name can be typed at once.
document.addEventListener("toggle", (event) => {
  if (event.target.matches?.("[data-rename][open]")) event.target.querySelector("input[name=name]").select();
}, true);
document.addEventListener("keydown", (event) => {
  const rename = event.key === "Escape" && event.target.closest?.("[data-rename][open]");
  if (!rename) return;
  rename.querySelector("form").reset();
  rename.open = false;
  rename.querySelector("summary").focus();
});

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
  // What was said is still being read out, and the call by the API stays what it was.
  const kept = ["#live-said", "[data-languages]"].map((one) => [one, main.querySelector(one)]);
  // Who has just been in what goes goes on from where the page begins.
  if (main.contains(document.activeElement)) main.focus({ preventScroll: true });
  main.replaceChildren(...fresh.childNodes);
  for (const [place, old] of kept) {
    if (old) main.querySelector(place)?.replaceWith(old);
  }
  // Scripts that come by a parser do not run.
  for (const script of main.querySelectorAll("script[src]")) {
    const runs = document.createElement("script");
    runs.type = script.type;
    runs.src = script.src;
    script.replaceWith(runs);
  }
  dress(main);
}
