"""Makes all files of one conversation whose turns are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from separation.audio import formats as audio_formats
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo
from separation.audio.tags import Tags
from separation.errors import InvalidRequest
from separation.progress import OnProgress
from separation.speakers import formats
from separation.speakers.clips import clip_spans
from separation.speakers.cutting import Cutting, piece_of, pieces_by_speaker
from separation.speakers.metering import LevelMeter
from separation.speakers.overlap import SeparatedVoices
from separation.speakers.result import SpeakersResult
from separation.speakers.sources import DenoisedSource, Denoising, RecordedSource, Source
from separation.speakers.statistics import Levels, overlaps, statistics
from separation.speakers.timeline import Timeline
from separation.speakers.track_files import CLIP_SUFFIX, TIMELINE, TrackFiles, file_stems
from separation.speakers.tracks import OverlapSource, Pass, Sink, TrackWriter, WholeMixture
from separation.speakers.voiceprints import learn

PAUSES = ("keep", "close")
OVERLAPS = ("both", "separate", "mute")
MIN_LUFS, MAX_LUFS = -40.0, -5.0

# Between two turns of a track whose pauses are closed.
_GAP_S = 0.3
# Of the true peak, after a gain: what lossy encoders make of it stays below full scale.
_CEILING_DB = -1.0


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """How tracks are made; for each see `extract_speakers`."""

    output_formats: tuple[str, ...]
    pauses: str
    loudness: float | None
    overlap: str
    tracks: bool
    clips: bool

    def check(self) -> None:
        """Raise UnsupportedFormat or InvalidRequest unless there is all of that."""
        audio_formats.check_names(self.output_formats)
        if self.pauses not in PAUSES:
            raise InvalidRequest(f"Pauses are one of {', '.join(PAUSES)}, not '{self.pauses}'.")
        if self.overlap not in OVERLAPS:
            raise InvalidRequest(
                f"Overlaps are one of {', '.join(OVERLAPS)}, not '{self.overlap}'."
            )
        if self.loudness is not None and not MIN_LUFS <= self.loudness <= MAX_LUFS:
            raise InvalidRequest(f"The loudness must be {MIN_LUFS:g} to {MAX_LUFS:g} LUFS.")


class Making:
    """The files of one conversation whose turns are known.

    Parameters
    ----------
    path : path
        The recording.
    info : AudioInfo
        What probing it said.
    forms : mapping of str to OutputFormat
        Of tracks and clips, by the names that were asked for; the first one is the usual one.
    timeline : Timeline
        Within the recording.
    options : TrackOptions
    tags : Tags
        Of the recording.
    denoiser : Denoising, optional
        Its own; takes noise out first.
    on_progress : callable
        The steps are `denoise` and `tracks`.
    """

    def __init__(
        self,
        path: Path,
        info: AudioInfo,
        forms: Mapping[str, OutputFormat],
        timeline: Timeline,
        options: TrackOptions,
        tags: Tags,
        denoiser: Denoising | None,
        on_progress: OnProgress,
    ) -> None:
        self._path = path
        self._info = info
        self._forms = forms
        self._timeline = timeline
        self._options = options
        self._tags = tags
        self._denoiser = denoiser
        self._on_progress = on_progress
        stems = file_stems(timeline.speakers)
        # By file name, so that a speaker's track and clip are cut out at the same time.
        self._tracks = {stems[name]: cutting for name, cutting in self._track_cuttings().items()}
        self._clips = {
            stems[name] + CLIP_SUFFIX: cutting for name, cutting in self._clip_cuttings().items()
        }

    def run(self, folder: Path) -> SpeakersResult:
        """Make all files; `model` and `seconds` of the result are for the caller to fill in."""
        levels: dict[str, Levels] = {}
        with TrackFiles(folder, self._forms, self._info, self._tags) as files:
            if self._options.tracks:
                with self._source(folder) as source:
                    levels = self._write(source, files)
            rows = statistics(self._timeline, levels)
            texts = {}
            for name, form in formats.FORMATS.items():
                text = formats.render(name, self._timeline, uri=self._path.stem, statistics=rows)
                texts[name] = files.add_text(f"{TIMELINE}.{form.extension}", text)
            files.commit()
        clipped = files.clipped_samples
        first, *more = self._forms
        return SpeakersResult(
            timeline=self._timeline,
            speakers=rows,
            overlaps=overlaps(self._timeline),
            tracks=_paths(files, self._tracks, first),
            clips=_paths(files, self._clips, first),
            files=texts,
            sample_rate=self._info.sample_rate,
            n_samples=self._info.n_samples,
            channels=self._info.channels,
            model=None,
            seconds=0.0,
            clipped_samples={cut.speaker: clipped[stem] for stem, cut in self._tracks.items()},
            more_tracks={form: _paths(files, self._tracks, form) for form in more},
            more_clips={form: _paths(files, self._clips, form) for form in more},
        )

    @contextmanager
    def _source(self, folder: Path) -> Iterator[Source]:
        recorded = RecordedSource(self._path, self._info)
        if self._denoiser is None:
            yield recorded
            return
        denoised = DenoisedSource(recorded, self._info, folder, self._denoiser, self._on_progress)
        try:
            yield denoised
        finally:
            denoised.close()

    def _write(self, source: Source, files: TrackFiles) -> dict[str, Levels]:
        """Write tracks and clips; return the tracks' levels by speaker.

        A gain is known only when all of a track is measured: that takes a pass of its own.
        """
        target, n_samples = self._options.loudness, self._info.n_samples
        n_passes = 1 + (target is not None) + self._separates
        total, done = n_passes * n_samples, n_samples if self._separates else 0
        voices = self._overlap_source(source, total)
        both = Pass(source, voices, {**self._tracks, **self._clips})
        meters = {stem: self._meter() for stem in self._tracks}
        if target is None:
            writers = self._writers(files, {})
            sinks: dict[str, list[Sink]] = {stem: [writer] for stem, writer in writers.items()}
            for stem, meter in meters.items():
                sinks[stem].append(meter)
            both.run(sinks, self._on_progress, completed=done, total=total)
            levels = self._levels(meters)
        else:
            measuring = {stem: [meter] for stem, meter in meters.items()}
            both.run(measuring, self._on_progress, completed=done, total=total)
            levels = self._levels(meters, target)
            writers = self._writers(files, levels)
            writing = {stem: [writer] for stem, writer in writers.items()}
            both.run(writing, self._on_progress, completed=done + n_samples, total=total)
        for writer in writers.values():
            if not writer.n_written:
                # Not even a pause: most readers refuse a file without a sample.
                writer.add([self._samples(_GAP_S)])
        return levels

    @property
    def _separates(self) -> bool:
        return self._options.overlap == "separate" and bool(overlaps(self._timeline))

    def _overlap_source(self, source: Source, total: int) -> OverlapSource:
        """Return what is heard in overlaps; to tell voices apart takes a pass to learn them."""
        if not self._separates:
            return WholeMixture()

        def report(completed: int) -> None:
            self._on_progress(step="tracks", completed=completed, total=total)

        rate, n_samples = self._info.sample_rate, self._info.n_samples
        report(0)
        prints = learn(source.blocks(), self._timeline, rate, on_samples=report)
        return SeparatedVoices(self._timeline, prints, rate, n_samples)

    def _meter(self) -> LevelMeter:
        return LevelMeter(self._info.sample_rate, self._info.channels, self._info.layout)

    def _levels(
        self, meters: Mapping[str, LevelMeter], target: float | None = None
    ) -> dict[str, Levels]:
        return {
            self._tracks[stem].speaker: meter.levels(target, _CEILING_DB)
            for stem, meter in meters.items()
        }

    def _writers(self, files: TrackFiles, levels: Mapping[str, Levels]) -> dict[str, TrackWriter]:
        writers = {}
        is_float = all(form.bits is None for form in self._forms.values())
        for stem, cutting in {**self._tracks, **self._clips}.items():
            gain_db = levels[cutting.speaker].gain_db if levels else 0.0
            writer = files.open(stem, cutting.speaker)
            writers[stem] = TrackWriter(writer, self._info.channels, gain_db, is_float=is_float)
        return writers

    def _track_cuttings(self) -> dict[str, Cutting]:
        if not self._options.tracks:
            return {}
        gap = self._samples(_GAP_S) if self._options.pauses == "close" else None
        pieces = pieces_by_speaker(
            self._timeline,
            self._info.sample_rate,
            self._info.n_samples,
            mutes_overlaps=self._options.overlap == "mute",
        )
        return {name: Cutting(name, pieces[name], gap) for name in self._timeline.speakers}

    def _clip_cuttings(self) -> dict[str, Cutting]:
        is_wanted = self._options.tracks and self._options.clips
        spans = clip_spans(self._timeline) if is_wanted else {}
        rate, n_samples = self._info.sample_rate, self._info.n_samples
        cuttings = {}
        for name, (start, end) in spans.items():
            span = self._samples(start / 1000), self._samples(end / 1000)
            cuttings[name] = Cutting(name, (piece_of(span, rate, n_samples),), gap=0)
        return cuttings

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._info.sample_rate)


def _paths(files: TrackFiles, cuttings: Mapping[str, Cutting], form: str) -> dict[str, Path]:
    return {cutting.speaker: files.path(stem, form) for stem, cutting in cuttings.items()}
