"""`analyse`: tempo and key of a recording; `transcribe`: its notes as a MIDI file."""

from __future__ import annotations

import argparse
import json

from separation.cli.terminal import echo, shown_progress
from separation.music.analysis import analyse
from separation.music.transcription import transcribe


def add_analyse_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_analyse)


def add_transcribe_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="audio or video file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.mid", help="the MIDI file")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.set_defaults(command=_transcribe)


def _analyse(options: argparse.Namespace) -> None:
    with shown_progress() as progress:
        result = analyse(options.input, on_progress=progress)
    if options.json:
        echo(json.dumps({**result.to_json(), "seconds": round(result.seconds, 3)}))
        return
    tempo, key = result.tempo, result.key
    if tempo.bpm is None:
        echo("tempo: none")
    else:
        echo(
            f"tempo: {tempo.bpm:.1f} BPM ({tempo.min_bpm:.1f} to {tempo.max_bpm:.1f}, "
            f"confidence {tempo.confidence:.2f}), {len(tempo.beats_s)} beats"
        )
    if key.tonic is None:
        echo("key: none")
    else:
        echo(f"key: {key.tonic} {key.scale} ({key.camelot}, confidence {key.confidence:.2f})")


def _transcribe(options: argparse.Namespace) -> None:
    with shown_progress() as progress:
        result = transcribe(options.input, options.output, on_progress=progress)
    if options.json:
        values = result.to_json()
        echo(
            json.dumps({**values, "midi": values.pop("path"), "seconds": round(result.seconds, 3)})
        )
        return
    echo(f"{result.path}: {result.n_notes} notes")
