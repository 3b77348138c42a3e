"""All files of one conversation: tracks, clips and timelines, all or nothing."""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from separation.audio.formats import OutputFormat, suffixes
from separation.audio.info import AudioInfo
from separation.audio.several import SeveralWriters
from separation.audio.tags import Tags
from separation.encoders import Writer
from separation.output_folder import OutputFolder

CLIP_SUFFIX = "_sample"
TIMELINE = "timeline"

# Of 255 that a file's name may have, some are for suffixes and for the name while it is written.
_MAX_NAME_BYTES = 120
# Devices by these names open on Windows whatever folder and extension they have.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


def file_stems(speakers: Iterable[str]) -> dict[str, str]:
    """Return for each speaker a file's name without extension: `SPEAKER_0` is `speaker_0`.

    Letters and digits of any script stay; no two are the same, nor the name of another's clip.
    """
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for speaker in speakers:
        base = _safe(speaker)
        stem, n = base, 2
        while {stem, stem + CLIP_SUFFIX} & taken:
            stem, n = f"{base}_{n}", n + 1
        taken |= {stem, stem + CLIP_SUFFIX}
        stems[speaker] = stem
    return stems


def _safe(name: str) -> str:
    # One spelling of each letter: macOS would take two for the same file.
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
    words = re.sub(r"\W+", "_", plain).strip("_")
    cut = words.encode()[:_MAX_NAME_BYTES].decode(errors="ignore") or "speaker"
    return f"{cut}_" if cut in _DEVICES else cut


class TrackFiles:
    """Opens files, and gives them their final names together.

    Leaving the context without `commit` removes everything.

    Parameters
    ----------
    folder : path
        Made if missing; taken away again on failure if it was.
    forms : mapping of str to OutputFormat
        In each of which there is every track and clip; by the names that were asked for.
    info : AudioInfo
        What probing the recording said.
    tags : Tags
        Of the recording.
    """

    def __init__(
        self, folder: Path, forms: Mapping[str, OutputFormat], info: AudioInfo, tags: Tags
    ) -> None:
        self._output = OutputFolder(folder)
        self._forms = forms
        self._suffixes = suffixes(forms)
        self._info = info
        self._tags = tags
        self._writers: dict[str, SeveralWriters] = {}
        self._texts: list[_TextFile] = []
        self._is_committed = False

    def __enter__(self) -> Self:
        try:
            self._output.make()
        except BaseException:
            self._output.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_committed:
            return
        for file in self._files():
            file.discard()
        self._output.remove()

    @property
    def clipped_samples(self) -> Mapping[str, int]:
        """How many samples of each file were beyond the format's full scale, by its stem."""
        return {stem: writer.n_clipped for stem, writer in self._writers.items()}

    def path(self, stem: str, form: str) -> Path:
        """Return the final name of a track or clip in one of the formats."""
        return self._output.path / (stem + self._suffixes[form])

    def open(self, stem: str, speaker: str) -> Writer:
        """Open a track or clip."""
        tags = self._tags.of_stem(speaker)
        writer = SeveralWriters(self._output.path, stem, self._forms, self._info, tags)
        self._writers[stem] = writer
        return writer

    def add_text(self, name: str, text: str) -> Path:
        """Write a text; return its final name."""
        file = _TextFile(self._output.path / name)
        self._texts.append(file)
        file.write(text)
        return file.path

    def commit(self) -> None:
        """Give every file its final name."""
        for file in self._files():
            file.commit()
        self._is_committed = True

    def _files(self) -> list[SeveralWriters | _TextFile]:
        return [*self._writers.values(), *self._texts]


class _TextFile:
    """A text on its way into a file, as `StemWriter` is for sound."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        self._is_committed = False

    def write(self, text: str) -> None:
        self._draft.write_text(text, encoding="utf-8", newline="")

    def commit(self) -> None:
        self._draft.replace(self.path)
        self._is_committed = True

    def discard(self) -> None:
        self._draft.unlink(missing_ok=True)
        if self._is_committed:
            self.path.unlink(missing_ok=True)
