// The list of jobs: choosing several, and deleting that can be undone for a while.

import { dress, toast } from "./shell.js";
import { watch } from "./live.js";

const words = () => document.getElementById("jobs-words").dataset;
const fill = (text, n) => text.replace("{n}", n);

// --- Choosing ------------------------------------------------------------------------------------

const boxes = () => [...document.querySelectorAll("input[name=job][form=bulk]")];

function count() {
  const bar = document.querySelector("[data-chosen]");
  const all = document.querySelector("[data-pick-all]");
  if (!bar) return;
  const chosen = boxes().filter((box) => box.checked).length;
  bar.textContent = fill(bar.dataset.chosen, chosen);
  all.hidden = false;
  all.checked = chosen > 0 && chosen === boxes().length;
  all.indeterminate = chosen > 0 && !all.checked;
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-pick-all]")) {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.matches("[data-pick-all], input[name=job]")) count();
});

// --- Deleting ------------------------------------------------------------------------------------

// Rows vanish at once, but the call waits for as long as the toast with its "Undo" is there. It is
// sent when the toast goes, before anything else is done with jobs, and when the page is left
// (`keepalive` lets it outlive the page).
let pending;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-acts]")) return;
  const isDelete = event.submitter?.name === "action" && event.submitter.value === "delete";
  const ids = new FormData(form).getAll("job");
  if (!isDelete) {
    send();
    return;
  }
  event.preventDefault();
  form.closest("[popover]")?.hidePopover();
  if (ids.length) hold(form, ids);
});

function hold(form, ids) {
  send();
  const rows = ids.map((id) => document.querySelector(`tr[data-job="${id}"]`)).filter(Boolean);
  for (const row of rows) {
    row.hidden = true;
    for (const box of row.querySelectorAll("input[name=job]")) box.checked = false;
  }
  count();
  const body = new URLSearchParams({ action: "delete", confirmed: "1" });
  for (const id of ids) body.append("job", id);
  body.set("csrfmiddlewaretoken", new FormData(form).get("csrfmiddlewaretoken"));
  const { deletedOne, deletedMany, undo } = words();
  const text = ids.length === 1 ? deletedOne : fill(deletedMany, ids.length);
  const box = toast(text, { action: { label: undo, run: takeBack } });
  // Not `form.action`: a button has that name.
  pending = { rows, body, address: form.getAttribute("action"), box };
  const mine = pending;
  new MutationObserver((_, observer) => {
    if (box.isConnected) return;
    observer.disconnect();
    if (pending === mine) send();
  }).observe(document.getElementById("toasts"), { childList: true });
}

function takeBack() {
  const { rows } = pending;
  pending = undefined;
  for (const row of rows) row.hidden = false;
  rows[0]?.querySelector("a")?.focus();
  toast(words().restored);
}

async function send() {
  if (!pending) return;
  const { body, address, box, rows } = pending;
  pending = undefined;
  box.remove();
  try {
    const answer = await fetch(address, {
      method: "POST", body, keepalive: true, headers: { Accept: "application/json" },
    });
    if (!answer.ok) throw new Error(answer.status);
    const { problems } = await answer.json();
    for (const problem of problems) toast(problem, { kind: "error" });
    await refresh();
  } catch {
    for (const row of rows) row.hidden = false;
    toast(words().failed, { kind: "error" });
  }
}

addEventListener("pagehide", send);

// Counts, pages and rows as they are now; what is chosen stays chosen.
async function refresh() {
  const chosen = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const list = page.getElementById("jobs-list");
  if (!list) return;
  document.getElementById("jobs-list").replaceWith(list);
  for (const box of boxes()) box.checked = chosen.has(box.value);
  for (const row of pending?.rows ?? []) {
    document.querySelector(`tr[data-job="${row.dataset.job}"]`)?.setAttribute("hidden", "");
  }
  dress(list);
  count();
  watch();
}

count();
