// The page of new jobs: recordings come in, are sent, priced and ordered. Without this script, its
// form takes one recording.

import { call } from "../api.js";
import { toast } from "../shell.js";
import { hashOf } from "./file_facts.js";
import { listOf } from "./order.js";
import { mediaOfFolder, watch } from "./picking.js";
import { Recording } from "./recording.js";
import { rowOf, stateText } from "./row.js";
import { Summary } from "./summary.js";
import { setTexts, words } from "./words.js";

const UPLOADS_AT_ONCE = 3;
const config = JSON.parse(document.getElementById("upload-config").textContent);
// Of this tab only: another one would order the same a second time.
const MEMORY = `stemwright:new-job:${config.workspace}`;

const form = document.getElementById("new-job");
const list = document.getElementById("recordings");
const fileInput = document.getElementById("id_file");
const urlInput = document.getElementById("id_url");
setTexts(config.texts);
const summary = new Summary(config, form);
let recordings = [];

// --- Recordings come in ----------------------------------------------------------------------

async function addFiles(files, nLeftOut = 0) {
  showTab("tab-file");
  if (nLeftOut) toast(words("left_out", { count: nLeftOut }));
  for (const file of files) await addFile(file);
}

async function addFile(file) {
  let hash = "";
  try {
    hash = await hashOf(file);
  } catch {
    // It cannot be read; sending it will say so.
  }
  const same = recordings.find((one) => one.name === file.name && one.size === file.size && one.hash === hash);
  if (same?.state === "lost") same.found(file);
  else if (same) toast(words("twice", { name: file.name }));
  // Its row is there at once; what is known of it follows.
  else add({ name: file.name, size: file.size, hash, state: "reading" })?.take(file);
}

function addAddress(text) {
  let address;
  try {
    address = new URL(text);
  } catch {
    address = null;
  }
  const isWhole = address && /^https?:$/.test(address.protocol) && address.hostname;
  urlInput.toggleAttribute("aria-invalid", false);
  if (!isWhole) {
    showTab("tab-url");
    urlInput.setAttribute("aria-invalid", "true");
    say(words("bad_address"));
    toast(words("bad_address"));
    return;
  }
  const name = nameOf(address);
  if (recordings.some((one) => one.url === address.href && one.isPending)) toast(words("twice", { name }));
  else add({ name, url: address.href, state: "address" });
  urlInput.value = "";
}

function nameOf(address) {
  const last = address.pathname.split("/").filter(Boolean).pop() ?? "";
  try {
    return decodeURIComponent(last) || address.hostname;
  } catch {
    return last;
  }
}

function add(values) {
  if (recordings.length >= config.max_recordings) {
    toast(words("too_many", { count: config.max_recordings }));
    return null;
  }
  const recording = new Recording(config, values);
  recordings.push(recording);
  recording.addEventListener("change", update);
  recording.addEventListener("state", () => changed(recording));
  recording.addEventListener("removed", () => {
    recordings = recordings.filter((one) => one !== recording);
    update();
    next();
  });
  list.append(rowOf(recording, { jobsUrl: config.jobs_url, chooseAgain: () => fileInput.click() }));
  update();
  return recording;
}

// --- One thing after the other ---------------------------------------------------------------

let timer = 0;

// A few are sent at a time, in the order of the list.
function next() {
  const now = Date.now();
  let nUnderWay = recordings.filter((one) => one.state === "uploading").length;
  for (const one of recordings.filter((other) => other.state === "queued")) {
    if (nUnderWay >= UPLOADS_AT_ONCE) return;
    if (one.notBefore > now) {
      clearTimeout(timer);
      timer = setTimeout(next, one.notBefore - now);
      continue;
    }
    nUnderWay += 1;
    one.upload();
  }
}

function changed(recording) {
  // What is under way is not read out, only what came of it.
  if (recording.state === "ready" && !recording.order) say(words("said_ready", { name: recording.name }));
  if (recording.problem) say(words("said_refused", { name: recording.name, problem: stateText(recording) }));
  if (recording.state === "ordered") ordered(recording);
  // Not at once: a state is left before the next one begins.
  queueMicrotask(next);
}

let newlyOrdered = [];

function ordered(recording) {
  newlyOrdered.push(recording);
  if (recordings.some((one) => one.state === "ordering")) return;
  const names = newlyOrdered.map((one) => one.name);
  newlyOrdered = [];
  const name = names.length === 1 ? names[0] : words("recordings", { count: names.length });
  toast(words("started", { name }), {
    kind: "success",
    action: { label: words("to_the_jobs"), run: () => location.assign(config.jobs_url) },
  });
  readBalance();
}

async function readBalance() {
  if (config.available_mcr === null) return;
  try {
    summary.available = (await call("GET", "/v1/credits")).available_mcr;
  } catch {
    // The service checks it anyway.
  }
  update();
}

function start() {
  const { order } = summary;
  if (!order) return;
  for (const one of recordings.filter((other) => other.isPending && !other.quote?.problem)) one.begin(order);
  update();
}

// --- The page follows ------------------------------------------------------------------------

let isDue = false;

function update() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    list.hidden = !recordings.length;
    summary.show(recordings);
    remember();
  });
}

function remember() {
  try {
    sessionStorage.setItem(MEMORY, JSON.stringify(recordings));
  } catch {
    // Then a reload begins anew.
  }
}

function recall() {
  let rows = [];
  try {
    rows = JSON.parse(sessionStorage.getItem(MEMORY)) ?? [];
  } catch {
    // As if there was nothing.
  }
  // Who comes back later has seen what became of these.
  const isNewVisit = performance.getEntriesByType("navigation")[0]?.type === "navigate";
  if (isNewVisit) {
    rows = rows.filter(({ state, uploadUrl, order }) => state !== "ordered" && (state !== "failed" || uploadUrl || order));
  }
  for (const values of rows) add(values)?.restore();
  const { asset } = config;
  if (!asset || recordings.some((one) => one.asset === asset.id && one.isPending)) return;
  add({
    name: asset.filename, size: asset.size_bytes, duration: asset.duration_s, asset: asset.id,
    state: "ready", isOld: true,
  });
}

function say(text) {
  document.getElementById("said").textContent = text;
}

function showTab(id) {
  for (const tab of form.querySelectorAll("[role=tab]")) {
    const isChosen = tab.id === id;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

// What the chosen card stands for is ticked below it, where it may be changed.
function showPreset() {
  const preset = form.querySelector("[name=preset]:checked");
  for (const name of ["stems", "steps"]) {
    const own = listOf(preset?.dataset[name]);
    for (const box of form.querySelectorAll(`[name=${name}]`)) box.checked = own.includes(box.value);
  }
}

function dress() {
  for (const element of form.querySelectorAll("[data-scripted]")) element.hidden = false;
  for (const element of form.querySelectorAll("[data-plain]")) element.hidden = true;
  for (const panel of form.querySelectorAll("[data-tab]")) {
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", panel.dataset.tab);
  }
  fileInput.multiple = true;
  fileInput.hidden = true;
  // Files go one by one, by the API.
  fileInput.removeAttribute("name");
  showTab(urlInput.value ? "tab-url" : "tab-file");
  showPreset();
}

function listen() {
  document.getElementById("choose-files").addEventListener("click", () => fileInput.click());
  fileInput.addEventListener("change", async () => {
    const files = [...fileInput.files];
    fileInput.value = "";
    await addFiles(files);
  });
  document.getElementById("choose-folder").addEventListener("click", () => {
    const folder = Object.assign(document.createElement("input"), { type: "file", webkitdirectory: true });
    folder.addEventListener("change", () => {
      const { files, nLeftOut } = mediaOfFolder(folder.files);
      addFiles(files, nLeftOut);
    });
    folder.click();
  });
  document.getElementById("add-url").addEventListener("click", () => addAddress(urlInput.value.trim()));
  urlInput.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    addAddress(urlInput.value.trim());
  });
  const tabs = [...form.querySelectorAll("[role=tab]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => showTab(tab.id));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const other = tabs.find((one) => one !== tab);
      showTab(other.id);
      other.focus();
    });
  }
  form.addEventListener("change", (event) => {
    if (event.target.name === "preset") showPreset();
    update();
  });
  form.querySelector("#options").addEventListener("input", update);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  watch({
    veil: document.getElementById("drop-veil"),
    onFiles: addFiles,
    onAddress: (text) => {
      showTab("tab-url");
      addAddress(text);
    },
  });
  addEventListener("reconnected", () => {
    for (const one of recordings.filter((other) => other.isOffline)) one.retry();
  });
  addEventListener("beforeunload", (event) => {
    remember();
    if (recordings.some((one) => one.isBusy)) event.preventDefault();
  });
  // A page that comes back from the browser's cache shows credits of then.
  addEventListener("pageshow", (event) => event.persisted && readBalance());
}

dress();
recall();
listen();
update();
