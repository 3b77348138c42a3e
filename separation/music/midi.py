"""Notes as a Standard MIDI File."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import mido

from separation.music.notes import Note

# What a player takes for an instrument that nobody named.
INSTRUMENT = "Acoustic Grand Piano"
_PROGRAM = 0

# A beat is half a second: the notes come from a recording whose tempo may change all the time, and
# a file that says 120 beats a minute is played as it was. A tick is about a millisecond.
_TICKS_PER_BEAT = 480
_BEAT_US = 500_000


def write_midi(path: Path, notes: Iterable[Note]) -> None:
    """Write notes into one track; the file is there as a whole, or not at all.

    Parameters
    ----------
    path : path
        Its folder has to be there.
    notes : iterable of Note
        In any order.
    """
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=INSTRUMENT))
    track.append(mido.MetaMessage("set_tempo", tempo=_BEAT_US))
    track.append(mido.Message("program_change", program=_PROGRAM))
    now = 0
    for tick, message in sorted(_events(notes), key=_order):
        message.time = tick - now
        now = tick
        track.append(message)
    track.append(mido.MetaMessage("end_of_track"))
    song = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, tracks=[track])
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            song.save(file=file)
        # As any file that a program makes: mkstemp lets nobody else read it.
        Path(draft).chmod(0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _events(notes: Iterable[Note]) -> Iterator[tuple[int, mido.Message]]:
    for note in notes:
        start, end = _tick(note.start_s), _tick(note.end_s)
        yield start, mido.Message("note_on", note=note.pitch, velocity=note.velocity)
        yield max(end, start + 1), mido.Message("note_off", note=note.pitch, velocity=0)


def _order(event: tuple[int, mido.Message]) -> tuple[int, bool, int]:
    """Sort by time; a key is let go before it is struck again."""
    tick, message = event
    return tick, message.type == "note_on", message.note


def _tick(time_s: float) -> int:
    return round(time_s * 1e6 / _BEAT_US * _TICKS_PER_BEAT)
