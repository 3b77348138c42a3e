"""Make what the player on the start page plays: the demo song, taken apart by the real engine.

    .venv/bin/python -m scripts.make_demo_player

writes static/demo/: a file for each lane, the peaks that its waveform is drawn from, and
lanes.json, which web/public/landing.py fills in and answers with. Unlike the files of a job, which
are FLAC in segments, these are MP3 of one segment each: the whole page must load quickly, and files
of one segment have no joins. The song's own file is what the quickstart has people send.
"""

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from separation.quality import sdr_db

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "static" / "demo"
SONG = ROOT / "demo" / "clip.flac"
RATE = 44_100
LEVELS = (100, 10, 1)
STEMS = ("vocals", "drums", "bass", "other")
# Bits a second. What has little above some kHz needs few.
BIT_RATES = {"vocals": 96_000, "drums": 128_000, "bass": 64_000, "other": 96_000, "song": 128_000}

Samples = npt.NDArray[np.float32]


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "separation", "separate", str(SONG), "-o", folder]
        command += ["--format", "wav", "--preset", "best", "--json"]
        done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
        stems = {name: _read(Path(folder) / f"{name}.wav") for name in STEMS}
    true = {name: _read(SONG.parent / "stems" / f"{name}.flac") for name in STEMS}
    song = _read(SONG)
    manifest = {
        "sample_rate": RATE,
        "n_samples": song.shape[1],
        "segment_samples": song.shape[1],
        "model": json.loads(done.stdout.splitlines()[-1])["model"],
        "sdr_db": {name: round(sdr_db(true[name], stems[name]), 1) for name in STEMS},
        "lanes": [_lane(name, samples) for name, samples in stems.items()],
        "original": _lane("song", song),
    }
    (OUT / "lanes.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{OUT.relative_to(ROOT)}: {size / 1000:.0f} kB")


def _read(path: Path) -> Samples:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        frames = [
            made.to_ndarray()
            for frame in [*container.decode(audio=0), None]
            for made in resampler.resample(frame)
        ]
    return np.concatenate(frames, axis=1)  # (2, samples)


def _lane(name: str, samples: Samples) -> dict[str, object]:
    sound = _encoded(samples, BIT_RATES[name])
    (OUT / f"{name}.mp3").write_bytes(sound)
    levels = []
    pairs = b""
    for per_second in LEVELS:
        made = _peaks(samples.mean(axis=0), RATE // per_second)
        levels.append({"per_second": per_second, "offset": len(pairs), "count": len(made)})
        pairs += made.tobytes()
    (OUT / f"{name}.peaks").write_bytes(pairs)
    return {
        "id": name,
        "name": name,
        "audio": {"url": f"demo/{name}.mp3", "offsets": [0, len(sound)]},
        "peaks": {"url": f"demo/{name}.peaks", "levels": levels},
    }


def _encoded(samples: Samples, bit_rate: int) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", options={"id3v2_version": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE)
        stream.layout = "stereo"
        stream.format = "fltp"
        stream.codec_context.bit_rate = bit_rate
        stream.codec_context.options = {"compression_level": "0"}
        size = 1152
        for start in range(0, samples.shape[1], size):
            part = np.ascontiguousarray(samples[:, start : start + size])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _peaks(mono: Samples, size: int) -> npt.NDArray[np.int8]:
    """The lowest and the highest of each `size` samples."""
    n_blocks = -(-len(mono) // size)
    blocks = np.pad(mono, (0, n_blocks * size - len(mono)), mode="edge").reshape(n_blocks, size)
    both = np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=1)
    pairs: npt.NDArray[np.int8] = np.clip(np.rint(both * 127), -127, 127).astype(np.int8)
    return pairs  # (blocks, 2)


if __name__ == "__main__":
    main()
