// What is drawn: waveforms, turns of speakers, the ruler, the overview.
import { part } from "./ranges.js";

const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

// Peaks of a lane, level by level: first the coarse ones, which are short.
export class Peaks {
  #levels;

  constructor(lane, onload) {
    this.lane = lane;
    this.onload = onload;
    this.#levels = [...lane.peaks.levels].sort((a, b) => a.per_second - b.per_second);
    this.data = new Map();
  }

  // The coarsest level that has a point for each pixel, or the best one that has come until then.
  at(perSecond) {
    const level = this.#levels.find((each) => each.per_second >= perSecond) ?? this.#levels.at(-1);
    if (!this.data.has(level)) this.#load(level);
    const there = this.#levels.filter((each) => this.data.get(each));
    const best = there.find((each) => each.per_second >= perSecond) ?? there.at(-1);
    return best && { per: best.per_second, pairs: this.data.get(best) };
  }

  get top() {
    const pairs = [...this.data.values()].find(Boolean) ?? [];
    return pairs.reduce((top, value) => Math.max(top, Math.abs(value)), 0);
  }

  async #load(level) {
    this.data.set(level, null);
    try {
      const { url } = this.lane.peaks;
      const bytes = await part(url, level.offset, level.offset + 2 * level.count);
      this.data.set(level, new Int8Array(bytes));
    } catch {
      // A lane without its picture still sounds; it is asked for again when it is drawn next.
      setTimeout(() => this.data.delete(level), 2000);
    }
    this.onload();
  }
}

// A canvas as sharp as the screen, empty, and its size.
export function clear(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = devicePixelRatio || 1;
  const context = canvas.getContext("2d");
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  // Canvases know no light-dark(): an element's own colour is worked out.
  context.fillStyle = context.strokeStyle = getComputedStyle(canvas).color;
  return { context, width, height };
}

export function drawWave(canvas, peaks, view, scale, drawBelow) {
  const { context, width, height } = clear(canvas);
  drawBelow?.(context, height, view);
  const level = peaks.at(width / view.span);
  if (level) outline(context, level, view, width, height, scale);
}

function outline(context, { per, pairs }, view, width, height, scale) {
  const middle = height / 2;
  const unit = (scale * (middle - 2)) / 128;
  const first = view.start * per;
  const perPixel = (view.span * per) / width;
  // In steps that do not depend on where the view begins: nothing flickers while it moves.
  const step = Math.max(perPixel, 1);
  const lows = [];
  context.beginPath();
  context.moveTo(0, middle);
  for (let n = Math.floor(first / step); n * step < first + perPixel * width + step; n++) {
    let low = 0, high = 0;
    const end = Math.min(Math.max(Math.floor((n + 1) * step), Math.floor(n * step) + 1) * 2, pairs.length);
    for (let i = Math.max(Math.floor(n * step), 0) * 2; i < end; i += 2) {
      if (pairs[i] < low) low = pairs[i];
      if (pairs[i + 1] > high) high = pairs[i + 1];
    }
    const x = ((n + 0.5) * step - first) / perPixel;
    context.lineTo(x, Math.max(middle - high * unit - 0.5, 0));
    lows.push(x, Math.min(middle - low * unit + 0.5, height));
  }
  for (let i = lows.length - 2; i >= 0; i -= 2) context.lineTo(lows[i], lows[i + 1]);
  context.fill();
}

export function drawRuler(canvas, view) {
  const { context, width, height } = clear(canvas);
  const step = STEPS_S.find((each) => (each / view.span) * width >= 72) ?? 7200;
  context.font = `12px ${getComputedStyle(canvas).fontFamily}`;
  const part = step / 5;
  for (let n = Math.ceil(view.start / part); n * part <= view.end; n++) {
    const x = Math.round(view.x(n * part)) + 0.5;
    const isWhole = n % 5 === 0;
    context.globalAlpha = isWhole ? 0.9 : 0.4;
    context.fillRect(x - 0.5, height - (isWhole ? 8 : 4), 1, 8);
    context.globalAlpha = 1;
    const text = clock(n * part, step < 1 ? 1 : 0);
    if (isWhole && x + context.measureText(text).width + 4 < width) context.fillText(text, x + 4, height - 8);
  }
}

// All lanes together, from start to end.
export function drawOverview(canvas, peaks, length) {
  const { context, width, height } = clear(canvas);
  const levels = peaks.map((each) => each.at(width / length)).filter(Boolean);
  const sums = new Float32Array(Math.ceil(width / 3));
  for (const { per, pairs } of levels) {
    for (let n = 0; n < sums.length; n++) {
      const start = Math.floor((n / sums.length) * length * per);
      const end = Math.max(Math.floor(((n + 1) / sums.length) * length * per), start + 1);
      let top = 0;
      for (let i = start * 2; i < end * 2 && i < pairs.length; i++) top = Math.max(top, Math.abs(pairs[i]));
      sums[n] += top;
    }
  }
  const top = Math.max(...sums, 1);
  sums.forEach((sum, n) => {
    const h = Math.max((sum / top) * (height - 8), 1);
    context.fillRect(n * 3, (height - h) / 2, 2, h);
  });
}

// 3:25, 1:02:03, 0:01.5.
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const all = Math.round(seconds * unit) / unit;
  const [whole, rest] = all.toFixed(digits).split(".");
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  const s = Number(whole);
  const minutes = s >= 3600 ? `${Math.floor(s / 3600)}:${two((s % 3600) / 60)}` : Math.floor(s / 60);
  return `${minutes}:${two(s % 60)}${rest ? `.${rest}` : ""}`;
}

// The other way round; NaN if it is no time.
export function secondsOf(text) {
  if (!/^\s*(\d+:){0,2}\d+([.,]\d*)?\s*$/.test(text)) return NaN;
  return text.replace(",", ".").split(":").reduce((sum, each) => sum * 60 + Number(each), 0);
}
