// The spectrogram of a lane, worked out here from its segments for what is seen. Loaded when it is
// asked for the first time.
import { clear } from "./draw.js";

const SIZE = 1024; // of the windows that are transformed
const ROWS = 128; // of a picture, from 40 Hz upwards, as wide each as ears hear
const LOW_HZ = 40;
const MOST_S = 360; // More than this would decode too much for one look.
const RANGE_DB = 72;
const KEPT = 80; // pictures

const cosines = Float32Array.from({ length: SIZE / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / SIZE));
const sines = Float32Array.from({ length: SIZE / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / SIZE));
const hann = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
const places = Uint16Array.from({ length: SIZE }, (_, i) => {
  let turned = 0;
  for (let bit = 1; bit < SIZE; bit <<= 1) turned = (turned << 1) | (i & bit ? 1 : 0);
  return turned;
});

// In place of the waveform of a row, or no longer.
export function toggle(player, row, { segments }) {
  const button = row.row.querySelector("[data-do=spectrum]");
  const hint = row.wave.querySelector("p");
  const isOn = !row.picture;
  button.ariaPressed = isOn;
  row.picture?.close();
  row.picture = isOn && new Spectrogram(player.manifest, row.lane, segments, () => player.draw());
  if (isOn) {
    row.picture.onhint = (n) => {
      hint.hidden = !n;
      hint.textContent = player.text("near", { n });
    };
  }
  player.draw();
}

class Spectrogram {
  #pictures = new Map(); // "number/columns" -> canvas, those used last at the end
  #control = new AbortController();
  #isBusy = false;
  #wanted = [];

  constructor(manifest, lane, segments, onload) {
    Object.assign(this, { manifest, lane, segments, onload });
    this.onhint = () => {};
  }

  close() {
    this.#control.abort();
    this.onhint(0);
  }

  draw(canvas, view) {
    const { context, width, height } = clear(canvas);
    const isTooMuch = view.span > MOST_S;
    this.onhint(isTooMuch ? MOST_S / 60 : 0);
    if (isTooMuch) return;
    const colour = context.fillStyle;
    const { segment_samples: size, sample_rate: rate, n_samples: total } = this.manifest;
    const seconds = size / rate;
    // As many columns as there are pixels, in powers of two: zooming a little redraws nothing.
    const pixels = (seconds / view.span) * width;
    const columns = 2 ** Math.min(Math.max(Math.ceil(Math.log2(pixels)), 4), 11);
    this.#wanted = [];
    const last = Math.min(Math.ceil(view.end / seconds), Math.ceil(total / size));
    for (let k = Math.floor(view.start / seconds); k < last; k++) {
      const key = `${k}/${columns}/${colour}`;
      const picture = this.#pictures.get(key);
      if (!picture) this.#wanted.push({ k, columns, colour, key });
      else {
        this.#pictures.delete(key);
        this.#pictures.set(key, picture);
        context.drawImage(picture, view.x(k * seconds), 0, pixels * picture.share, height);
      }
    }
    this.#work();
  }

  // One after the other, and only what is still seen: a lane of an hour has many.
  async #work() {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const { signal } = this.#control;
    try {
      while (this.#wanted.length && !signal.aborted) {
        const { k, columns, colour, key } = this.#wanted.shift();
        const buffer = this.segments.get(this.lane, k) ?? (await this.segments.load(this.lane, k, signal));
        await new Promise((resolve) => (window.requestIdleCallback ?? setTimeout)(resolve));
        this.#pictures.set(key, picture(buffer, this.manifest, columns, colour, this.lane.gain));
        while (this.#pictures.size > KEPT) this.#pictures.delete(this.#pictures.keys().next().value);
        if (!signal.aborted) this.onload();
      }
    } catch {
      // Without a picture; looked at again it is tried again.
      this.#wanted = [];
    } finally {
      this.#isBusy = false;
    }
  }
}

function picture(buffer, { segment_samples: size }, columns, colour, gain) {
  const hop = size / columns;
  const count = Math.max(Math.ceil(buffer.length / hop), 1);
  const canvas = Object.assign(document.createElement("canvas"), { width: count, height: ROWS });
  canvas.share = count / columns;
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  const image = context.createImageData(count, ROWS);
  const left = buffer.getChannelData(0), right = buffer.getChannelData(buffer.numberOfChannels - 1);
  const edges = rows(buffer.sampleRate);
  const re = new Float32Array(SIZE), im = new Float32Array(SIZE);
  for (let column = 0; column < count; column++) {
    const start = Math.round((column + 0.5) * hop - SIZE / 2);
    for (let i = 0; i < SIZE; i++) {
      const sample = ((left[start + i] ?? 0) + (right[start + i] ?? 0)) / 2;
      re[places[i]] = sample * gain * hann[i];
    }
    im.fill(0);
    transform(re, im);
    for (let row = 0; row < ROWS; row++) {
      let top = 0;
      for (let bin = edges[row]; bin < Math.max(edges[row + 1], edges[row] + 1); bin++) {
        top = Math.max(top, re[bin] ** 2 + im[bin] ** 2);
      }
      const db = 10 * Math.log10(top / (SIZE / 4) ** 2 + 1e-12);
      const at = ((ROWS - 1 - row) * count + column) * 4;
      const strength = Math.min(Math.max(1 + db / RANGE_DB, 0), 1);
      image.data.set([red, green, blue, 255 * strength ** 1.6], at);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// The first bin of each row, in steps that are even on a logarithmic scale.
function rows(rate) {
  const top = Math.log2(rate / 2 / LOW_HZ);
  return Array.from({ length: ROWS + 1 }, (_, row) =>
    Math.min(Math.floor((LOW_HZ * 2 ** ((top * row) / ROWS) * SIZE) / rate), SIZE / 2));
}

// A fast Fourier transform, in place, of samples that are in the order of `places`.
function transform(re, im) {
  for (let half = 1; half < SIZE; half *= 2) {
    const step = SIZE / 2 / half;
    for (let start = 0; start < SIZE; start += 2 * half) {
      for (let i = 0; i < half; i++) {
        const a = start + i, b = a + half;
        const c = cosines[i * step], s = -sines[i * step];
        const x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
        re[b] = re[a] - x; im[b] = im[a] - y;
        re[a] += x; im[a] += y;
      }
    }
  }
}
