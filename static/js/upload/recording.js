// One recording on the page: from the file or the address to its job.
//
// state:  reading -> queued -> uploading <-> paused -> checking -> ready   (a file)
//                                  \-> lost: the page was loaded anew, the file must be chosen again
//         address                                                          (an address)
//         failed: `problem` says why; begun again by `retry`
// Once `order` is there, it is ordered as soon as it is ready: -> ordering -> ordered.

import { call, csrfToken } from "../api.js";
import { look } from "../connection.js";
import { durationOf } from "./file_facts.js";
import { clock, size, words } from "./words.js";

const KEPT = [
  "id", "name", "size", "hash", "duration", "state", "sent", "uploadUrl", "asset", "url", "order",
  "key", "job", "problem",
];
const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10000];
const AFTER_LIMIT_MS = 5000;
// The browser may be wrong about the length of some files by a little.
const LENGTH_SLACK = 1.05;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Recording extends EventTarget {
  file = null;
  sent = 0;
  // Queued, but not to be sent before this moment.
  notBefore = 0;
  // What the order would cost: {mcr, eta} or {problem}, from the service.
  quote = null;
  #upload = null;
  #isGone = false;
  #turn = 0;

  constructor(config, values) {
    super();
    this.config = config;
    this.id = newKey();
    Object.assign(this, values);
  }

  toJSON() {
    return Object.fromEntries(KEPT.filter((name) => this[name] !== undefined).map((name) => [name, this[name]]));
  }

  // Where it was left when the page was loaded anew.
  restore() {
    const isComing = ["reading", "queued", "uploading", "paused"].includes(this.state);
    if (isComing || (this.state === "failed" && this.uploadUrl && !this.asset)) this.#to("lost");
    else if (this.state === "checking") this.#check();
    else if (this.state === "ordering" || this.isReady) this.#placeIfWanted();
  }

  get isReady() {
    return this.state === "ready" || this.state === "address";
  }

  // Whether Start is about it.
  get isPending() {
    return !this.order && !["failed", "ordered"].includes(this.state);
  }

  // Whether leaving the page would break something off.
  get isBusy() {
    const isComing = ["reading", "queued", "uploading"].includes(this.state);
    return isComing || Boolean(this.order && !["ordered", "failed"].includes(this.state));
  }

  get canRetry() {
    return this.state === "failed" && Boolean(this.file || this.asset || this.url);
  }

  // Reads what can be known of the file before it is sent.
  async take(file) {
    this.file = file;
    const { max_bytes: maxBytes, max_seconds: maxSeconds } = this.config;
    if (!file.size) return this.#fail(words("empty"), { isFinal: true });
    if (file.size > maxBytes) {
      const values = { size: size(file.size), limit: size(maxBytes) };
      return this.#fail(words("too_large", values), { isFinal: true });
    }
    const duration = await durationOf(file);
    if (this.#isGone) return undefined;
    this.duration = duration;
    if (duration > maxSeconds * LENGTH_SLACK) {
      const values = { length: clock(duration), limit: clock(maxSeconds) };
      return this.#fail(words("too_long", values), { isFinal: true });
    }
    return this.#to("queued");
  }

  // The same file, chosen again after the page was loaded anew.
  found(file) {
    this.file = file;
    this.#to("queued");
  }

  async upload() {
    this.#to("uploading");
    const turn = (this.#turn += 1);
    const upload = this.#upload ?? this.#newUpload();
    if (!this.#upload) {
      this.#upload = upload;
      const [before] = await upload.findPreviousUploads();
      if (before) upload.resumeFromPreviousUpload(before);
    }
    // It may have been paused meanwhile, or taken off, or gone on with.
    if (this.state === "uploading" && turn === this.#turn && !this.#isGone) upload.start();
  }

  pause() {
    this.#upload?.abort();
    this.#to("paused");
  }

  resume() {
    this.#to("queued");
  }

  retry() {
    this.problem = undefined;
    if (this.asset || this.url) {
      this.#to(this.url ? "address" : "ready");
      this.#placeIfWanted();
    } else {
      this.#upload = null;
      this.#to("queued");
    }
  }

  // Takes it off the page, and what came of it off the service, unless a job works on it.
  remove() {
    this.#isGone = true;
    this.#upload?.abort();
    if (!this.order && this.asset && !this.isOld) forget("/v1/assets/" + this.asset);
    else if (this.uploadUrl && !this.asset) forget(this.uploadUrl);
    forgetFingerprint(this.#fingerprint);
    this.dispatchEvent(new Event("removed"));
  }

  // Orders a job of it, now or as soon as it is ready.
  begin(order) {
    this.order = order;
    this.key = newKey();
    this.problem = undefined;
    this.#changed();
    this.#placeIfWanted();
  }

  get #fingerprint() {
    return `stemwright:${this.config.workspace}:${this.name}:${this.size}:${this.hash}`;
  }

  #newUpload() {
    return new tus.Upload(this.file, {
      endpoint: new URL("/v1/uploads", location.href).href,
      headers: { "X-CSRFToken": csrfToken() },
      metadata: { filename: this.name },
      chunkSize: this.config.chunk_bytes,
      retryDelays: RETRY_DELAYS_MS,
      removeFingerprintOnSuccess: true,
      fingerprint: async () => this.#fingerprint,
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        return status ? isPassing(status) : navigator.onLine;
      },
      onUploadUrlAvailable: () => {
        this.uploadUrl = new URL(this.#upload.url).pathname;
        this.#changed();
      },
      onProgress: (sent) => {
        this.sent = sent;
        this.#changed();
      },
      onSuccess: () => {
        this.sent = this.size;
        this.#check();
      },
      onError: (error) => this.#uploadFailed(error),
    });
  }

  #uploadFailed(error) {
    const answer = error.originalResponse;
    if (!answer?.getStatus()) return this.#offline();
    let told = {};
    try {
      told = JSON.parse(answer.getBody()).error ?? {};
    } catch {
      // An answer of something between the service and here.
    }
    // Others are under way: it is their turn first.
    if (told.code === "limit_reached") {
      this.notBefore = Date.now() + AFTER_LIMIT_MS;
      return this.#to("queued");
    }
    return this.#fail(told.message || error.message);
  }

  // All has arrived: the service looks at what it is.
  async #check() {
    this.#to("checking");
    for (let pause = 400; !this.#isGone; pause = Math.min(pause * 1.4, 4000)) {
      try {
        const upload = await call("GET", this.uploadUrl);
        if (upload.state === "ready" && upload.asset) return this.#arrived(upload.asset);
        // Also: made, and deleted since.
        if (["failed", "cancelled", "ready"].includes(upload.state)) {
          this.uploadUrl = undefined;
          return this.#fail(upload.error?.message ?? words("gone"), { isFinal: true });
        }
      } catch (error) {
        if (!isPassing(error.status)) {
          this.uploadUrl = undefined;
          return this.#fail(error.text, { isFinal: true });
        }
      }
      await wait(pause);
    }
    return undefined;
  }

  #arrived(asset) {
    this.asset = asset.id;
    this.duration = asset.duration_s;
    this.#to("ready");
    this.#placeIfWanted();
  }

  async #placeIfWanted() {
    if (!this.order || (!this.isReady && this.state !== "ordering")) return;
    this.#to("ordering");
    const recording = this.url ? { url: this.url } : { asset: this.asset };
    for (;;) {
      try {
        const job = await call("POST", "/v1/jobs", {
          body: { ...recording, ...this.order },
          // The same after a break or a reload: it is paid once.
          headers: { "Idempotency-Key": this.key },
        });
        this.job = job.id;
        this.#to("ordered");
        return;
      } catch (error) {
        if (error.status === 429) {
          await wait(1000 * Math.max(1, error.retryAfterS));
          continue;
        }
        // It may have been ordered, though no answer came: only the same order is sent again.
        if (!error.status) this.#offline();
        else this.#refused(error.text);
        return;
      }
    }
  }

  // With other options, or more credits, Start may do.
  #refused(text) {
    this.order = undefined;
    this.key = undefined;
    this.problem = text;
    this.#to(this.url ? "address" : "ready");
  }

  // It goes on by itself if there is no connection now; a short break people see to.
  async #offline() {
    const isThere = await look();
    this.isOffline = !isThere;
    this.#fail(words(isThere ? "broke" : "offline"));
  }

  #fail(text, { isFinal = false } = {}) {
    this.problem = text;
    if (isFinal) {
      this.file = null;
      this.order = undefined;
    }
    this.#to("failed");
  }

  #to(state) {
    this.state = state;
    if (state !== "failed") this.isOffline = false;
    this.#changed();
    this.dispatchEvent(new Event("state"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

// What may be otherwise in a moment.
function isPassing(status) {
  return !status || status >= 500 || [409, 423, 429].includes(status);
}

// Nobody waits for it: what stays is deleted by itself after some days.
function forget(path) {
  call("DELETE", path).catch(() => {});
}

async function forgetFingerprint(fingerprint) {
  const storage = tus.defaultOptions.urlStorage;
  for (const before of await storage.findUploadsByFingerprint(fingerprint)) {
    await storage.removeUpload(before.urlStorageKey);
  }
}
