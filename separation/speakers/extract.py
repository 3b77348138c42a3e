"""One conversation in, a track for each speaker and the timeline out, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from separation.audio import formats as audio_formats
from separation.audio.formats import OutputFormat
from separation.audio.info import AudioInfo, AudioLimits
from separation.audio.tags import read_tags
from separation.errors import InvalidRequest
from separation.progress import OnProgress, ignore_progress
from separation.resources import check_output, named_resource_errors, probed
from separation.speakers import diarization, formats
from separation.speakers.clips import clip_spans
from separation.speakers.cutting import Cutting, piece_of, pieces_by_speaker
from separation.speakers.diarization import MAX_SPEAKERS, SpeakerCount
from separation.speakers.edits import fitted, renamed
from separation.speakers.metering import LevelMeter
from separation.speakers.result import SpeakersResult
from separation.speakers.sources import DenoisedSource, Denoising, RecordedSource, Source
from separation.speakers.statistics import Levels, overlaps, statistics
from separation.speakers.timeline import Timeline
from separation.speakers.track_files import CLIP_SUFFIX, TIMELINE, TrackFiles, file_stems
from separation.speakers.tracks import OverlapSource, Pass, Sink, TrackWriter, WholeMixture

PAUSES = ("keep", "close")
OVERLAPS = ("both", "mute")
MIN_LUFS, MAX_LUFS = -40.0, -5.0

# Between two turns of a track whose pauses are closed.
_GAP_S = 0.3
# Of the true peak, after a gain: what lossy encoders make of it stays below full scale.
_CEILING_DB = -1.0


@dataclass(frozen=True, slots=True)
class _Options:
    """How tracks are made; for each see `extract_speakers`."""

    output_format: str
    pauses: str
    loudness: float | None
    overlap: str
    clips: bool

    def check(self) -> None:
        audio_formats.check_name(self.output_format)
        if self.pauses not in PAUSES:
            raise InvalidRequest(f"Pauses are one of {', '.join(PAUSES)}, not '{self.pauses}'.")
        if self.overlap not in OVERLAPS:
            raise InvalidRequest(
                f"Overlaps are one of {', '.join(OVERLAPS)}, not '{self.overlap}'."
            )
        if self.loudness is not None and not MIN_LUFS <= self.loudness <= MAX_LUFS:
            raise InvalidRequest(f"The loudness must be {MIN_LUFS:g} to {MAX_LUFS:g} LUFS.")


def extract_speakers(
    input: str | Path,
    output_dir: str | Path,
    *,
    count: SpeakerCount | None = None,
    timeline: Timeline | None = None,
    merge: Sequence[Sequence[str]] = (),
    names: Mapping[str, str] | None = None,
    output_format: str = "wav",
    pauses: str = "keep",
    loudness: float | None = None,
    denoise: bool = False,
    overlap: str = "both",
    clips: bool = True,
    model: str | None = None,
    device: str = "cpu",
    limits: AudioLimits | None = None,
    info: AudioInfo | None = None,
    on_progress: OnProgress = ignore_progress,
) -> SpeakersResult:
    """Find out who speaks when, and make a track for each speaker.

    A track has the recording's sample rate and channels and, unless pauses are closed, its exact
    length; where the speaker speaks it is the recording, sample by sample, faded at both ends.

    Parameters
    ----------
    input : path
        Local audio or video file.
    output_dir : path
        Folder for the files, made if missing: `speaker_0.wav`, `speaker_0_sample.wav`, …, and
        `timeline.rttm`, `.json`, `.csv`, `.vtt`, `.txt`; each is written atomically.
    count : SpeakerCount, optional
        How many speakers there are, as far as the caller knows.
    timeline : Timeline, optional
        Turns that are known already; nothing is searched for then.
    merge : sequence of sequences of str
        Speakers, as they were found, that are one; the first name of each group stays.
    names : mapping of str to str, optional
        Other names for speakers, after merging.
    output_format : str
        See `separate`.
    pauses : str
        `keep`, or `close`: a track is the speaker's turns, one after another.
    loudness : float, optional
        What each track's integrated loudness is brought to, in LUFS, such as -16 for podcasts or
        -23 for broadcasting; less where its true peak would pass -1 dBFS.
    denoise : bool
        Whether noise is taken out first.
    overlap : str
        Where several speak at once, `both` have what was recorded, or `mute`: nobody.
    clips : bool
        Whether there is a clip of each speaker.
    model : str, optional
        Name from the catalogue; the first that there is when left out.
    device : str
        Torch device; `auto` is the best that there is.
    limits : AudioLimits, optional
        What to accept.
    info : AudioInfo, optional
        What `probe` returned for this very file, to spare a second probe.
    on_progress : callable
        Called with keywords `step`, `completed` and `total`: those of `diarize`, then `denoise`
        and `tracks`, both in samples.

    Raises
    ------
    NoSpeech
        If nobody speaks.
    SeparationError
        Any other of `separation.errors`; nothing that was written is left behind.
    """
    started = time.monotonic()
    path, folder = Path(input), Path(output_dir)
    options = _Options(output_format, pauses, loudness, overlap, clips)
    options.check()
    count = count or SpeakerCount()
    check_count(count)
    with named_resource_errors():
        _check_output(path, folder, timeline)
        known = info or probed(path, limits, on_progress)
        form = audio_formats.resolve(output_format, known)
        # Before the long part of the work: without its weights there is nothing to wait for.
        denoiser = _denoiser(known, device) if denoise else None
        found = timeline
        if found is None:
            found = diarization.diarize(
                path,
                count=count,
                model=model,
                device=device,
                limits=limits,
                info=known,
                on_progress=on_progress,
            )
        edited = _edited(found, known, merge, names or {})
        check_output(path, folder, file_names(edited.speakers), kind="track")
        making = _Making(path, known, form, edited, options, denoiser, on_progress)
        result = making.run(folder)
    name = None if timeline is not None else _model_name(model)
    return replace(result, model=name, seconds=time.monotonic() - started)


def check_count(count: SpeakerCount) -> None:
    """Raise InvalidRequest unless there can be that many speakers."""
    for number in (count.exact, count.minimum, count.maximum):
        if number is not None and not 1 <= number <= MAX_SPEAKERS:
            raise InvalidRequest(f"There may be 1 to {MAX_SPEAKERS} speakers.")
    lowest, highest = count.minimum or 1, count.maximum or MAX_SPEAKERS
    if lowest > highest:
        raise InvalidRequest("The least number of speakers is greater than the greatest.")
    if count.exact is not None and not lowest <= count.exact <= highest:
        raise InvalidRequest("The number of speakers is outside of its own limits.")


def file_names(speakers: Sequence[str]) -> list[str]:
    """Return the names of all tracks and clips, without extension."""
    return [stem + end for stem in file_stems(speakers).values() for end in ("", CLIP_SUFFIX)]


def _check_output(path: Path, folder: Path, timeline: Timeline | None) -> None:
    """Refuse before the long part of the work what `check_output` would after it."""
    expected = [f"SPEAKER_{number}" for number in range(MAX_SPEAKERS)]
    speakers = expected if timeline is None else timeline.speakers
    check_output(path, folder, file_names(speakers), kind="track")


def _edited(
    timeline: Timeline, info: AudioInfo, merge: Sequence[Sequence[str]], names: Mapping[str, str]
) -> Timeline:
    edited = fitted(timeline, info.duration_s)
    if merge:
        edited = edited.merged(merge)
    edited = renamed(edited, names)
    if len(edited.speakers) > MAX_SPEAKERS:
        raise InvalidRequest(f"There may be 1 to {MAX_SPEAKERS} speakers.")
    return edited


def _denoiser(info: AudioInfo, device: str) -> Denoising:
    # Only here: it brings a model with it.
    from separation.enhance.denoise import Denoiser

    return Denoiser(info.sample_rate, info.channels, device=device)


def _model_name(model: str | None) -> str | None:
    return model


class _Making:
    """The files of one conversation whose turns are known."""

    def __init__(
        self,
        path: Path,
        info: AudioInfo,
        form: OutputFormat,
        timeline: Timeline,
        options: _Options,
        denoiser: Denoising | None,
        on_progress: OnProgress,
    ) -> None:
        self._path = path
        self._info = info
        self._form = form
        self._timeline = timeline
        self._options = options
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
        tags = read_tags(self._path, self._info.container)
        with TrackFiles(folder, self._form, self._info, tags) as files:
            with self._source(folder) as source:
                levels = self._write(source, files)
            rows = statistics(self._timeline, levels)
            texts = {}
            for name, form in formats.FORMATS.items():
                text = formats.render(name, self._timeline, uri=self._path.stem, statistics=rows)
                texts[name] = files.add_text(f"{TIMELINE}.{form.extension}", text)
            files.commit()
        clipped = files.clipped_samples
        return SpeakersResult(
            timeline=self._timeline,
            speakers=rows,
            overlaps=overlaps(self._timeline),
            tracks={cutting.speaker: files.path(stem) for stem, cutting in self._tracks.items()},
            clips={cutting.speaker: files.path(stem) for stem, cutting in self._clips.items()},
            files=texts,
            sample_rate=self._info.sample_rate,
            n_samples=self._info.n_samples,
            channels=self._info.channels,
            model=None,
            seconds=0.0,
            clipped_samples={cut.speaker: clipped[stem] for stem, cut in self._tracks.items()},
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
        both = Pass(source, self._overlap_source(), {**self._tracks, **self._clips})
        meters = {stem: self._meter() for stem in self._tracks}
        if target is None:
            writers = self._writers(files, {})
            sinks: dict[str, list[Sink]] = {stem: [writer] for stem, writer in writers.items()}
            for stem, meter in meters.items():
                sinks[stem].append(meter)
            both.run(sinks, self._on_progress, completed=0, total=n_samples)
            levels = self._levels(meters)
        else:
            measuring = {stem: [meter] for stem, meter in meters.items()}
            both.run(measuring, self._on_progress, completed=0, total=2 * n_samples)
            levels = self._levels(meters, target)
            writers = self._writers(files, levels)
            writing = {stem: [writer] for stem, writer in writers.items()}
            both.run(writing, self._on_progress, completed=n_samples, total=2 * n_samples)
        for writer in writers.values():
            if not writer.n_written:
                # Not even a pause: most readers refuse a file without a sample.
                writer.add([self._samples(_GAP_S)])
        return levels

    def _overlap_source(self) -> OverlapSource:
        return WholeMixture()

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
        for stem, cutting in {**self._tracks, **self._clips}.items():
            gain_db = levels[cutting.speaker].gain_db if levels else 0.0
            writer = files.open(stem, cutting.speaker)
            writers[stem] = TrackWriter(writer, self._form, self._info.channels, gain_db)
        return writers

    def _track_cuttings(self) -> dict[str, Cutting]:
        gap = self._samples(_GAP_S) if self._options.pauses == "close" else None
        pieces = pieces_by_speaker(
            self._timeline,
            self._info.sample_rate,
            self._info.n_samples,
            mutes_overlaps=self._options.overlap == "mute",
        )
        return {name: Cutting(name, pieces[name], gap) for name in self._timeline.speakers}

    def _clip_cuttings(self) -> dict[str, Cutting]:
        spans = clip_spans(self._timeline) if self._options.clips else {}
        rate, n_samples = self._info.sample_rate, self._info.n_samples
        cuttings = {}
        for name, (start, end) in spans.items():
            span = self._samples(start / 1000), self._samples(end / 1000)
            cuttings[name] = Cutting(name, (piece_of(span, rate, n_samples),), gap=0)
        return cuttings

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._info.sample_rate)
