// Ways by which recordings come onto the page: dropped, pasted, chosen, with whole folders.

import { isMedia } from "./file_facts.js";

// `onFiles(files, nLeftOut)` and `onAddress(text)` are told.
export function watch({ veil, onFiles, onAddress }) {
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (isShown) => { veil.hidden = !isShown; };
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(true);
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (!depth) show(false);
  });
  addEventListener("drop", async (event) => {
    depth = 0;
    show(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    const { files, nLeftOut } = await dropped(event.dataTransfer);
    onFiles(files, nLeftOut);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) {
      event.preventDefault();
      onFiles(files, 0);
      return;
    }
    if (event.target.closest?.("input, textarea")) return;
    const text = event.clipboardData?.getData("text").trim() ?? "";
    if (/^https?:\/\/\S+$/i.test(text)) {
      event.preventDefault();
      onAddress(text);
    }
  });
}

// Files that were named stay, whatever they are: the service says what is wrong with them. Of
// folders, only what looks like a recording.
async function dropped(transfer) {
  // Asked before anything is waited for: later, the transfer is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return { files: [...transfer.files], nLeftOut: 0 };
  const named = entries.filter((entry) => entry.isFile);
  const files = (await Promise.all(named.map(fileOf))).filter(Boolean);
  let nLeftOut = 0;
  for (const folder of entries.filter((entry) => entry.isDirectory)) {
    const inside = await filesIn(folder);
    const wanted = inside.filter(isMedia);
    nLeftOut += inside.length - wanted.length;
    files.push(...wanted);
  }
  return { files, nLeftOut };
}

export function mediaOfFolder(list) {
  const files = [...list].filter(isMedia);
  return { files, nLeftOut: list.length - files.length };
}

// Null where it may not be read.
const fileOf = (entry) => new Promise((resolve) => entry.file(resolve, () => resolve(null)));

async function filesIn(folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    // A hundred at a time, until there are none left.
    const entries = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!entries.length) return files.filter(Boolean);
    for (const entry of entries) {
      if (entry.isDirectory) files.push(...await filesIn(entry));
      else files.push(await fileOf(entry));
    }
  }
}
