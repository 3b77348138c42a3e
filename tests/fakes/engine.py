"""In the place of `jobs.engine.engine_separate`: no process of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import separation


def separate_here(
    *,
    recording: Path,
    folder: Path,
    watch: Callable[[], None],
    on_progress: separation.OnProgress,
    **options: Any,
) -> separation.SeparationResult:
    def look_and_report(*, step: str, completed: int, total: int | None) -> None:
        watch()
        on_progress(step=step, completed=completed, total=total)

    return separation.separate(recording, folder, on_progress=look_and_report, **options)
