// Draws the table that `data-chart` names as stacked bars, a day each. The table is the truth and
// stays beside the chart (tabs); without this script, it is all there is.

const LANGUAGE = document.documentElement.lang || undefined;
const DAY = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short", timeZone: "UTC" });
const WHOLE_DAY = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeZone: "UTC" });
const SHORT = new Intl.NumberFormat(LANGUAGE, {
  notation: "compact", maximumFractionDigits: 2,
});
const CREDITS = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 3 });
const DAY_MS = 86_400_000;
const MILLI = 1000;

// What the table says: its days (those left out too), and of each series its name and values.
function read(table) {
  const first = Date.parse(table.dataset.first);
  const count = Math.round((Date.parse(table.dataset.last) - first) / DAY_MS) + 1;
  const heads = [...table.querySelectorAll("th[data-series]")];
  const series = heads.map((head) => ({
    name: head.textContent.trim(), head, values: new Array(count).fill(0),
  }));
  for (const row of table.querySelectorAll("tr[data-day]")) {
    const at = Math.round((Date.parse(row.dataset.day) - first) / DAY_MS);
    row.querySelectorAll("td[data-value]").forEach((cell, index) => {
      series[index].values[at] = Number(cell.dataset.value);
    });
  }
  return {
    days: Array.from({ length: count }, (_, index) => new Date(first + index * DAY_MS)),
    series,
    total: table.querySelector("th[data-total]").textContent.trim(),
  };
}

function colourOf(head) {
  return getComputedStyle(head.querySelector(".dot")).backgroundColor;
}

// Sums from the bottom, the highest first: each bar is drawn over the one before it.
function stacked({ days, series }) {
  let sums = days.map(() => 0);
  const layers = series.map((one) => {
    sums = sums.map((sum, index) => sum + one.values[index]);
    return sums.map((sum) => sum / MILLI);
  });
  return layers.reverse();
}

class Chart {
  constructor(box) {
    this.box = box;
    this.readout = box.parentElement.querySelector("[data-readout]");
    this.content = read(document.getElementById(box.dataset.chart));
    this.at = this.content.days.length - 1;
    box.setAttribute("aria-valuemin", "0");
    box.setAttribute("aria-valuemax", String(this.at));
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(box);
    // Colours are of the theme.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.show(this.at);
  }

  draw() {
    this.plot?.destroy();
    const style = getComputedStyle(this.box);
    const line = getComputedStyle(this.readout).borderTopColor;
    const axis = {
      stroke: style.color, font: `12px ${style.fontFamily}`, ticks: { show: false },
      grid: { stroke: line, width: 1 },
    };
    const bars = uPlot.paths.bars({ size: [0.72, 48], radius: 0 });
    const { days, series } = this.content;
    const layers = [...series].reverse().map(({ name, head }) => {
      const fill = colourOf(head);
      return { label: name, fill, stroke: fill, width: 0, paths: bars, points: { show: false } };
    });
    this.plot = new uPlot({
      width: this.box.clientWidth,
      height: this.height(),
      legend: { show: false },
      cursor: { y: false, drag: { setScale: false }, points: { show: false } },
      scales: {
        x: { time: false, range: [-0.6, days.length - 0.4] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.05 : 1] },
      },
      axes: [
        {
          ...axis, grid: { show: false }, space: 64, size: 28,
          incrs: [1, 2, 7, 14, 30, 61, 91],
          values: (_, splits) => splits.map((at) => (days[at] ? DAY.format(days[at]) : "")),
        },
        { ...axis, size: 48, values: (_, splits) => splits.map((value) => SHORT.format(value)) },
      ],
      series: [{}, ...layers],
      hooks: {
        setCursor: [({ cursor }) => {
          if (cursor.idx !== null && cursor.idx !== undefined && cursor.event) this.show(cursor.idx);
        }],
      },
    }, [days.map((_, index) => index), ...stacked(this.content)], this.box);
  }

  height() {
    return this.box.clientWidth < 560 ? 220 : 300;
  }

  // Nothing is drawn while the tab is hidden.
  resize() {
    const width = this.box.clientWidth;
    if (!width) return;
    if (!this.plot) this.draw();
    else if (this.plot.width !== width) this.plot.setSize({ width, height: this.height() });
  }

  key(event) {
    const last = this.content.days.length - 1;
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 7, PageDown: -7 };
    const ends = { Home: 0, End: last };
    const wanted = event.key in ends ? ends[event.key] : this.at + (steps[event.key] ?? NaN);
    if (Number.isNaN(wanted) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.show(Math.max(0, Math.min(last, wanted)));
    const left = this.plot?.valToPos(this.at, "x");
    if (left !== undefined) this.plot.setCursor({ left, top: 0 }, false);
  }

  // Says what a day cost, below the chart and to those who do not see it.
  show(at) {
    this.at = at;
    const { days, series, total } = this.content;
    const parts = series.filter(({ values }) => values[at]);
    const sum = parts.reduce((all, { values }) => all + values[at], 0);
    const day = WHOLE_DAY.format(days[at]);
    const words = parts.map(({ name, values }) => `${name} ${CREDITS.format(values[at] / MILLI)}`);
    const whole = `${total} ${CREDITS.format(sum / MILLI)}`;
    this.box.setAttribute("aria-valuenow", String(at));
    this.box.setAttribute("aria-valuetext", [day, whole, ...(parts.length > 1 ? words : [])].join(", "));
    this.readout.replaceChildren(span(day, "day"), span(whole, "sum"));
    for (const [index, one] of parts.entries()) {
      const item = span("", "item");
      const dot = document.createElement("span");
      dot.className = "dot";
      item.dataset.lane = one.head.dataset.lane;
      item.append(dot, words[index]);
      this.readout.append(item);
    }
  }
}

function span(text, kind) {
  const made = document.createElement("span");
  made.className = kind;
  made.textContent = text;
  return made;
}

// Tabs: arrows go from one to the next, the chosen one alone is in the tab order.
function tabs(list) {
  const all = [...list.querySelectorAll("[role=tab]")];
  const choose = (chosen) => {
    for (const tab of all) {
      const is = tab === chosen;
      tab.setAttribute("aria-selected", String(is));
      tab.tabIndex = is ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = !is;
    }
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
    next.focus();
    choose(next);
  });
  list.hidden = false;
  choose(all[0]);
}

for (const box of document.querySelectorAll("[data-chart]")) new Chart(box);
for (const list of document.querySelectorAll("[role=tablist]")) tabs(list);
