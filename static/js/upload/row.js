// How a recording looks in the list.

import { clock, percent, size, words } from "./words.js";

const BUTTONS = {
  pause: (one) => one.state === "uploading" || one.state === "queued",
  resume: (one) => one.state === "paused",
  choose_again: (one) => one.state === "lost",
  retry: (one) => one.canRetry,
  remove: (one) => one.state !== "ordering",
  open: (one) => one.state === "ordered",
};

export function rowOf(recording, { jobsUrl, chooseAgain }) {
  const row = document.getElementById("recording").content.firstElementChild.cloneNode(true);
  row.querySelector(".name").textContent = row.querySelector(".name").title = recording.name;
  const actions = {
    pause: () => recording.pause(),
    resume: () => recording.resume(),
    retry: () => recording.retry(),
    remove: () => recording.remove(),
    choose_again: chooseAgain,
  };
  for (const [name, run] of Object.entries(actions)) {
    const button = row.querySelector(`[data-do="${name}"]`);
    button.addEventListener("click", run);
    button.setAttribute("aria-label", words(name, { name: recording.name }));
  }
  row.querySelector('[data-do="open"]').setAttribute("aria-label", words("open_job", { name: recording.name }));
  recording.addEventListener("change", () => show(row, recording, jobsUrl));
  recording.addEventListener("removed", () => leave(row));
  show(row, recording, jobsUrl);
  return row;
}

function show(row, recording, jobsUrl) {
  row.dataset.state = recording.problem || recording.quote?.problem ? "failed" : recording.state;
  row.querySelector(".facts").textContent = facts(recording);
  row.querySelector(".state").textContent = stateText(recording);
  const bar = row.querySelector("progress");
  bar.hidden = !["uploading", "paused", "lost", "checking"].includes(recording.state);
  bar.setAttribute("aria-label", recording.name);
  if (recording.state === "checking") bar.removeAttribute("value");
  else bar.value = part(recording);
  const focused = row.contains(document.activeElement) ? document.activeElement : null;
  for (const [name, isShown] of Object.entries(BUTTONS)) {
    row.querySelector(`[data-do="${name}"]`).hidden = !isShown(recording);
  }
  // A button that goes takes the focus with it: the next one has it then.
  if (focused?.hidden) row.querySelector("[data-do]:not([hidden])")?.focus();
  if (recording.job) row.querySelector('[data-do="open"]').href = `${jobsUrl}/${recording.job}`;
}

function leave(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  const hadFocus = row.contains(document.activeElement);
  row.remove();
  if (!hadFocus) return;
  (next?.querySelector('[data-do="remove"]') ?? document.getElementById("choose-files")).focus();
}

const part = (recording) => (recording.size ? recording.sent / recording.size : 0);

function facts(recording) {
  const known = [];
  if (recording.duration) known.push(clock(recording.duration));
  else if (!["reading", "failed"].includes(recording.state)) known.push(words("unknown_length"));
  if (recording.size) known.push(size(recording.size));
  return known.join(" · ");
}

export function stateText(recording) {
  const problem = recording.problem || recording.quote?.problem;
  if (problem) return problem;
  const text = words(recording.state, { percent: percent(part(recording)) });
  const isWaiting = recording.order && !["ordering", "ordered"].includes(recording.state);
  return isWaiting ? words("will_start", { state: text }) : text;
}
