// Keys without a modifier: anybody who dictates, or types a lot, can switch them off.
const STORE = "stemwright.player.keys";
const PLAIN = {
  " ": { what: "play" }, k: { what: "play" },
  j: { what: "by", by: -10 }, l: { what: "by", by: 10 },
  home: { what: "home" }, end: { what: "finish" },
  i: { what: "from" }, o: { what: "to" }, "\\": { what: "clear" },
  "+": { what: "in" }, "=": { what: "in" }, "-": { what: "out" }, "−": { what: "out" },
  0: { what: "fit" }, z: { what: "near" }, a: { what: "both" },
  n: { what: "next" }, p: { what: "previous" }, "?": { what: "help" },
};
// What these elements do with a key of their own comes first.
const FIELDS = "input:not([type=range]), textarea, select, [contenteditable], dialog, [popover]";
const PRESSED = "a, button, summary, label";

export function areKeysOn() {
  try {
    return localStorage.getItem(STORE) !== "off";
  } catch {
    return true;
  }
}

export function setKeysOn(isOn) {
  try {
    localStorage.setItem(STORE, isOn ? "on" : "off");
  } catch {
    // Storage is closed: then it holds for no longer than the dialog is open.
  }
}

// What a key asks for: {what, …}, or nothing.
export function commandOf(event) {
  const { target, key, code, shiftKey, altKey } = event;
  if (event.ctrlKey || event.metaKey || event.isComposing || event.defaultPrevented) return null;
  if (target.closest(FIELDS)) return null;
  const isSlider = target.matches("input[type=range]");
  const isPosition = target.matches(".sp-overview");
  if (key.startsWith("Arrow") || key === "Home" || key === "End") {
    if (isSlider || altKey) return null;
    // These belong to sliders and scrolling, and work on the position where it has the focus.
    if (!isPosition && !areKeysOn()) return null;
    if (["ArrowLeft", "ArrowRight"].includes(key)) {
      return { what: "by", by: (shiftKey ? 1 : 5) * (key === "ArrowLeft" ? -1 : 1) };
    }
    if (isPosition && key.startsWith("Arrow")) return { what: "by", by: key === "ArrowDown" ? -5 : 5 };
    return PLAIN[key.toLowerCase()] ?? null;
  }
  if (!areKeysOn()) return null;
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  if (digit && (shiftKey || !altKey)) {
    return { what: shiftKey ? "solo" : "mute", adds: altKey, lane: digit - 1 };
  }
  if (altKey || (key === " " && target.closest(PRESSED))) return null;
  return PLAIN[key.toLowerCase()] ?? null;
}
