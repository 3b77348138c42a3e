// The mix as it is set: what the buttons say, and what is heard of it.

// Ears take half the slider for about half as loud.
export const gainOf = (volume) => (volume / 100) ** 2;

export class Mix {
  master = 100;
  original = false;

  constructor(manifest) {
    this.lanes = manifest.lanes.map(({ id, name }) => ({
      id, name, volume: 100, pan: 0, mute: false, solo: false,
    }));
  }

  // Solo goes before mute, and both are remembered: nothing is lost when a solo ends.
  isHeard(lane) {
    return this.lanes.some((each) => each.solo) ? lane.solo : !lane.mute;
  }

  toggleSolo(lane, adds) {
    const solo = !lane.solo || (!adds && this.lanes.filter((each) => each.solo).length > 1);
    if (!adds) for (const each of this.lanes) each.solo = false;
    lane.solo = solo;
    if (solo) lane.mute = false;
  }

  toggleMute(lane) {
    lane.mute = !lane.mute;
    if (lane.mute) lane.solo = false;
  }

  apply(engine) {
    for (const lane of this.lanes) {
      engine.set(lane.id, this.isHeard(lane) ? gainOf(lane.volume) : 0, lane.pan / 100);
    }
    engine.setMaster(gainOf(this.master));
    engine.setOriginal(this.original);
  }

  // What a server needs to make the same.
  toJSON() {
    return {
      lanes: this.lanes.map((lane) => ({
        id: lane.id, gain: this.isHeard(lane) ? gainOf(lane.volume) : 0, pan: lane.pan / 100,
      })),
      master: gainOf(this.master),
    };
  }

  // ?t=12.5&solo=vocals&mute=drums,bass&loop=10-20: what an address says, and how it is told.
  read(query) {
    for (const what of ["solo", "mute"]) {
      const names = (query.get(what) ?? "").split(",");
      for (const lane of this.lanes) lane[what] = names.includes(this.#nameOf(lane));
    }
  }

  write(query) {
    for (const what of ["solo", "mute"]) {
      const names = this.lanes.filter((lane) => lane[what]).map((lane) => this.#nameOf(lane));
      if (names.length) query.set(what, names.join());
      else query.delete(what);
    }
  }

  #nameOf(lane) {
    const isAlone = this.lanes.filter((each) => each.name === lane.name).length === 1;
    return isAlone ? lane.name : String(this.lanes.indexOf(lane) + 1);
  }
}
