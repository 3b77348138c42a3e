// Turns of speakers: on their lanes or, where they have no sound of their own, on lanes beside the
// recording. Loaded where there are any.
import { clear } from "./draw.js";

export function show(player, rows) {
  const { lanes, speakers } = player.manifest;
  player.$("[data-part=turns]").hidden = false;
  player.turn = (isNext) => {
    const heard = rows.filter(({ mix }) => player.mix.isHeard(mix)).map(({ lane }) => lane);
    player.seek(turnFrom(speakers ?? heard, player.position, isNext));
  };
  const shared = overlaps(speakers ?? lanes);
  (speakers ?? lanes).forEach(({ turns = [], ...speaker }, n) => {
    const told = { own: turns, shared: shared[n] };
    if (speakers) addRow(player, speaker, told);
    else rows[n].drawBelow = (context, height, view) => drawTurns(context, height, view, told);
  });
  player.draw();
}

// A lane without sound, and so without anything to be set.
function addRow(player, { label, lane }, told) {
  const row = player.rowTemplate.cloneNode(true);
  row.classList.add("sp-silent");
  row.dataset.lane = lane % 9;
  row.querySelector("[data-part=name]").textContent = row.title = label;
  for (const part of row.querySelectorAll(".sp-buttons, .sp-sliders, .sp-meter")) part.remove();
  player.$(".sp-lanes").append(row);
  const wave = row.querySelector(".sp-wave"), canvas = row.querySelector("canvas");
  const draw = (_, view) => {
    const { context, height } = clear(canvas);
    drawTurns(context, height, view, told, 0.5);
  };
  player.timeline.add({ wave, canvas, picture: { draw } });
}

// Turns as bands under the waveform; where others speak at the same time, hatched.
function drawTurns(context, height, view, { own, shared }, strength = 0.14) {
  const visible = ([start, end]) => end > view.start && start < view.end;
  for (const turn of own.filter(visible)) {
    const [start, end, confidence] = turn;
    const x = view.x(start), w = Math.max(view.x(end) - x, 1.5);
    context.globalAlpha = strength;
    context.fillRect(x, 0, w, height);
    context.globalAlpha = 1;
    // What the machine is not sure of has a broken edge.
    if (confidence < 0.5) for (let d = 0; d < w; d += 6) context.fillRect(x + d, 0, Math.min(3, w - d), 3);
    else context.fillRect(x, 0, w, 3);
  }
  context.globalAlpha = 0.55;
  for (const [start, end] of shared.filter(visible)) {
    const x = view.x(start), w = Math.max(view.x(end) - x, 1.5);
    context.save();
    context.beginPath();
    context.rect(x, 3, w, height);
    context.clip();
    context.beginPath();
    for (let d = Math.floor(x / 7) * 7 - height; d < x + w; d += 7) {
      context.moveTo(d, height);
      context.lineTo(d + height, 0);
    }
    context.stroke();
    context.restore();
  }
  context.globalAlpha = 1;
}

// Of each lane's turns, the parts in which another lane speaks too.
function overlaps(lanes) {
  const all = lanes.flatMap((lane, n) => (lane.turns ?? []).map(([start, end]) => ({ n, start, end })));
  all.sort((a, b) => a.start - b.start);
  const shared = lanes.map(() => []);
  all.forEach((one, i) => {
    for (let j = i + 1; j < all.length && all[j].start < one.end; j++) {
      if (all[j].n === one.n) continue;
      const both = [all[j].start, Math.min(one.end, all[j].end)];
      shared[one.n].push(both);
      shared[all[j].n].push(both);
    }
  });
  return shared;
}

// Where the next turn of these lanes begins, or the one before: twice in a row goes on to the one
// before that.
function turnFrom(lanes, now, isNext) {
  const starts = lanes.flatMap(({ turns = [] }) => turns.map(([start]) => start)).sort((a, b) => a - b);
  const found = isNext
    ? starts.find((start) => start > now + 0.05)
    : starts.findLast((start) => start < now - 0.7);
  return found ?? now;
}
