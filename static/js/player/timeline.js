// The lanes in time: what is drawn of them, and what a pointer does there.
import { drawOverview, drawRuler, drawWave } from "./draw.js";
import { View } from "./view.js";

export const LEAST_LOOP_S = 0.05;

export class Timeline {
  constructor(player, lanes) {
    Object.assign(this, { player, lanes: [], length: player.length, view: new View(player.length) });
    this.overview = player.$(".sp-overview");
    this.ruler = player.$(".sp-ruler");
    this.spot = player.$(".sp-spot");
    this.lines = [];
    new ResizeObserver(() => {
      this.view.width = this.ruler.clientWidth || 1;
      this.draw();
    }).observe(this.ruler);
    const redraw = () => this.draw();
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    this.#listen(this.ruler);
    for (const lane of lanes) this.add(lane);
    this.overview.addEventListener("pointerdown", (event) => this.#scrub(event));
  }

  // {wave, canvas, and what is drawn there: peaks (with drawBelow) or a picture}
  add(lane) {
    this.lanes.push(lane);
    this.#listen(lane.wave);
  }

  #listen(area) {
    this.lines.push(area.querySelector(".sp-line"));
    area.addEventListener("pointerdown", (event) => this.#press(event));
    area.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  draw() {
    this.drawing ||= requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    this.drawing = 0;
    const { view, length } = this;
    const peaks = this.lanes.map((each) => each.peaks).filter(Boolean);
    // The same for all of them: quiet lanes look quiet.
    const scale = 127 / Math.max(...peaks.map((each) => each.top), 16);
    for (const each of this.lanes) {
      if (each.picture) each.picture.draw(each.canvas, view);
      else drawWave(each.canvas, each.peaks, view, scale, each.drawBelow);
    }
    drawRuler(this.ruler.firstChild, view);
    drawOverview(this.overview.firstChild, peaks, length);
    this.#put({ from: `${(100 * view.start) / length}%`, seen: `${(100 * view.span) / length}%` });
    this.placeLoop();
    this.place();
  }

  #put(values) {
    for (const [name, value] of Object.entries(values)) this.player.style.setProperty(`--${name}`, value);
  }

  #x(second) {
    return `${Math.min(Math.max(this.view.x(second), -20), this.view.width + 20).toFixed(1)}px`;
  }

  // Moved, not drawn; and each line for itself: what all of the player inherited would be worked
  // out anew for all of it, at each frame.
  place() {
    const { position } = this.player;
    const x = this.#x(position);
    for (const line of this.lines) line.style.transform = `translateX(${x})`;
    this.spot.style.left = `${(100 * position) / this.length}%`;
  }

  placeLoop() {
    const { range } = this.player;
    if (range) this.#put({ a: this.#x(range.start), b: this.#x(range.end) });
  }

  // Turns the page when the position has left it; but who looks elsewhere is not called back.
  follow() {
    const { position } = this.player;
    if (this.isHeld) this.isHeld = !this.view.holds(position);
    else if (!this.view.holds(position)) {
      this.view.turn(position);
      this.draw();
    }
  }

  zoom(factor, at = this.player.position) {
    this.view.zoom(factor, Math.min(Math.max(at, this.view.start), this.view.end));
    this.draw();
  }

  show(start, end) {
    this.view.show(start, end);
    this.isHeld = true;
    this.draw();
  }

  #wheel(event) {
    const { view } = this;
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) this.zoom(2 ** (-event.deltaY / 200), view.second(event.offsetX));
    else if (event.shiftKey || Math.abs(sideways) > Math.abs(event.deltaY)) {
      const by = (sideways / view.width) * view.span;
      this.show(view.start + by, view.end + by);
    } else return;
    event.preventDefault();
  }

  // A click goes there, a drag makes a loop; on the ruler it moves the position or an edge.
  #press(event) {
    const { player, ruler } = this;
    const area = event.currentTarget;
    const at = ({ clientX }) => this.view.second(clientX - area.getBoundingClientRect().left);
    const first = at(event), { edge } = event.target.dataset;
    let isDrag = false;
    const onmove = (next) => {
      isDrag ||= Math.abs(next.clientX - event.clientX) > 4;
      if (!isDrag) return;
      const now = at(next);
      if (!edge && area === ruler) return void player.seek(now);
      const { start, end } = edge
        ? { ...player.range, [edge]: now }
        : { start: Math.min(first, now), end: Math.max(first, now) };
      if (end - start >= LEAST_LOOP_S) player.setLoop(start, end, !edge || player.isLooping);
    };
    drag(event, onmove, () => {
      if (!isDrag && !edge) player.seek(first);
      else if (isDrag && !edge && area !== ruler) player.enterLoop();
    });
  }

  #scrub(event) {
    const box = this.overview.getBoundingClientRect();
    const go = ({ clientX }) => this.player.seek(((clientX - box.left) / box.width) * this.length);
    if (drag(event, go, () => {})) go(event);
  }
}

function drag({ button, pointerId, currentTarget }, onmove, onend) {
  if (button) return false;
  const control = new AbortController();
  const { signal } = control;
  currentTarget.setPointerCapture(pointerId);
  currentTarget.addEventListener("pointermove", onmove, { signal });
  currentTarget.addEventListener("pointerup", onend, { signal });
  for (const kind of ["pointerup", "pointercancel"]) {
    currentTarget.addEventListener(kind, () => control.abort(), { signal });
  }
  return true;
}
