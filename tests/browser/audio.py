"""What the player really sends to the speakers, lane by lane, and what to say of it."""

import base64

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page

Sound = NDArray[np.float32]  # lanes x channels x frames

_BLOCK = 128  # frames that Web Audio works out at once

_START = """async (ids) => {
  const { engine } = document.querySelector("stem-player");
  await engine.context.audioWorklet.addModule("/player/recorder.js");
  const recorder = new AudioWorkletNode(engine.context, "recorder", {
    numberOfInputs: ids.length, numberOfOutputs: 0, channelCount: 2, channelCountMode: "explicit",
  });
  window.taken = [];
  recorder.port.onmessage = ({ data }) => window.taken.push(data);
  ids.forEach((id, n) => engine.tap(id).connect(recorder, 0, n));
}"""
_TAKE = """() => {
  const blocks = window.taken.splice(0);
  const all = new Float32Array(blocks.length * (blocks[0]?.length ?? 0));
  blocks.forEach((block, n) => all.set(block, n * block.length));
  const bytes = new Uint8Array(all.buffer);
  const parts = [];
  for (let i = 0; i < bytes.length; i += 0x8000) {
    parts.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
  }
  return btoa(parts.join(""));
}"""


def record(page: Page, ids: list[str | None]) -> None:
    """From now on; None is the sum of all. The player has to have played once."""
    page.evaluate(_START, ids)


def take(page: Page, n_lanes: int) -> Sound:
    """What was recorded since the last time."""
    frames = np.frombuffer(base64.b64decode(page.evaluate(_TAKE)), dtype=np.float32)
    blocks = frames.reshape(-1, n_lanes, 2, _BLOCK)
    return blocks.transpose(1, 2, 0, 3).reshape(n_lanes, 2, -1)


def forget(page: Page) -> None:
    page.evaluate("window.taken.length = 0")


def hear(page: Page, n_lanes: int, seconds: float) -> Sound:
    """The sound of a while from now on, by the clock of the sound."""
    forget(page)
    page.wait_for_function(
        "([seconds, block]) => taken.length * block >= seconds * "
        "document.querySelector('stem-player').rate",
        arg=[seconds, _BLOCK],
    )
    return take(page, n_lanes)


def loudness(sound: Sound) -> list[float]:
    """The root mean square of each lane, over both channels."""
    return [float(np.sqrt(np.mean(lane.astype(np.float64) ** 2))) for lane in sound]


def lag(one: NDArray[np.float32], other: NDArray[np.float32], most: int = 2000) -> int:
    """By how many frames `other` is late, by cross-correlation."""
    size = 1 << (len(one) + most).bit_length()
    spectrum = np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size))
    likeness = np.fft.irfft(spectrum, size)
    at = int(np.argmax(np.concatenate([likeness[-most:], likeness[: most + 1]])))
    return at - most


def find(sound: NDArray[np.float32], source: NDArray[np.float32]) -> int:
    """Where `sound`, a part of `source`, begins in it: where the difference is smallest."""
    size = 1 << (len(source) + len(sound)).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(source, size) * np.conj(np.fft.rfft(sound, size)), size)
    energy = np.concatenate([[0], np.cumsum(source.astype(np.float64) ** 2)])
    n_places = len(source) - len(sound) + 1
    return int(np.argmin(energy[len(sound) :] - energy[:n_places] - 2 * likeness[:n_places]))
