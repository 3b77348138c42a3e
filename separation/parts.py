"""A long separation in parts: what one attempt finished, the next need not do again."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from separation.audio import formats
from separation.audio.decode import AudioReader
from separation.audio.encode import StemWriter
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo
from separation.audio.overlap import Grid
from separation.audio.tags import Tags
from separation.encoders import MakeWriter, Writer
from separation.engines import FloatArray
from separation.errors import MediaError
from separation.plans import Plan
from separation.progress import OnProgress
from separation.stem_files import StemFiles, WriterKey


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of all stems, complete in a folder.

    `files` are names in that folder, one a stem and the marker that says it is complete last: in
    that order they can be copied elsewhere.
    """

    number: int
    n_samples: int
    files: tuple[str, ...]
    clipped_samples: Mapping[str, int]


class PartFolder:
    """The finished parts of one separation, from its beginning on.

    Parts of another request, damaged ones and those behind a gap are not seen.

    Parameters
    ----------
    folder : path
        Made if missing. The caller removes it when the separation is done with.
    plan : Plan
    forms : mapping of str to OutputFormat
        Of the stems; there is a part for each depth, which is lossless.
    info : AudioInfo
    grid : Grid
        Where the segments lie.
    part_seconds : float
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        forms: Mapping[str, OutputFormat],
        info: AudioInfo,
        grid: Grid,
        part_seconds: float,
    ) -> None:
        self.folder = folder
        # The format of the parts that each of the stems' formats is made of, and these by name.
        self.source_of = {name: _lossless(form, forms, info) for name, form in forms.items()}
        self.forms = {form.name: form for form in self.source_of.values()}
        self._suffixes = formats.suffixes(self.forms)
        self._stems = plan.stems
        self._n_samples = info.n_samples
        self._part_samples = max(1, round(part_seconds * info.sample_rate))
        self._request = {
            "models": [model.name for model in plan.models],
            "stems": list(plan.stems),
            "grid": asdict(grid),
            "residual": plan.residual,
            "form": "+".join(self.forms),
            "part_samples": self._part_samples,
            "recording": asdict(info),
        }
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(".*.part"):
            draft.unlink()
        self.parts = list(takewhile(self._is_ours, parts_in(folder)))

    @property
    def n_done(self) -> int:
        """Samples that are in parts, counted from the recording's start."""
        return sum(part.n_samples for part in self.parts)

    @property
    def end_of_next(self) -> int:
        """Where the next part ends."""
        return min(self.n_done + self._part_samples, self._n_samples)

    def path(self, stem: str, form: str, number: int) -> Path:
        return self.folder / f"{number:05d}.{stem}{self._suffixes[form]}"

    def add(self, clipped_samples: Mapping[str, int]) -> None:
        """Declare the next part complete; its files have their names already."""
        number = len(self.parts)
        files = [self.path(stem, form, number) for stem in self._stems for form in self.forms]
        marker = {
            "number": number,
            "n_samples": self.end_of_next - self.n_done,
            "sizes": {path.name: path.stat().st_size for path in files},
            "clipped_samples": dict(clipped_samples),
            "request": self._request,
        }
        path = _marker(self.folder, number)
        draft = path.with_name(f".{path.name}.part")
        draft.write_text(json.dumps(marker))
        draft.replace(path)
        self.parts.append(_part(marker))

    def _is_ours(self, part: Part) -> bool:
        marker = _read_marker(self.folder, part.number)
        first = part.number * self._part_samples
        n_samples = min(self._part_samples, self._n_samples - first)
        return (
            marker is not None
            and marker["request"] == self._request
            and part.n_samples == n_samples
        )


class PartedFiles(StemFiles):
    """Writes stems part by part, and joins the parts at the end.

    Parameters
    ----------
    folder, plan, forms, info, tags, make_writer
        See `StemFiles`.
    parts : PartFolder
        Samples that are in it already are dropped when they come.
    on_progress : callable
        Called with step `part` after each part, and with step `join` at the end.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        forms: Mapping[str, OutputFormat],
        info: AudioInfo,
        parts: PartFolder,
        on_progress: OnProgress,
        tags: Tags | None = None,
        make_writer: MakeWriter = StemWriter,
    ) -> None:
        super().__init__(folder, plan, forms, info, tags, make_writer)
        self._parts = parts
        self._on_progress = on_progress

    @property
    def n_done(self) -> int:
        return self._parts.n_done

    @property
    def clipped_samples(self) -> Mapping[str, int]:
        parts = self._parts.parts
        return {name: sum(p.clipped_samples[name] for p in parts) for name in self._plan.stems}

    def write(self, stems: FloatArray) -> int:
        start = 0
        while start < stems.shape[-1]:
            before = self._n_written
            if before < self.n_done:
                self._skip(min(stems.shape[-1] - start, self.n_done - before))
            else:
                room = self._parts.end_of_next - before
                super().write(stems[..., start : start + room])
            if self._n_written == before:
                break
            start += self._n_written - before
            if self._n_written == self._parts.end_of_next:
                self._finish_part()
        return self._n_written

    def commit(self) -> None:
        self._open_final()
        for index, (key, writer) in enumerate(self._writers.items()):
            for part in self._parts.parts:
                self._join(key, part, writer, before=index * self._info.n_samples)
        super().commit()

    def _open_forms(self) -> Mapping[str, OutputFormat]:
        return self._parts.forms

    def _open(self) -> None:
        self._output.make()
        self._open_part()

    def _open_part(self) -> None:
        if not self.is_complete:
            number = len(self._parts.parts)
            for name in self._plan.stems:
                for key, form in self._parts.forms.items():
                    path = self._parts.path(name, key, number)
                    self._writers[name, key] = self._writer(path, form)

    def _skip(self, n: int) -> None:
        n = min(n, len(self._mixture))
        self._mixture.drop(n)
        self._n_written += n

    def _finish_part(self) -> None:
        for writer in self._writers.values():
            writer.commit()
        self._parts.add(super().clipped_samples)
        self._writers = {}
        self._on_progress(step="part", completed=self.n_done, total=self._info.n_samples)
        self._open_part()

    def _join(self, key: WriterKey, part: Part, writer: Writer, *, before: int) -> None:
        n_read = 0
        name, form = key
        path = self._parts.path(name, self._parts.source_of[form].name, part.number)
        try:
            with AudioReader(path) as reader:
                for block in reader.blocks():
                    writer.write(block)
                    n_read += block.shape[1]
        except MediaError as error:
            raise _unreadable() from error
        if n_read != part.n_samples:
            raise _unreadable()
        done = before + sum(p.n_samples for p in self._parts.parts[: part.number + 1])
        total = self._info.n_samples * len(self._writers)
        self._on_progress(step="join", completed=done, total=total)


def parts_in(folder: Path) -> list[Part]:
    """Return the parts in a folder that are complete, up to the first that is not."""
    parts: list[Part] = []
    while (marker := _read_marker(folder, len(parts))) is not None:
        for name, size_bytes in marker["sizes"].items():
            path = folder / name
            if not path.is_file() or path.stat().st_size != size_bytes:
                return parts
        parts.append(_part(marker))
    return parts


def _lossless(
    form: OutputFormat, forms: Mapping[str, OutputFormat], info: AudioInfo
) -> OutputFormat:
    """Return the format of the parts that a format is made of: the first one of its depth."""
    if form.bits is None:
        return formats.resolve("wav32f", info)
    return next(each for each in forms.values() if each.bits == form.bits)


def _part(marker: Mapping[str, Any]) -> Part:
    return Part(
        number=marker["number"],
        n_samples=marker["n_samples"],
        files=(*marker["sizes"], _marker(Path(), marker["number"]).name),
        clipped_samples=marker["clipped_samples"],
    )


def _marker(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.json"


def _read_marker(folder: Path, number: int) -> dict[str, Any] | None:
    try:
        marker: dict[str, Any] = json.loads(_marker(folder, number).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return marker


def _unreadable() -> OSError:
    # Not the recording's fault, as an error of media would say.
    return OSError(errno.EIO, "A finished part cannot be read back.")
