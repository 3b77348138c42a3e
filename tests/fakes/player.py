"""The player on a page of its own, with sound that is made when it is asked for.

Its addresses are in tests/fakes/player_urls.py, to be put in place of the project's. What is
served repeats after a minute, so that an hour of four lanes needs no room.
"""

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
import soundfile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from numpy.typing import NDArray

Samples = NDArray[np.int16]
# Of a number of the segment, frames and rate: frames x channels.
Sound = Callable[[int, int, int], NDArray[np.float64]]

_ROUND = 12  # segments, after which everything comes again

_PAGE = """{% extends "base.html" %}{% block head_title %}Player{% endblock %}
{% block main_class %}stack{% endblock %}
{% block extra_head %}<meta name="csrf-token" content="{{ csrf_token }}">{% endblock %}
{% block content %}<h1>Night Bus</h1>
{% include "app/_player.html" with main=True fallback_url="/player/mix.wav" %}{% endblock %}"""

# Takes what comes at each of its inputs, all in the same moments.
_RECORDER = """registerProcessor("recorder", class extends AudioWorkletProcessor {
  process(inputs) {
    const frames = new Float32Array(inputs.length * 256);
    inputs.forEach((input, n) => input.forEach((c, i) => frames.set(c, n * 256 + i * 128)));
    this.port.postMessage(frames);
    return true;
  }
});"""


@dataclass(frozen=True)
class Song:
    lanes: dict[str, Sound]
    seconds: float
    rate: int = 44_100
    segment_s: int = 5
    kind: str = "stem"
    original: Sound | None = None
    gain: float = 1.0
    turns: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    # The turns are of these, who have no lanes of their own.
    speakers: tuple[str, ...] = ()

    @property
    def n_samples(self) -> int:
        return round(self.seconds * self.rate)

    @property
    def segment_samples(self) -> int:
        return self.segment_s * self.rate

    def sounds(self) -> dict[str, Sound]:
        return {**self.lanes, **({"original": self.original} if self.original else {})}


# What tests want to happen to requests for sound: the number of those to refuse, and what came.
faults: dict[str, Any] = {"refuse": 0, "asked": [], "state": "ready", "mix": None}


def samples(name: str, lane: str, start: int, count: int) -> Samples:
    """The very samples of a lane, as they are served."""
    song = SONGS[name]
    size = song.segment_samples
    parts = []
    for k in range(start // size, (start + count - 1) // size + 1):
        parts.append(segment(name, lane, k))
    whole = np.concatenate(parts)
    return whole[start - start // size * size :][:count]


@lru_cache(maxsize=64)
def segment(name: str, lane: str, k: int) -> Samples:
    song = SONGS[name]
    frames = min(song.segment_samples, song.n_samples - k * song.segment_samples)
    sound = song.sounds()[lane](k % _ROUND, song.segment_samples, song.rate)[:frames]
    return np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)


@lru_cache(maxsize=64)
def _flac(name: str, lane: str, k: int) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, segment(name, lane, k), SONGS[name].rate, format="FLAC")
    return out.getvalue()


def _file_part(name: str, lane: str, k: int) -> bytes:
    # The last one may be shorter than those that it repeats.
    song = SONGS[name]
    is_last = (k + 1) * song.segment_samples > song.n_samples
    return _flac(name, lane, k if is_last else k % _ROUND)


@cache
def _offsets(name: str, lane: str) -> list[int]:
    song = SONGS[name]
    n_segments = math.ceil(song.n_samples / song.segment_samples)
    offsets = [0]
    for k in range(n_segments):
        offsets.append(offsets[-1] + len(_file_part(name, lane, k)))
    return offsets


@cache
def _peaks(name: str, lane: str) -> tuple[bytes, list[dict[str, int]]]:
    song = SONGS[name]
    per = song.rate // 100
    pairs = []
    for k in range(_ROUND):
        mono = (
            segment(name, lane, k % math.ceil(song.seconds / song.segment_s)).mean(axis=1) / 32768
        )
        mono = np.pad(mono, (0, song.segment_samples - len(mono)))
        blocks = mono.reshape(-1, per) * 127
        pairs.append(np.stack([np.floor(blocks.min(1)), np.ceil(blocks.max(1))], 1))
    fine = np.tile(np.concatenate(pairs), (math.ceil(song.seconds / 60) + 1, 1))
    fine = fine[: math.ceil(song.n_samples / per)]
    levels: list[dict[str, int]] = []
    data = b""
    for per_second in (100, 10, 1):
        levels.append({"per_second": per_second, "offset": len(data), "count": len(fine)})
        data += fine.astype(np.int8).tobytes()
        fine = np.pad(fine, ((0, -len(fine) % 10), (0, 0))).reshape(-1, 10, 2)
        fine = np.stack([fine[:, :, 0].min(1), fine[:, :, 1].max(1)], 1)
    return data, levels


def manifest(request: HttpRequest, name: str) -> JsonResponse:
    if faults["state"] != "ready":
        return JsonResponse({"state": faults["state"], "progress": 0.43})
    song = SONGS[name]

    def lane(number: int, label: str, kind: str) -> dict[str, Any]:
        at = f"/player/{name}/{label}"
        return {
            "id": f"id-{label}",
            "kind": kind,
            "name": label,
            "label": label.capitalize().replace("_", " "),
            "lane": number,
            "audio": {"url": f"{at}.flac", "offsets": _offsets(name, label)},
            "peaks": {"url": f"{at}.peaks", "levels": _peaks(name, label)[1]},
            "gain": song.gain,
            **({"turns": song.turns[label]} if label in song.turns else {}),
        }

    return JsonResponse(
        {
            "state": "ready",
            "progress": 1,
            "sample_rate": song.rate,
            "n_samples": song.n_samples,
            "segment_samples": song.segment_samples,
            "lanes": [lane(n, label, song.kind) for n, label in enumerate(song.lanes)],
            "original": lane(0, "original", "recording") if song.original else None,
            **({"speakers": _speakers(song)} if song.speakers else {}),
        }
    )


def _speakers(song: Song) -> list[dict[str, Any]]:
    return [
        {"name": name, "label": name.capitalize(), "lane": n, "turns": song.turns[name]}
        for n, name in enumerate(song.speakers)
    ]


def audio(request: HttpRequest, name: str, lane: str) -> HttpResponse:
    start, end = _range(request)
    offsets = _offsets(name, lane)
    k = offsets.index(start)
    faults["asked"].append((lane, k))
    if faults["refuse"]:
        faults["refuse"] -= 1
        return HttpResponse(status=503)
    body = _file_part(name, lane, k)
    if len(body) != end + 1 - start:
        raise AssertionError("Exactly one segment is to be asked for.")
    return HttpResponse(body, status=206, content_type="audio/flac")


def peaks(request: HttpRequest, name: str, lane: str) -> HttpResponse:
    start, end = _range(request)
    return HttpResponse(_peaks(name, lane)[0][start : end + 1], status=206)


def _range(request: HttpRequest) -> tuple[int, int]:
    found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers["Range"])
    assert found is not None
    return int(found[1]), int(found[2])


def page(request: HttpRequest, name: str) -> HttpResponse:
    template = engines["django"].from_string(_PAGE)
    context = {"manifest_url": f"/player/{name}.json", "mix_url": f"/player/{name}/mix"}
    return HttpResponse(template.render(context, request))


def empty(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><html lang=en><title>Nothing</title>")


def recorder(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_RECORDER, content_type="text/javascript")


def mix(request: HttpRequest, name: str) -> JsonResponse:
    if request.method == "POST":
        faults["mix"] = json.loads(request.body)
        return JsonResponse({"state": "queued", "status_url": request.path}, status=202)
    return JsonResponse(
        {"state": "ready", "progress": 1, "download_url": "/player/mix.wav", "clipped_samples": 3}
    )


# --- Sounds -----------------------------------------------------------------------------------


def noise(level: float = 0.2) -> Sound:
    """The same in all lanes."""

    def sound(k: int, frames: int, rate: int) -> NDArray[np.float64]:
        return np.random.default_rng(k).normal(0, level, (frames, 2)).clip(-1, 1)

    return sound


def tone(hz: float, *, channels: int = 2, level: float = 0.4) -> Sound:
    """Goes on over joins: a whole number of waves fits into a minute."""

    def sound(k: int, frames: int, rate: int) -> NDArray[np.float64]:
        at = (k * frames + np.arange(frames)) / rate
        return np.tile(level * np.sin(2 * np.pi * hz * at)[:, None], channels)

    return sound


def phrases(hz: float, seed: int, *, density: float, channels: int = 2) -> Sound:
    """Notes that come and go, for the eye."""

    def sound(k: int, frames: int, rate: int) -> NDArray[np.float64]:
        chance = np.random.default_rng([seed, k])
        out = np.zeros(frames)
        for start in range(0, frames, rate // 2):
            if chance.random() < density:
                since = np.arange(min(2 * rate, frames - start)) / rate
                body = np.exp(-since * chance.uniform(1.5, 7)) * np.minimum(1, 4 - 2 * since)
                pitch = hz * 2 ** (chance.integers(0, 8) / 7)
                note = chance.uniform(0.15, 0.5) * body * np.sin(2 * np.pi * pitch * since)
                out[start : start + len(note)] += note
        return np.tile(out.clip(-0.95, 0.95)[:, None], channels)

    return sound


def spoken(turns: list[tuple[float, float, float]], hz: float, seed: int) -> Sound:
    """Syllables in the turns of the first minute; silence elsewhere."""

    def sound(k: int, frames: int, rate: int) -> NDArray[np.float64]:
        at = k * 10 + np.arange(frames) / rate
        chance = np.random.default_rng([seed, k])
        speaks = np.zeros(frames)
        for start, end, _ in turns:
            speaks[(at >= start) & (at < end)] = 1
        slow = np.interp(at, np.arange(k * 10, k * 10 + 10.3, 0.12), chance.uniform(0, 1, 86))
        return (speaks * slow**2 * 0.6 * np.sin(2 * np.pi * hz * at))[:, None]

    return sound


_TURNS = {
    "anna": [(0.6, 7.4, 0.93), (15.2, 22.0, 0.9), (38.0, 44.5, 0.41), (52.0, 57.5, 0.9)],
    "ben": [(6.8, 15.6, 0.88), (23.1, 30.4, 0.92), (43.8, 49.0, 0.86)],
    "chris": [(29.5, 38.6, 0.9), (48.2, 53.1, 0.35)],
}
_BAND = {
    "vocals": phrases(330, 1, density=0.45),
    "drums": phrases(1900, 2, density=0.95),
    "bass": phrases(70, 3, density=0.8),
    "other": phrases(520, 4, density=0.6),
}


def _sum(k: int, frames: int, rate: int) -> NDArray[np.float64]:
    return sum(each(k, frames, rate) for each in _BAND.values()).clip(-1, 1)  # type: ignore[union-attr]


SONGS: dict[str, Song] = {
    # The same noise in all lanes: whoever is late is seen at once.
    "noise": Song({n: noise() for n in ("vocals", "drums", "bass", "other")}, 94.3),
    "tones": Song(
        {"vocals": tone(440), "drums": tone(660), "bass": tone(110)}, 92, original=tone(880)
    ),
    "loud": Song({"vocals": tone(440, level=0.5)}, 12, gain=1.6),
    "band": Song(_BAND, 214.7, original=_sum),
    "hour": Song(_BAND, 3600),
    "talk": Song(
        {name: spoken(turns, 150 + 40 * n, n) for n, (name, turns) in enumerate(_TURNS.items())},
        60,
        rate=16_000,
        kind="track",
        turns={name: list(turns) for name, turns in _TURNS.items()},
    ),
    # As a job leaves it that found out who speaks when, and made no tracks.
    "meeting": Song(
        {"original": spoken(sorted(sum(_TURNS.values(), [])), 150, 1)},
        60,
        rate=16_000,
        kind="recording",
        turns={name: list(turns) for name, turns in _TURNS.items()},
        speakers=tuple(_TURNS),
    ),
}
