// Take a song apart: node separate.mjs song.mp3
// Needs Node 20 and nothing else, and STEMWRIGHT_API_KEY and STEMWRIGHT_BASE_URL in the environment.

import { createHash, randomUUID } from "node:crypto";
import { createWriteStream, openAsBlob } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";

const api = `${process.env.STEMWRIGHT_BASE_URL}/v1`;
const key = { "X-API-Key": process.env.STEMWRIGHT_API_KEY };

// Again after broken connections, 429, 502, 503 and 504; other errors end this.
async function call(path, options = {}) {
  for (let attempt = 1; ; attempt++) {
    let wait = 500 * 2 ** attempt;
    try {
      const answer = await fetch(api + path, { ...options, headers: { ...key, ...options.headers } });
      if (answer.ok) return answer;
      if (![429, 502, 503, 504].includes(answer.status) || attempt === 5) {
        throw new Error(`${answer.status} ${await answer.text()}`);
      }
      wait = 1000 * (answer.headers.get("Retry-After") ?? wait / 1000);
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === 5) throw error; // fetch: no connection
    }
    await pause(wait);
  }
}

// 1. Upload. For large files and bad networks: docs/uploads.md.
const song = process.argv[2];
const form = new FormData();
form.set("file", await openAsBlob(song), basename(song));
const asset = await (await call("/assets", { method: "POST", body: form })).json();

// 2. Order. Under the same key, the same order is one job and is charged once, however often it is
//    sent.
const order = { asset: asset.id, stems: ["vocals", "instrumental"] };
let job = await (
  await call("/jobs", {
    method: "POST",
    headers: { "Idempotency-Key": randomUUID(), "Content-Type": "application/json" },
    body: JSON.stringify(order),
  })
).json();

// 3. Wait. Events come until the job has ended; the stream itself ends after five minutes.
const ended = ["succeeded", "failed", "cancelled"];
while (!ended.includes(job.status)) {
  try {
    const events = await call(`/jobs/${job.id}/events`);
    for await (const text of events.body.pipeThrough(new TextDecoderStream())) {
      const progress = text.match(/"progress": ([0-9.]+)/);
      if (progress) console.log(`${Math.round(100 * progress[1])} %`);
    }
  } catch {
    await pause(2000); // The stream broke; the job itself tells.
  }
  job = await (await call(`/jobs/${job.id}`)).json();
}
if (job.status !== "succeeded") throw new Error(`${job.status}: ${job.error?.message}`);

// 4. Download. The links need no key: none is sent to where they lead.
await mkdir("out", { recursive: true });
for (const output of job.outputs) {
  const answer = await fetch(output.download_url);
  if (!answer.ok) throw new Error(`${answer.status} for ${output.filename}`);
  const hash = createHash("sha256");
  const hashing = new Transform({
    transform(block, _, done) {
      hash.update(block);
      done(null, block);
    },
  });
  const path = join("out", output.filename.replaceAll(/[/\\]/g, "_"));
  await pipeline(Readable.fromWeb(answer.body), hashing, createWriteStream(`${path}.part`));
  if (hash.digest("hex") !== output.sha256) throw new Error(`${path} did not arrive as it was made`);
  await rename(`${path}.part`, path);
  console.log(path);
}
console.log(`${job.credits_charged} credits`);
