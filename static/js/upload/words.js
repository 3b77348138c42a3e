// Texts of the page, and numbers as its reader writes them.

const LANGUAGE = document.documentElement.lang || undefined;
const CREDITS = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 3 });
const ABOUT = new Intl.NumberFormat(LANGUAGE, { maximumSignificantDigits: 3 });
const PERCENT = new Intl.NumberFormat(LANGUAGE, { style: "percent" });
const SIZE = new Intl.NumberFormat(LANGUAGE, { maximumSignificantDigits: 3 });

let texts = {};

export function setTexts(values) {
  texts = values;
}

// The text of this name, with {values} filled in.
export function words(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (whole, key) => (key in values ? values[key] : whole));
}

export const credits = (mcr) => CREDITS.format(mcr / 1000);
export const creditsAbout = (mcr) => ABOUT.format(mcr / 1000);
export const percent = (part) => PERCENT.format(Math.floor(part * 100) / 100);

export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1024;
    unit += 1;
  }
  return `${SIZE.format(value)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}

// A length: 3:25, or 1:02:03.
export function clock(seconds) {
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
  return parts.map((part, at) => (at ? String(part).padStart(2, "0") : part)).join(":");
}

// How long something takes: 40 s, 12 min, 1.5 h.
export function time(seconds) {
  if (seconds < 90) return words("seconds", { count: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return words("minutes", { count: Math.round(seconds / 60) });
  return words("hours", { count: ABOUT.format(Math.round(seconds / 360) / 10) });
}
