"""Peak memory of the command line at two lengths: `python -m benchmarks.memory [MODEL] [MINUTES]`.

The shipped song is looped to MINUTES and to twice that; the ratio of the peaks should be 1.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile

ROOT = Path(__file__).resolve().parent.parent


def peak_mb(model: str, minutes: float) -> float:
    """Separate in a child of a child, so that its peak is not mixed with an earlier one's."""
    with TemporaryDirectory(prefix="stemwright-") as folder:
        recording = Path(folder) / "in.flac"
        _write_looped(recording, minutes)
        arguments = ["separate", str(recording), "-o", folder, "--model", model]
        code = (
            "import resource, subprocess, sys\n"
            f"subprocess.run([sys.executable, '-m', 'separation', *{arguments!r}], check=True)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        outcome = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return int(outcome.stdout.split()[-1]) / unit


def _write_looped(path: Path, minutes: float) -> None:
    samples, rate = soundfile.read(ROOT / "demo" / "clip.flac", dtype="int16")
    missing = round(minutes * 60 * rate)
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], "PCM_16", format="FLAC") as file:
        while missing:
            part = samples[:missing]
            file.write(part)
            missing -= len(part)


if __name__ == "__main__":
    model = sys.argv[1] if len(sys.argv) > 1 else "htdemucs"
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    short, long = peak_mb(model, minutes), peak_mb(model, 2 * minutes)
    sys.stdout.write(f"{minutes:g} min {short:.0f} MB, {2 * minutes:g} min {long:.0f} MB")
    sys.stdout.write(f", ratio {long / short:.3f}\n")
