// What the browser can tell of a file before it is sent.

const FIRST_BYTES = 65536;
const PLAYABLE_WITHIN_MS = 8000;
const PLAYERS_AT_ONCE = 6;

// Tells files of the same name and size apart. Not for secrets: pages without TLS have no digests.
export async function hashOf(file) {
  const bytes = new Uint8Array(await file.slice(0, FIRST_BYTES).arrayBuffer());
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (const byte of bytes) {
    high = Math.imul(high ^ byte, 2654435761);
    low = Math.imul(low ^ byte, 1597334677);
  }
  return (high >>> 0).toString(16).padStart(8, "0") + (low >>> 0).toString(16).padStart(8, "0");
}

// Seconds; null where the browser cannot play it.
export async function durationOf(file) {
  // Browsers refuse more than some dozens of players at a time.
  const turn = turns[(next += 1) % turns.length].then(() => playedLength(file));
  turns[next % turns.length] = turn;
  return turn;
}

const turns = Array.from({ length: PLAYERS_AT_ONCE }, () => Promise.resolve());
let next = 0;

function playedLength(file) {
  const address = URL.createObjectURL(file);
  const audio = document.createElement("audio");
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), PLAYABLE_WITHIN_MS);
    const tell = (seconds) => {
      clearTimeout(timer);
      resolve(Number.isFinite(seconds) && seconds > 0 ? seconds : null);
    };
    audio.addEventListener("loadedmetadata", () => tell(audio.duration));
    audio.addEventListener("error", () => tell(null));
    audio.preload = "metadata";
    audio.src = address;
  }).finally(() => {
    audio.removeAttribute("src");
    URL.revokeObjectURL(address);
  });
}

const MEDIA = /\.(wav|wave|w64|rf64|flac|mp3|m4a|aac|ogg|oga|opus|aif|aiff|aifc|wma|webm|mp4|m4v|mov|mkv|mka|avi|caf|ac3|amr|3gp)$/i;

// Whether it looks like a recording. The service looks inside.
export function isMedia(file) {
  return /^(audio|video)\//.test(file.type) || MEDIA.test(file.name);
}
