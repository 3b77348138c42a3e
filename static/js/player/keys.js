// Keys without a modifier: anybody who dictates, or types a lot, can switch them off.
const STORE = "stemwright.player.keys";
const PLAIN = {
  " ": "play", k: "play", j: -10, l: 10, home: "home", end: "finish",
  i: "from", o: "to", "\\": "clear", "+": "in", "=": "in", "-": "out", "−": "out", 0: "fit",
  z: "near", a: "both", n: "next", p: "previous", "?": "help",
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
  // These belong to sliders and to scrolling. On the position they work for everybody.
  const isPosition = target.matches(".sp-overview");
  const isMove = /^Arrow|^Home$|^End$/.test(key);
  if (isMove && (altKey || target.matches("input[type=range]"))) return null;
  if (!areKeysOn() && !(isMove && isPosition)) return null;
  if (key.startsWith("Arrow")) {
    if (!isPosition && /Up|Down/.test(key)) return null;
    return by((shiftKey ? 1 : 5) * (/Left|Down/.test(key) ? -1 : 1));
  }
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  if (digit && (shiftKey || !altKey)) {
    return { what: shiftKey ? "solo" : "mute", adds: altKey, lane: digit - 1 };
  }
  if (altKey || (key === " " && target.closest(PRESSED))) return null;
  const what = PLAIN[key.toLowerCase()];
  return typeof what === "number" ? by(what) : what && { what };
}

const by = (seconds) => ({ what: "by", by: seconds });
