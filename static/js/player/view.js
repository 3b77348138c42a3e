// Which seconds are seen, and where.
const LEAST_S = 1;

export class View {
  width = 1;

  constructor(length) {
    this.length = length;
    this.show(0, length);
  }

  get span() {
    return this.end - this.start;
  }

  x(second) {
    return ((second - this.start) / this.span) * this.width;
  }

  second(x) {
    return Math.min(Math.max(this.start + (x / this.width) * this.span, 0), this.length);
  }

  show(start, end) {
    const span = Math.min(Math.max(end - start, LEAST_S), this.length);
    this.start = Math.min(Math.max(start, 0), this.length - span);
    this.end = this.start + span;
  }

  // `at` stays where it is on the screen.
  zoom(factor, at) {
    const span = Math.min(Math.max(this.span / factor, LEAST_S), this.length);
    const start = at - ((at - this.start) / this.span) * span;
    this.show(start, start + span);
  }

  holds(second) {
    return second >= this.start && second <= this.end;
  }

  // To the page that begins just before a moment.
  turn(second) {
    this.show(second - this.span * 0.05, second + this.span * 0.95);
  }
}
