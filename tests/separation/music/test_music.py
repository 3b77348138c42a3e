"""Whole recordings: `analyse`, `transcribe` and their commands."""

import gc
import json
import tracemalloc

import mir_eval
import numpy as np
import pytest

from separation import cli, probe
from separation.errors import (
    BrokenMedia,
    EmptyFile,
    InvalidRequest,
    MissingFile,
    SeparationCancelled,
    UnsupportedMedia,
)
from separation.music import Key, Tempo, analyse, beat_tracking, transcribe
from separation.music.notes import NoteFinder
from separation.music.result import MusicAnalysis, Transcription
from tests.separation.media import write_media
from tests.separation.music.sounds import RATE, clicks, noise, played

TUNE = [
    (60, 0.25, 0.75),
    (64, 0.75, 1.25),
    (67, 1.25, 2.0),
    (65, 2.25, 2.75),
    (62, 2.75, 3.25),
    (64, 3.25, 3.75),
    (60, 3.75, 4.5),
]
CHORDS = [(pitch, start, start + 1.2) for start in (0.3, 1.8, 3.3) for pitch in (48, 64, 67, 72)]


def song(path, *, rate=RATE, codec="pcm_s16le", channels=1, repeats=1):
    """The tune twice with a beat of 120, as often as wanted."""
    bars = 10
    notes = [(pitch, start + 5 * n, end + 5 * n) for n in range(2) for pitch, start, end in TUNE]
    samples = played(notes, bars) + clicks(np.arange(0.25, bars, 0.5), bars) * 0.5
    samples = np.tile(samples, repeats)
    return write_media(path, np.tile(samples, (channels, 1)), rate, codec=codec)


@pytest.fixture
def recording(tmp_path):
    return song(tmp_path / "song.wav")


@pytest.fixture
def tune(tmp_path):
    return write_media(tmp_path / "tune.wav", played(TUNE, 5)[None], RATE, codec="pcm_s16le")


def test_tempo_and_key_are_found(recording):
    told = []
    found = analyse(recording, on_progress=lambda **values: told.append(values))
    assert found.tempo.bpm == pytest.approx(120, rel=0.005)
    assert (found.key.tonic, found.key.scale, found.key.camelot) == ("C", "major", "8B")
    assert found.models == ("beatnet", "basic-pitch")
    assert found.seconds > 0
    assert list(dict.fromkeys(step["step"] for step in told)) == ["probe", "load", "analyse"]
    assert told[-1] == {"step": "analyse", "completed": 10 * RATE, "total": 10 * RATE}
    assert MusicAnalysis.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.mp3", "libmp3lame", 44100, 2),
        ("a.flac", "flac", 48000, 2),
        ("a.wav", "pcm_f32le", 8000, 6),
    ],
)
def test_other_rates_and_channels_say_the_same(tmp_path, name, codec, rate, channels):
    time_s = np.arange(10 * rate) / rate
    at_22050 = played([(p, s + 5 * n, e + 5 * n) for n in range(2) for p, s, e in TUNE], 10)
    at_22050 += clicks(np.arange(0.25, 10, 0.5), 10) * 0.5
    samples = np.interp(time_s, np.arange(len(at_22050)) / RATE, at_22050).astype(np.float32)
    path = write_media(tmp_path / name, np.tile(samples, (channels, 1)), rate, codec=codec)
    info = probe(path)
    # As the service keeps recordings.
    bare = path.rename(tmp_path / "bare")
    found = analyse(bare, info=info)
    assert found.tempo.bpm == pytest.approx(120, rel=0.01)
    assert (found.key.tonic, found.key.scale) == ("C", "major")


def test_swapped_wires_do_not_silence_a_recording(tmp_path):
    samples = played(TUNE, 5)
    stereo = np.stack([samples, -samples])
    path = write_media(tmp_path / "swapped.wav", stereo, RATE, codec="pcm_s16le")
    assert transcribe(path, tmp_path / "out.mid").n_notes > 0


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), noise(3), np.zeros(1, np.float32)])
def test_silence_noise_and_one_sample_are_no_errors(tmp_path, samples):
    path = write_media(tmp_path / "none.wav", samples[None], RATE, codec="pcm_s16le")
    found = analyse(path)
    assert (found.tempo, found.key) == (Tempo(), Key())
    written = transcribe(path, tmp_path / "none.mid")
    assert (written.notes, written.n_notes) == ((), 0)
    assert (tmp_path / "none.mid").read_bytes()[:4] == b"MThd"


def scores(played_notes, notes):
    """Precision and recall; a note is right if it begins within 50 ms of one of its pitch."""
    precision, recall, *_ = mir_eval.transcription.precision_recall_f1_overlap(
        np.array([note[1:] for note in played_notes]),
        440 * 2 ** ((np.array([note[0] for note in played_notes]) - 69) / 12),
        np.array([(note.start_s, note.end_s) for note in notes]),
        440 * 2 ** ((np.array([note.pitch for note in notes]) - 69) / 12),
        offset_ratio=None,
    )
    return precision, recall


def test_notes_are_those_that_were_played(tune, tmp_path):
    told = []
    found = transcribe(
        tune, tmp_path / "new" / "out.mid", on_progress=lambda **values: told.append(values["step"])
    )
    assert list(dict.fromkeys(told)) == ["probe", "load", "transcribe"]
    assert (found.model, found.n_notes) == ("basic-pitch", len(found.notes))
    assert found.path == tmp_path / "new" / "out.mid"
    precision, recall = scores(TUNE, found.notes)
    assert recall == 1
    # The network takes the second partial of a note for another one now and then.
    assert precision >= 0.85
    assert Transcription.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_all_notes_of_chords_are_found(tmp_path):
    samples = played(CHORDS, 5, level=0.1)
    path = write_media(tmp_path / "chords.wav", samples[None], RATE, codec="pcm_s16le")
    _, recall = scores(CHORDS, transcribe(path, tmp_path / "out.mid").notes)
    assert recall == 1


def test_fewer_notes_may_be_returned_than_written(tune, tmp_path):
    found = transcribe(tune, tmp_path / "out.mid", max_notes=3)
    assert [note.pitch for note in found.notes] == [60, 64, 67]
    assert len(found.notes) == 3
    assert found.n_notes == len(transcribe(tune, tmp_path / "all.mid").notes) > 3


def test_what_cannot_be_read_is_named(tmp_path, recording):
    with pytest.raises(MissingFile):
        analyse(tmp_path / "nothing.wav")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(EmptyFile):
        transcribe(tmp_path / "empty.wav", tmp_path / "out.mid")
    (tmp_path / "text.wav").write_text("no music")
    with pytest.raises(UnsupportedMedia):
        analyse(tmp_path / "text.wav")
    with pytest.raises(BrokenMedia, match="not the one"):
        analyse(song(tmp_path / "other.wav", channels=2), info=probe(recording))
    assert not (tmp_path / "out.mid").exists()


def test_the_recording_is_not_overwritten(tune):
    before = tune.read_bytes()
    with pytest.raises(InvalidRequest, match="over"):
        transcribe(tune, tune)
    with pytest.raises(InvalidRequest, match="folder"):
        transcribe(tune, tune.parent)
    assert tune.read_bytes() == before


def test_a_cancelled_transcription_leaves_nothing(tune, tmp_path):
    def stop(*, step, completed, total):
        if step == "transcribe":
            raise SeparationCancelled("Enough.")

    with pytest.raises(SeparationCancelled):
        transcribe(tune, tmp_path / "out" / "a.mid", on_progress=stop)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def peak_bytes(work):
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    # Shorter stretches, so that the shorter recording has several of them too.
    monkeypatch.setattr(NoteFinder.__init__, "__defaults__", (400,))
    monkeypatch.setattr(beat_tracking, "_LOOK_EVERY", 200)
    monkeypatch.setattr(beat_tracking, "_SETTLED_AFTER", 200)
    short, long = (song(tmp_path / f"{n}.wav", repeats=n) for n in (1, 4))
    analyse(short)  # loads what is kept
    assert peak_bytes(lambda: analyse(long)) < 1.1 * peak_bytes(lambda: analyse(short))
    out = tmp_path / "out.mid"
    peaks = [peak_bytes(lambda path=path: transcribe(path, out)) for path in (short, long)]
    # The notes themselves are kept.
    assert peaks[1] < 1.1 * peaks[0] + 100_000


def test_the_command_tells_tempo_and_key(recording, capsys):
    assert cli.main(["analyse", str(recording)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tempo: 120.0 BPM (")
    assert lines[1].startswith("key: C major (8B, confidence ")
    assert cli.main(["analyse", str(recording), "--json"]) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert values["tempo"]["bpm"] == pytest.approx(120, rel=0.005)
    assert values["key"]["camelot"] == "8B"


def test_the_command_writes_notes(tune, tmp_path, capsys):
    out = tmp_path / "out.mid"
    assert cli.main(["transcribe", str(tune), "-o", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert values["midi"] == str(out)
    assert values["n_notes"] == len(values["notes"]) >= len(TUNE)
    assert values["notes"][0]["pitch"] == 60
    assert cli.main(["transcribe", str(tune), "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: {values['n_notes']} notes"
    assert cli.main(["transcribe", str(tmp_path / "no.wav"), "-o", str(out)]) == 1


def test_the_command_says_where_there_is_nothing(tmp_path, capsys):
    path = write_media(tmp_path / "none.wav", np.zeros((1, RATE)), RATE, codec="pcm_s16le")
    assert cli.main(["analyse", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == ["tempo: none", "key: none"]
