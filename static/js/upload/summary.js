// What all that is about to be started costs, and whether it can be.

import { call } from "../api.js";
import { orderOf, priceOf } from "./order.js";
import { credits, creditsAbout, time, words } from "./words.js";

const PAUSE_MS = 300;
// The service is asked about so many at most; the others are reckoned here.
const ASKED_AT_MOST = 20;

export class Summary {
  #config;
  #form;
  #answers = new Map();
  #timer = 0;
  #asking = new AbortController();

  constructor(config, form) {
    this.#config = config;
    this.#form = form;
  }

  // Credits that can be spent, also as the bar of the page says it.
  set available(mcr) {
    this.#config.available_mcr = mcr;
    const link = document.querySelector(`.bar a[href="${this.#config.credits_url}"]`);
    if (link) link.textContent = words("cost", { credits: credits(mcr) });
  }

  // The order that the form says, or null.
  get order() {
    try {
      return orderOf(this.#form);
    } catch {
      return null;
    }
  }

  show(recordings) {
    const pending = recordings.filter((one) => one.isPending);
    let order = null;
    let problem = "";
    try {
      order = orderOf(this.#form);
    } catch (error) {
      problem = error.message || " ";
    }
    this.#quote(pending, order);
    const sum = this.#sum(pending, order);
    this.#showCost(sum);
    this.#showReason(recordings, pending, sum, problem);
    if (order) this.#askSoon(recordings, order);
  }

  // What the service said of each, for this order.
  #quote(pending, order) {
    for (const one of pending) {
      const quote = order ? this.#answers.get(keyOf(one, order)) ?? null : null;
      if (one.quote === quote) continue;
      one.quote = quote;
      one.dispatchEvent(new Event("change"));
    }
  }

  #sum(pending, order) {
    const sum = { mcr: 0, isExact: true, nUnknown: 0, eta: null, nAble: 0 };
    for (const one of pending) {
      if (one.quote?.problem) continue;
      sum.nAble += 1;
      const mcr = one.quote?.mcr ?? (order ? priceOf(order, one.duration, this.#config) : null);
      if (mcr === null) sum.nUnknown += 1;
      else sum.mcr += mcr;
      if (!one.quote) sum.isExact = false;
      if (one.quote?.eta != null) sum.eta = Math.min(sum.eta ?? Infinity, one.quote.eta);
    }
    return sum;
  }

  #showCost(sum) {
    const isKnown = sum.nUnknown < sum.nAble;
    const text = sum.isExact
      ? words("cost", { credits: credits(sum.mcr) })
      : words("cost_about", { credits: creditsAbout(sum.mcr) });
    put("cost", !sum.nAble ? "" : isKnown ? text : words("cost_unknown"));
    const { available_mcr: available } = this.#config;
    const more = [];
    if (available !== null) more.push(words("balance", { credits: credits(available) }));
    if (isKnown && sum.nUnknown) more.push(words("cost_more", { count: sum.nUnknown }));
    if (sum.eta !== null) more.push(words("time", { time: time(sum.eta) }));
    put("more", more.join(" · "));
  }

  #showReason(recordings, pending, sum, problem) {
    const { available_mcr: available } = this.#config;
    const isPoor = available !== null && sum.mcr > available;
    let text = "";
    if (!recordings.length) text = words("reason_none");
    else if (!pending.length) text = words(recordings.some((one) => one.job || one.order) ? "reason_left" : "reason_failed");
    else if (problem) text = words("reason_field", { problem });
    else if (!sum.nAble) text = pending[0].quote.problem;
    else if (isPoor) text = words("reason_credits", { needed: credits(sum.mcr), available: credits(available) });
    put("reason", text);
    if (isPoor && sum.nAble) {
      const link = document.getElementById("buy-credits").content.cloneNode(true);
      document.getElementById("reason").append(" ", link);
    }
    const start = document.getElementById("start");
    start.disabled = Boolean(text);
    start.textContent = sum.nAble > 1 ? words("start_many", { count: sum.nAble }) : words("start_one");
  }

  #askSoon(recordings, order) {
    const unknown = recordings
      .filter((one) => one.isPending && one.asset && !this.#answers.has(keyOf(one, order)))
      .slice(0, ASKED_AT_MOST);
    clearTimeout(this.#timer);
    this.#asking.abort();
    if (!unknown.length) return;
    this.#asking = new AbortController();
    const { signal } = this.#asking;
    this.#timer = setTimeout(async () => {
      for (const one of unknown) {
        if (!(await this.#ask(one, order, signal))) return;
      }
      this.show(recordings);
    }, PAUSE_MS);
  }

  // Whether it makes sense to ask on.
  async #ask(one, order, signal) {
    try {
      const body = { asset: one.asset, ...order };
      const answer = await call("POST", "/v1/jobs/estimate", { body, signal });
      this.#answers.set(keyOf(one, order), { mcr: answer.credits_mcr, eta: answer.eta_s });
    } catch (error) {
      if (error.name === "AbortError") return false;
      // Too many questions, or no connection: what was reckoned here stands.
      if (!error.status || error.status === 429 || error.status >= 500) return false;
      this.#answers.set(keyOf(one, order), { problem: error.text });
    }
    return true;
  }
}

const keyOf = (one, order) => `${one.asset} ${JSON.stringify(order)}`;

function put(id, text) {
  const element = document.getElementById(id);
  // Set again, it would be read out again.
  if (element.textContent !== text) element.textContent = text;
}
