// The order that the form says, as the API takes it, and what it costs before the service is asked.

import { words } from "./words.js";

const LISTS = ["stems", "formats", "steps"];
const CLOCKS = ["start_s", "end_s"];
const CLOCK = /^(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:\.\d{1,3})?)$/;

// Throws an Error that says which field is wrong.
export function orderOf(form) {
  const preset = form.querySelector("[name=preset]:checked");
  if (!preset) throw new Error();
  const order = { service: preset.dataset.service };
  for (const field of fieldsOf(form, order.service)) {
    const target = field.closest("[data-part]") ? (order.options ??= {}) : order;
    put(target, field);
  }
  for (const name of ["stems", "steps"]) {
    const own = listOf(preset.dataset[name]);
    if (!order[name]?.length) order[name] = own;
    if (!order[name].length) delete order[name];
  }
  if (!order.formats?.length) delete order.formats;
  if (order.preview) delete order.end_s;
  if (order.end_s !== undefined && order.end_s <= (order.start_s ?? 0)) {
    throw new Error(words("end_first"));
  }
  return order;
}

export const listOf = (text) => (text ? text.split(" ") : []);

function fieldsOf(form, service) {
  return [...form.querySelectorAll("#options [name]")].filter((field) => {
    const part = field.closest("[data-services]");
    return !part || listOf(part.dataset.services).includes(service);
  });
}

function put(target, field) {
  const { name, value } = field;
  if (LISTS.includes(name)) {
    target[name] ??= [];
    if (field.checked) target[name].push(value);
  } else if (field.type === "checkbox") {
    if (name !== "preview") target[name] = field.checked;
    else if (field.checked) target.preview = true;
  } else if (!field.validity.valid) {
    throw new Error(field.validationMessage);
  } else if (!value.trim()) {
    // Left to the service.
  } else if (CLOCKS.includes(name)) {
    target[name] = secondsOf(value.trim());
  } else {
    target[name] = field.type === "number" ? Number(value) : value.trim();
  }
}

function secondsOf(text) {
  const found = CLOCK.exec(text);
  if (!found) throw new Error(words("clock"));
  const [, hours = 0, minutes = 0, seconds] = found;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

// Milli-credits for so many seconds of recording; null where nobody can tell.
export function priceOf(order, duration, { prices, preview_seconds: previewSeconds }) {
  const price = prices[order.service];
  if (!price) return null;
  if (price.unit === "per_call") return Math.ceil(price.amount / price.quantity);
  if (duration == null) return null;
  const start = order.start_s ?? 0;
  const end = order.preview ? start + previewSeconds : order.end_s ?? Infinity;
  const seconds = Math.max(0, Math.min(end, duration) - start);
  const units = price.unit === "per_second_and_stem" ? Math.max(1, order.stems?.length ?? 0) : 1;
  return Math.ceil((price.amount * seconds * units) / price.quantity);
}
