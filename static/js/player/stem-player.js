// <stem-player src="…manifest…">: lanes of sound that play as one. Its words and its parts are in
// templates/app/_player.html.
import { clock, Peaks, secondsOf } from "./draw.js";
import { areKeysOn, commandOf, setKeysOn } from "./keys.js";
import { gainOf, Mix } from "./mix.js";
import { LEAST_LOOP_S, Timeline } from "./timeline.js";

let last = null; // The player that was used last has the keys.

// All that can be played: while they are prepared, lanes have no sound yet.
const lanesOf = ({ lanes = [], original }) => [...lanes, original].filter((lane) => lane?.audio);

// In place of the engine until somebody is about to hear something.
class Still {
  position = 0;
  playing = false;
  waiting = false;

  constructor(onchange) {
    this.onchange = onchange;
  }

  seek(frame) {
    this.position = frame;
    this.onchange();
  }

  level() {
    return 0;
  }

  pause() {}
  set() {}
  setLoop() {}
  setMaster() {}
  setOriginal() {}
}

class StemPlayer extends HTMLElement {
  #frame = 0;
  #lanes = []; // {lane, mix, peaks, row, canvas, …}

  connectedCallback() {
    if (this.template) return;
    this.template = this.querySelector("template");
    const parts = this.template.content.cloneNode(true);
    this.rowTemplate = parts.querySelector("li.sp-lane");
    this.rowTemplate.remove();
    this.append(parts);
    this.isMain = this.hasAttribute("main");
    const on = { click: this.#click, input: this.#input, change: this.#change, dblclick: this.#reset };
    for (const [kind, run] of Object.entries(on)) this.addEventListener(kind, run);
    for (const kind of ["pointerdown", "focusin"]) this.addEventListener(kind, () => { last = this; });
    this.addEventListener("pointerenter", () => this.#near((engine) => engine.prefetch()));
    for (const kind of ["pointerdown", "focusin"]) this.addEventListener(kind, () => this.#near());
    document.addEventListener("keydown", (event) => this.#key(event));
    this.load();
  }

  disconnectedCallback() {
    this.engine?.pause();
  }

  $(selector) {
    return this.querySelector(selector);
  }

  text(name, values = {}) {
    return this.template.dataset[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
  }

  // --- The manifest ------------------------------------------------------------------------

  async load() {
    this.#complain(null);
    const manifest = await this.#fetch().catch(() => null);
    const state = manifest?.state;
    const box = this.$(".sp-preparing");
    this.$(".sp-loading").hidden = true;
    box.hidden = state !== "preparing";
    if (state === "preparing") {
      box.querySelector("p").textContent = this.text("preparing");
      box.querySelector("progress").value = manifest.progress;
      setTimeout(() => this.isConnected && this.load(), 1000);
    } else if (state !== "ready") this.#complain(manifest ? "failed" : "unreachable", true);
    else if (!window.AudioContext) this.#complain("unable", true);
    else this.#begin(manifest);
  }

  async #fetch() {
    const base = new URL(this.getAttribute("src"), document.baseURI);
    const response = await fetch(base, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(response.statusText);
    const manifest = await response.json();
    for (const { audio, peaks } of lanesOf(manifest)) {
      for (const file of [audio, peaks]) file.url = new URL(file.url, base).href;
    }
    return manifest;
  }

  // Addresses that are signed end some time.
  async #renew() {
    const fresh = lanesOf(await this.#fetch());
    for (const lane of lanesOf(this.manifest)) {
      Object.assign(lane.audio, fresh.find((each) => each.id === lane.id)?.audio);
    }
  }

  // What went wrong. Where nothing can be played at all, there may be something instead.
  #complain(reason, isBroken = false) {
    const notice = this.$(".sp-notice");
    notice.hidden = !reason;
    this.toggleAttribute("data-broken", isBroken);
    if (reason) notice.querySelector("span").textContent = this.text(reason);
    notice.querySelector("button").hidden = ["failed", "unable"].includes(reason);
  }

  #begin(manifest) {
    this.manifest = manifest;
    if (!manifest.original?.audio) manifest.original = null;
    this.rate = manifest.sample_rate;
    this.length = manifest.n_samples / this.rate;
    this.engine = new Still(() => this.#show());
    this.mix = new Mix(manifest);
    this.range = null; // of the loop, in seconds; `isLooping` says whether it is on
    this.$(".sp-ready").hidden = false;
    this.$("[data-part=both]").hidden = !manifest.original;
    this.$("[data-part=length]").textContent = clock(this.length);
    this.overview = this.$(".sp-overview");
    this.time = this.$("[data-part=time]");
    this.overview.ariaValueMax = Math.round(this.length);
    this.#makeLanes();
    if (this.isMain) this.#readAddress();
    this.meters = [[this.$(".sp-master i")], ...this.#lanes.map((each) => [each.meter, each.lane.id])];
    this.timeline = new Timeline(this, this.#lanes);
    this.#showMix();
    this.#showLoop();
    this.#show();
    this.dataset.ready = "";
    this.#showTurns();
  }

  // What makes the sound is loaded once somebody is about to hear something.
  sound() {
    this.sounding ??= import("./engine.js").then(({ Engine }) => {
      const engine = new Engine(this.manifest, () => this.#renew());
      engine.seek(this.engine.position);
      this.engine = engine;
      this.#setLoop();
      this.mix.apply(engine);
      engine.onchange = () => this.#show();
      engine.onfault = () => this.#complain("interrupted");
      return engine;
    });
    return this.sounding.catch((error) => {
      this.sounding = null;
      throw error;
    });
  }

  // Where it fails, the first play says so.
  #near(then) {
    if (this.manifest) this.sound().then(then, () => {});
  }

  #makeLanes() {
    const { lanes } = this.manifest;
    const list = this.$(".sp-lanes");
    lanes.forEach((lane, n) => {
      const row = this.rowTemplate.cloneNode(true);
      row.dataset.number = n;
      if (lane.kind === "track") row.dataset.lane = lane.lane % 9;
      else row.dataset.stem = lane.name;
      row.querySelector("[data-part=name]").textContent = row.title = lane.label;
      for (const button of row.querySelectorAll("[data-do], [data-set]")) {
        button.ariaLabel = this.text(button.dataset.do ?? button.dataset.set, { name: lane.label });
        if (button.dataset.set !== "volume") button.title = button.ariaLabel;
      }
      list.append(row);
      // Unknown names are told apart by place.
      if (!getComputedStyle(row).getPropertyValue("--stem")) row.dataset.lane = n % 9;
      this.#lanes.push({
        lane, row, mix: this.mix.lanes[n],
        peaks: new Peaks(lane, () => this.draw()),
        wave: row.querySelector(".sp-wave"), canvas: row.querySelector("canvas"),
        meter: row.querySelector(".sp-meter i"),
      });
    });
    list.dataset.many = lanes.length > 6;
  }

  async #showTurns() {
    const { lanes, speakers } = this.manifest;
    if (!speakers && !lanes.some((lane) => lane.turns?.length)) return;
    (await import("./turns.js")).show(this, this.#lanes);
  }

  // --- What is seen ---------------------------------------------------------------------------

  draw() {
    this.timeline?.draw();
  }

  #tick = () => {
    this.#frame = 0;
    const { engine, timeline } = this;
    if (engine.playing) timeline.follow();
    this.#place();
    let isMoving = engine.playing;
    for (const [bar, id] of this.meters) {
      const was = Number(bar.dataset.level ?? 0);
      // Quick to rise and slow to fall, in steps of decibels over a range of 48.
      const db = 20 * Math.log10(Math.max(engine.level(id), 1e-6));
      const level = Math.max(Math.min(1 + db / 48, 1), was - 0.025, 0);
      if (level === was) continue;
      bar.dataset.level = level;
      bar.style.transform = `scaleX(${level.toFixed(3)})`;
      bar.classList.toggle("hot", db > -0.1);
      if (level) isMoving = true;
    }
    const second = Math.floor(this.position);
    if (Math.abs(second - (this.told ?? -9)) >= 5) this.#tell();
    if (isMoving) this.#frame = requestAnimationFrame(this.#tick);
  };

  #place() {
    this.timeline.place();
    const text = clock(Math.floor(this.position * 10) / 10, 1);
    if (this.time.textContent !== text) this.time.textContent = text;
  }

  #tell() {
    this.told = Math.floor(this.position);
    const s = this.told % 60, m = Math.floor(this.told / 60) % 60, h = Math.floor(this.told / 3600);
    this.overview.ariaValueNow = this.told;
    this.overview.ariaValueText = this.text(h ? "hours" : m ? "minutes" : "seconds", { h, m, s });
  }

  #show() {
    const { playing, waiting } = this.engine;
    this.toggleAttribute("data-playing", playing);
    this.toggleAttribute("data-waiting", playing && waiting);
    this.$("[data-do=play]").ariaLabel = this.text(playing ? "pause" : "play");
    this.#tell();
    this.#frame ||= requestAnimationFrame(this.#tick);
    if (!playing) this.#writeAddress();
  }

  #showMix() {
    for (const { row, mix } of this.#lanes) {
      row.querySelector("[data-do=mute]").ariaPressed = mix.mute;
      row.querySelector("[data-do=solo]").ariaPressed = mix.solo;
      row.toggleAttribute("data-silent", this.mix.original || !this.mix.isHeard(mix));
      this.#slide(row.querySelector("[data-set=volume]"), mix.volume, this.#loudness(mix.volume));
      this.#slide(row.querySelector("[data-set=pan]"), mix.pan, this.#side(mix.pan));
    }
    const master = this.$("[data-set=master]");
    this.#slide(master, this.mix.master, this.#loudness(this.mix.master));
    this.$("[data-do=stems]").ariaPressed = !this.mix.original;
    this.$("[data-do=original]").ariaPressed = this.mix.original;
    this.mix.apply(this.engine);
    this.#announce();
  }

  #slide(input, value, words) {
    if (Number(input.value) !== value) input.value = value;
    input.setAttribute("aria-valuetext", words);
    if (input.dataset.set !== "pan") input.title = words;
  }

  #loudness(percent) {
    const db = (20 * Math.log10(gainOf(percent))).toFixed(1);
    return this.text(percent ? "level" : "silent", { percent, db });
  }

  #side(pan) {
    return this.text(pan < 0 ? "left" : pan ? "right" : "center", { percent: Math.abs(pan) });
  }

  #announce() {
    this.#writeAddress();
    const detail = { ...this.mix.toJSON(), original: this.mix.original, loop: this.loop, position: this.position };
    this.dispatchEvent(new CustomEvent("stem-player:state", { bubbles: true, detail }));
  }

  // --- What it does ---------------------------------------------------------------------------

  get position() {
    return this.engine.position / this.rate;
  }

  get loop() {
    return this.isLooping ? this.range : null;
  }

  async play() {
    this.#complain(null);
    try {
      // Now, not once all is loaded: browsers let a page begin to sound while a click is handled.
      this.context ??= new AudioContext({ sampleRate: this.rate });
      this.context.resume().catch(() => {});
      const engine = await this.sound();
      await engine.play(this.context);
    } catch {
      this.engine.pause();
      this.#complain(this.context && this.engine instanceof Still ? "interrupted" : "silenced");
    }
  }

  seek(second) {
    this.engine.seek(Math.min(Math.max(Math.round(second * this.rate), 0), this.manifest.n_samples));
    this.timeline.isHeld = false;
    this.timeline.follow();
    this.#place();
  }

  setLoop(start, end, isOn = true) {
    this.range = start === null ? null : { start: Math.max(start, 0), end: Math.min(end, this.length) };
    this.isLooping = isOn && Boolean(this.range);
    this.#showLoop();
  }

  // A loop that was just made is what one wants to hear.
  enterLoop() {
    const { loop, position } = this;
    if (loop && (position < loop.start || position >= loop.end)) this.seek(loop.start);
  }

  #setLoop() {
    const { loop } = this;
    const frame = (second) => Math.round(second * this.rate);
    this.engine.setLoop(loop && { start: frame(loop.start), end: frame(loop.end) });
  }

  #showLoop() {
    const { range, loop } = this;
    this.#setLoop();
    this.toggleAttribute("data-range", Boolean(range));
    this.toggleAttribute("data-looping", Boolean(loop));
    this.$("[data-do=loop]").ariaPressed = Boolean(loop);
    this.$("[data-do=clear]").hidden = this.$("[data-do=near]").hidden = !range;
    for (const input of this.querySelectorAll(".sp-at")) {
      input.value = range ? clock(range[input.dataset.edge], 2) : "";
      input.removeAttribute("aria-invalid");
    }
    this.timeline.placeLoop();
    this.#announce();
  }

  do(what, event, lane) {
    const { engine, range, timeline } = this;
    const actions = {
      play: () => (engine.playing ? engine.pause() : this.play()),
      retry: () => (this.manifest ? this.play() : this.load()),
      home: () => this.seek(0),
      finish: () => this.seek(this.length),
      by: () => this.seek(this.position + event.by),
      mute: () => this.mix.toggleMute(lane.mix),
      solo: () => this.mix.toggleSolo(lane.mix, event.adds ?? event.shiftKey),
      stems: () => { this.mix.original = false; },
      original: () => { this.mix.original = true; },
      both: () => { this.mix.original = !this.mix.original && Boolean(this.manifest.original); },
      loop: () => {
        const { start, end } = range ?? { start: 0, end: this.length };
        this.setLoop(start, end, !this.isLooping);
        this.enterLoop();
      },
      from: () => this.#edge("start", this.position),
      to: () => this.#edge("end", this.position),
      clear: () => this.setLoop(null),
      in: () => timeline.zoom(2),
      out: () => timeline.zoom(0.5),
      fit: () => timeline.show(0, this.length),
      near: () => range && timeline.show(range.start, range.end),
      next: () => this.turn?.(true),
      previous: () => this.turn?.(false),
      spectrum: async () => (await import("./spectrogram.js")).toggle(this, lane, await this.sound()),
      help: () => this.#help(),
      export: async () => (await import("./export.js")).open(this),
    };
    actions[what]();
    if (["mute", "solo", "stems", "original", "both"].includes(what)) this.#showMix();
  }

  #edge(edge, second) {
    const { start, end } = this.range ?? { start: 0, end: this.length };
    if (edge === "start") this.setLoop(second, end - second < LEAST_LOOP_S ? this.length : end);
    else this.setLoop(second - start < LEAST_LOOP_S ? 0 : start, second);
    this.enterLoop();
  }

  #help() {
    const dialog = this.$(".sp-help");
    dialog.querySelector("[data-part=keys]").checked = areKeysOn();
    dialog.showModal();
  }

  // --- Hands ---------------------------------------------------------------------------------

  #laneOf(target) {
    return this.#lanes[target.closest(".sp-lane")?.dataset.number];
  }

  #click(event) {
    const button = event.target.closest("[data-do]");
    if (button) this.do(button.dataset.do, event, this.#laneOf(button));
  }

  #input({ target }) {
    const { set } = target.dataset;
    if (!set) return;
    const to = set === "master" ? this.mix : this.#laneOf(target).mix;
    to[set] = Number(target.value);
    this.#showMix();
  }

  #reset({ target }) {
    if (!target.dataset.set) return;
    target.value = target.dataset.set === "pan" ? 0 : 100;
    this.#input({ target });
  }

  #change({ target }) {
    if (target.dataset.part === "keys") setKeysOn(target.checked);
    if (!target.classList.contains("sp-at")) return;
    const second = secondsOf(target.value);
    const { start, end } = { start: 0, end: this.length, ...this.range, [target.dataset.edge]: second };
    if (!target.value.trim()) this.setLoop(null);
    else if (end - start >= LEAST_LOOP_S && end <= this.length + 0.01) {
      this.setLoop(start, end);
      this.enterLoop();
    } else target.ariaInvalid = true;
  }

  #key(event) {
    const isHere = this.contains(event.target);
    if (!this.manifest || !this.isConnected || (!isHere && !(this.isMain || last === this))) return;
    const command = commandOf(event);
    if (!command) return;
    event.preventDefault();
    const lane = this.#lanes[command.lane];
    if (!("lane" in command) || lane) this.do(command.what, command, lane);
  }

  // --- The address ------------------------------------------------------------------------------

  #readAddress() {
    const query = new URLSearchParams(location.search);
    this.mix.read(query);
    const [start, end] = (query.get("loop") ?? "").split("-").map(Number);
    if (end - start >= LEAST_LOOP_S && end <= this.length) {
      this.range = { start, end };
      this.isLooping = true;
    }
    const second = Number(query.get("t"));
    if (second > 0 && second < this.length) this.engine.position = Math.round(second * this.rate);
  }

  // Not at once: sliders and drags say much.
  #writeAddress() {
    if (!this.isMain || !("ready" in this.dataset)) return;
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      const address = new URL(location);
      const query = address.searchParams;
      this.mix.write(query);
      const tell = (name, value) => (value ? query.set(name, value) : query.delete(name));
      const round = (number) => Math.round(number * 100) / 100;
      tell("t", round(this.position));
      tell("loop", this.loop && `${round(this.loop.start)}-${round(this.loop.end)}`);
      history.replaceState(history.state, "", address.href.replaceAll("%2C", ","));
    }, 300);
  }
}

customElements.define("stem-player", StemPlayer);
