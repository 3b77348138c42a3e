// Plays any number of lanes as one: all of them are scheduled in frames of one clock.
//
// What is to be heard is cut into pieces, each inside one segment. A piece is put on the clock for
// all lanes at once, or not at all, so that lanes cannot drift apart. Loaded when somebody is about
// to hear something.
import { Segments } from "./segments.js";

const AHEAD_S = 10; // Timers of tabs in the background may be a second late, and fetches more.
const LEAD_S = 0.04;
const FADE_S = 0.008;

export class Engine {
  context = null;
  playing = false;
  waiting = false;
  underruns = 0;
  loop = null; // {start, end} in frames
  #pieces = [];
  #strips = new Map();
  #mix = new Map(); // id -> {gain, pan}
  #master = 1;
  #inputs = null; // of this run: from a start or seek up to the next
  #position = 0;
  #cursor = 0; // The frame of the song that is to be put on the clock next ...
  #until = 0; // ... at this frame of the clock.
  #wants = false; // whether the original is asked for
  #heard = false; // and whether it is on
  #timer;
  #sleep;

  // `renew` brings fresh addresses into the lanes; `onfault` is told what could not be loaded.
  constructor(manifest, renew) {
    Object.assign(this, { manifest, rate: manifest.sample_rate, total: manifest.n_samples });
    this.onchange = this.onfault = () => {};
    this.segments = new Segments(this.rate, renew);
    this.segments.onload = () => this.#plan();
    this.segments.onerror = () => {
      if (!this.playing) return;
      this.pause();
      this.onfault();
    };
  }

  // The lanes that are on the clock. The original is one of them once somebody asked for it.
  get lanes() {
    const { lanes, original } = this.manifest;
    return this.#strips.get(original?.id)?.armed ? [...lanes, original] : lanes;
  }

  get position() {
    if (!this.playing || !this.#pieces.length) return this.#position;
    const heard = this.#now() - Math.round((this.context.outputLatency || 0) * this.rate);
    let piece = this.#pieces[0];
    for (const next of this.#pieces) if (next.when <= heard) piece = next;
    return Math.min(Math.max(piece.start + heard - piece.when, piece.start), piece.end);
  }

  // With a context that was made, and resumed, while a click or key was handled: only then may a
  // page begin to sound.
  async play(context) {
    this.#open(context);
    clearTimeout(this.#sleep);
    if (this.playing) return;
    this.playing = true;
    this.segments.forgive();
    this.#from(this.#position >= this.total ? (this.loop?.start ?? 0) : this.#position);
    this.#timer = setInterval(() => this.#plan(), 500);
    this.onchange();
    await this.context.resume();
    this.#plan();
  }

  pause() {
    if (!this.playing) return;
    this.#position = this.position;
    this.playing = this.waiting = false;
    clearInterval(this.#timer);
    this.#hush();
    // A context that runs costs power, also where nothing sounds.
    this.#sleep = setTimeout(() => this.context.suspend(), 300);
    this.onchange();
  }

  seek(frame) {
    frame = Math.min(Math.max(Math.round(frame), 0), this.total);
    if (this.playing) {
      this.#hush();
      this.#from(frame);
      this.#plan();
    }
    this.#position = frame;
    this.onchange();
  }

  // Without a gap: what is on the clock already and still right stays there.
  setLoop(loop) {
    this.loop = loop;
    if (!this.playing) return;
    const cut = this.#now() + Math.round(2 * LEAD_S * this.rate);
    this.#pieces = this.#pieces.filter((piece) => {
      if (piece.when <= cut) return true;
      for (const source of piece.sources.values()) source.disconnect();
      return false;
    });
    const last = this.#pieces.at(-1);
    if (last) {
      const at = last.start + Math.max(cut - last.when, 0);
      const end = Math.min(last.end, this.#stop(at));
      this.#until = last.when + end - last.start;
      if (end < last.end) for (const source of last.sources.values()) source.stop(this.#until / this.rate);
      last.end = end;
      this.#cursor = this.#after(end);
    }
    this.#plan();
  }

  // What a lane is heard with; `gain` 0 is muted.
  set(id, gain, pan) {
    this.#mix.set(id, { gain, pan });
    const strip = this.#strips.get(id);
    if (!strip) return;
    this.#ramp(strip.gain.gain, gain * strip.lane.gain);
    this.#ramp(strip.pan.pan, pan);
  }

  setMaster(gain) {
    this.#master = gain;
    if (this.context) this.#ramp(this.master.gain, gain);
  }

  // The original in place of the stems, from the moment it is on the clock.
  setOriginal(wants) {
    this.#wants = wants;
    if (!this.context) return;
    this.#arm();
    this.#plan();
    this.#cross();
  }

  // The first segments, before anybody plays.
  prefetch() {
    if (!this.playing) this.segments.keep(this.#wanted(this.#position, 1));
  }

  // The loudest sample of the last moments, from 0 to 1 (and over it); of everything without id.
  level(id) {
    const meter = id ? this.#strips.get(id)?.meter : this.meter;
    if (!meter || !this.playing) return 0;
    meter.getFloatTimeDomainData(this.samples);
    let top = 0;
    for (const sample of this.samples) top = Math.max(top, Math.abs(sample));
    return top;
  }

  // What a lane sends to the sum, for those who measure it.
  tap(id) {
    return id ? this.#strips.get(id)?.pan : this.master;
  }

  #now() {
    return Math.round(this.context.currentTime * this.rate);
  }

  #open(context) {
    if (this.context) return;
    this.context = context;
    this.samples = new Float32Array(1024);
    this.master = new GainNode(context, { gain: this.#master });
    this.meter = new AnalyserNode(context, { fftSize: 1024 });
    this.master.connect(this.meter);
    this.master.connect(context.destination);
    this.stems = new GainNode(context);
    this.stems.connect(this.master);
    for (const lane of this.manifest.lanes) this.#strip(lane, this.stems);
    this.#arm();
    // Taken away by the system, for a call say.
    context.onstatechange = () => {
      if (this.playing && ["interrupted", "closed"].includes(context.state)) this.pause();
    };
  }

  #strip(lane, to) {
    const { gain, pan } = this.#mix.get(lane.id) ?? { gain: 1, pan: 0 };
    const strip = {
      lane,
      // Two channels also of mono, which a panner would make quieter.
      gain: new GainNode(this.context, {
        gain: gain * lane.gain, channelCount: 2, channelCountMode: "explicit",
      }),
      pan: new StereoPannerNode(this.context, { pan }),
      meter: new AnalyserNode(this.context, { fftSize: 1024 }),
    };
    strip.gain.connect(strip.pan).connect(to);
    strip.pan.connect(strip.meter);
    this.#strips.set(lane.id, strip);
    return strip;
  }

  #arm() {
    const { original } = this.manifest;
    if (!this.#wants || !original || this.#strips.has(original.id)) return;
    this.both = new GainNode(this.context, { gain: 0 });
    this.both.connect(this.master);
    this.#strip(original, this.both).armed = true;
    if (this.#inputs) this.#input(original, 0);
  }

  #ramp(param, value) {
    const now = this.context.currentTime;
    param.cancelScheduledValues(now);
    param.setValueAtTime(param.value, now);
    param.linearRampToValueAtTime(value, now + FADE_S);
  }

  #cross() {
    if (!this.both) return;
    const now = this.#now();
    const { id } = this.manifest.original;
    const isThere = this.#pieces.some((piece) => now < this.#end(piece) && piece.sources.has(id));
    const heard = this.#wants && (isThere || !this.playing || this.#heard);
    if (heard === this.#heard) return;
    this.#heard = heard;
    this.#ramp(this.both.gain, heard ? 1 : 0);
    this.#ramp(this.stems.gain, heard ? 0 : 1);
  }

  #from(frame) {
    this.#position = this.#cursor = frame;
    this.#pieces = [];
    this.#until = 0;
    this.#inputs = null;
  }

  #hush() {
    const now = this.context.currentTime;
    for (const input of this.#inputs?.values() ?? []) this.#ramp(input.gain, 0);
    for (const piece of this.#pieces) {
      for (const source of piece.sources.values()) source.stop(now + FADE_S + 0.002);
    }
    this.#pieces = [];
  }

  // Where a piece that holds this frame has to end, and what comes then.
  #stop(frame) {
    return this.loop && frame < this.loop.end ? this.loop.end : this.total;
  }

  #after(end) {
    return end === this.loop?.end ? this.loop.start : end;
  }

  #end(piece) {
    return piece.when + piece.end - piece.start;
  }

  // The segments of the next seconds in the order in which they are needed.
  #wanted(frame, seconds) {
    const size = this.manifest.segment_samples;
    const numbers = new Set();
    for (let left = seconds * this.rate; left > 0 && frame < this.total;) {
      const k = Math.floor(frame / size);
      numbers.add(k);
      const end = Math.min((k + 1) * size, this.#stop(frame));
      left -= end - frame;
      frame = this.#after(end);
    }
    return [...numbers].flatMap((k) => this.lanes.map((lane) => [lane, k]));
  }

  #plan() {
    if (!this.playing) return;
    const now = this.#now();
    // The last one that was heard says where we are.
    while (this.#pieces.length > 1 && this.#end(this.#pieces[0]) < now - this.rate) this.#pieces.shift();
    this.segments.keep(this.#wanted(this.position, AHEAD_S));
    for (const piece of this.#pieces) this.#join(piece, now);
    while (this.#cursor < this.total && this.#until < now + AHEAD_S * this.rate) {
      if (!this.#add(now)) break;
    }
    this.#cross();
    const isOver = this.#until <= now;
    if (this.#cursor >= this.total && isOver) {
      this.pause();
      this.#position = this.total;
      this.onchange();
    } else if (this.waiting !== isOver) {
      this.waiting = isOver;
      this.onchange();
    }
  }

  // Puts the next piece on the clock, if all lanes have it.
  #add(now) {
    const size = this.manifest.segment_samples;
    const k = Math.floor(this.#cursor / size);
    const buffers = this.lanes.map((lane) => this.segments.get(lane, k));
    if (buffers.includes(undefined)) return false;
    let when = this.#until;
    if (when < now + (LEAD_S / 2) * this.rate) {
      if (this.#pieces.length) this.underruns++;
      when = now + Math.round(LEAD_S * this.rate);
    }
    const end = Math.min((k + 1) * size, this.#stop(this.#cursor));
    if (!this.#inputs) {
      this.#inputs = new Map();
      for (const lane of this.lanes) this.#input(lane, this.#cursor && when);
    }
    const piece = { when, start: this.#cursor, end, k, sources: new Map() };
    this.#pieces.push(piece);
    this.#join(piece, now);
    this.#until = this.#end(piece);
    this.#cursor = this.#after(end);
    return true;
  }

  #input(lane, fadeAt) {
    const input = new GainNode(this.context);
    input.connect(this.#strips.get(lane.id).gain);
    if (fadeAt) {
      input.gain.setValueAtTime(0, fadeAt / this.rate);
      input.gain.linearRampToValueAtTime(1, fadeAt / this.rate + FADE_S);
    }
    this.#inputs.set(lane.id, input);
  }

  // Lanes that are not in the piece yet, from its start or (the original) from now on.
  #join(piece, now) {
    for (const lane of this.lanes) {
      const buffer = this.segments.get(lane, piece.k);
      if (!buffer || piece.sources.has(lane.id)) continue;
      const late = Math.max(now + Math.round(LEAD_S * this.rate) - piece.when, 0);
      const start = piece.start + (piece.when > now ? 0 : late);
      if (start >= piece.end) continue;
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(this.#inputs.get(lane.id));
      const offset = start - piece.k * this.manifest.segment_samples;
      const when = piece.when + start - piece.start;
      source.start(when / this.rate, offset / this.rate, (piece.end - start) / this.rate);
      source.onended = () => {
        source.disconnect();
        source.buffer = null;
      };
      piece.sources.set(lane.id, source);
    }
  }
}
