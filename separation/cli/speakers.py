"""`speakers`: one conversation in, a track for each speaker and the timeline out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from separation.audio import formats
from separation.cli.terminal import echo, shown_progress
from separation.errors import InvalidRequest, MissingFile
from separation.speakers.diarization import SpeakerCount
from separation.speakers.extract import OVERLAPS, PAUSES, extract_speakers
from separation.speakers.formats import read_rttm
from separation.speakers.result import SpeakersResult
from separation.speakers.statistics import SpeakerStatistics
from separation.speakers.timeline import Timeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder for the files")
    _add_finding(parser)
    _add_making(parser)
    parser.add_argument("--device", default="cpu", help="torch device, or `auto`")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_speakers)


def _add_finding(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--num-speakers", type=int, metavar="N", help="how many there are")
    parser.add_argument("--min-speakers", type=int, metavar="N", help="how many at least")
    parser.add_argument("--max-speakers", type=int, metavar="N", help="how many at most")
    parser.add_argument("--model", help="name from the catalogue; the first when left out")
    parser.add_argument(
        "--timeline",
        type=Path,
        metavar="FILE",
        help="turns that are known already: .rttm, or .json as this command writes it",
    )
    parser.add_argument(
        "--merge",
        action="append",
        default=[],
        type=_names,
        metavar="SPEAKER_0,SPEAKER_2",
        help="speakers that are one; may be given several times",
    )
    parser.add_argument(
        "--rename",
        action="append",
        default=[],
        type=_renaming,
        metavar="SPEAKER_0=NAME",
        help="another name, after merging; may be given several times",
    )


def _add_making(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format",
        default="wav",
        choices=formats.NAMES,
        help="`wav` and `flac` take the depth of the source (default: wav)",
    )
    parser.add_argument(
        "--pauses",
        default="keep",
        choices=PAUSES,
        help="keep a track as long as the recording, or close its pauses (default: keep)",
    )
    parser.add_argument(
        "--loudness", type=float, metavar="LUFS", help="loudness of each track, such as -16"
    )
    parser.add_argument("--denoise", action="store_true", help="take noise out first")
    parser.add_argument(
        "--overlap",
        default="separate",
        choices=OVERLAPS,
        help="where several speak at once: less of the other in each of two tracks, the "
        "recording in all of them, or silence (default: separate)",
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _renaming(text: str) -> tuple[str, str]:
    speaker, sign, name = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError("expected SPEAKER=NAME")
    return speaker.strip(), name.strip()


def _speakers(options: argparse.Namespace) -> None:
    timeline = None if options.timeline is None else _read_timeline(options.timeline)
    with shown_progress() as progress:
        result = extract_speakers(
            options.input,
            options.output,
            count=SpeakerCount(options.num_speakers, options.min_speakers, options.max_speakers),
            timeline=timeline,
            merge=options.merge,
            names=dict(options.rename),
            output_format=options.format,
            pauses=options.pauses,
            loudness=options.loudness,
            denoise=options.denoise,
            overlap=options.overlap,
            model=options.model,
            device=options.device,
            on_progress=progress,
        )
    if options.json:
        echo(json.dumps(_as_json(result)))
        return
    for line in _table(result.speakers):
        echo(line)
    for path in (*result.tracks.values(), *result.files.values()):
        echo(str(path))
    clipped = sum(result.clipped_samples.values())
    if clipped:
        echo(f"{clipped} samples were clipped; --format wav32f keeps them", to_stderr=True)


def _read_timeline(path: Path) -> Timeline:
    if not path.is_file():
        raise MissingFile(f"There is no file named '{path}'.")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".rttm":
            return read_rttm(text)
        return Timeline.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:  # the latter from brackets in brackets
        raise InvalidRequest(f"'{path.name}' is not a timeline.") from error


def _as_json(result: SpeakersResult) -> Mapping[str, Any]:
    values = result.to_json()
    timeline = values.pop("timeline")
    return {
        "turns": timeline["turns"],
        **values,
        "rttm": values["files"]["rttm"],
        "seconds": round(result.seconds, 3),
    }


def _table(speakers: Sequence[SpeakerStatistics]) -> list[str]:
    width = max(len("speaker"), *(len(row.speaker) for row in speakers))
    lines = [f"{'speaker':<{width}}  turns   talking  share  at once    level  loudness"]
    for row in speakers:
        level = "-" if row.rms_db is None else f"{row.rms_db:.1f} dB"
        loudness = "-" if row.lufs is None else f"{row.lufs:.1f} LUFS"
        lines.append(
            f"{row.speaker:<{width}}  {row.turns:>5}  {row.talk_s:>6.1f} s  {row.share:>5.0%}  "
            f"{row.overlap_s:>5.1f} s  {level:>7}  {loudness}"
        )
    return lines
