// Segments of sound: fetched by ranges, decoded, and kept only as long as they are of use.
import { part } from "./ranges.js";

const TRIES = 4;

export class Segments {
  #kept = new Map();
  #decoder;

  // `renew` brings fresh addresses into the lanes; `onload` and `onerror` are told what came.
  constructor(rate, renew) {
    // Needs no gesture of a person, other than a context that plays. At the rate of the sound,
    // so that nothing is resampled: that would be heard where segments join.
    this.#decoder = new OfflineAudioContext(1, 1, rate);
    this.renew = renew;
    this.onload = this.onerror = () => {};
  }

  get count() {
    return [...this.#kept.values()].filter((entry) => entry.buffer).length;
  }

  get(lane, k) {
    return this.#kept.get(`${lane.id}/${k}`)?.buffer;
  }

  // From now on exactly these: pairs of a lane and a number, the most urgent first.
  keep(wanted) {
    const keys = new Set(wanted.map(([lane, k]) => `${lane.id}/${k}`));
    for (const [key, entry] of this.#kept) {
      if (keys.has(key)) continue;
      entry.control.abort();
      if (entry.buffer) release(entry.buffer);
      this.#kept.delete(key);
    }
    for (const [lane, k] of wanted) {
      if (!this.#kept.has(`${lane.id}/${k}`)) this.#start(lane, k);
    }
  }

  // Those that failed, or did so far, are tried anew when they are wanted next: as often as ever.
  forgive() {
    for (const [key, entry] of this.#kept) {
      if (!entry.failed) continue;
      entry.control.abort();
      this.#kept.delete(key);
    }
  }

  async #start(lane, k) {
    const control = new AbortController();
    const entry = { control };
    this.#kept.set(`${lane.id}/${k}`, entry);
    try {
      const buffer = await this.load(lane, k, control.signal, () => { entry.failed = true; });
      // Decoding is not broken off.
      if (control.signal.aborted) return release(buffer);
      Object.assign(entry, { buffer, failed: false });
    } catch (error) {
      if (!control.signal.aborted) this.onerror(error);
      return;
    }
    this.onload();
  }

  async load(lane, k, signal, onfault = () => {}) {
    for (let tries = 1; ; tries++) {
      try {
        const { url, offsets } = lane.audio;
        const bytes = await part(url, offsets[k], offsets[k + 1], signal);
        return await this.#decoder.decodeAudioData(bytes);
      } catch (error) {
        onfault();
        if (signal?.aborted || tries === TRIES) throw error;
        // Signed addresses end some time; the manifest has new ones.
        if (error.status) await this.renew().catch(() => {});
        await pause(250 * 2 ** tries, signal);
      }
    }
  }
}

// Left to be collected, segments would come to many times what is kept. A source on the clock has
// a hold of its own on its samples.
function release(buffer) {
  for (let c = 0; c < buffer.numberOfChannels; c++) buffer.getChannelData(c).buffer.transfer?.(0);
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
