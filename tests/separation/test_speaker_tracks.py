"""Tracks of known turns in generated recordings, read back from their files."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from separation import catalog, errors, probe
from separation.catalog import Availability, AvailabilityStatus
from separation.speakers import Timeline, Turn, diarization, extract, making
from separation.speakers.diarization import SpeakerCount
from separation.speakers.extract import extract_speakers
from separation.speakers.result import SpeakersResult
from separation.speakers.tracks import WholeMixture
from tests.separation.media import noise, tones, write_media

RATE = 44100


def talk(*turns):
    return Timeline(tuple(Turn(*turn) for turn in turns), 1000.0)


TALK = talk((0.5, 2, "SPEAKER_0"), (2, 4, "SPEAKER_1"), (3.5, 5, "SPEAKER_0"))


@pytest.fixture
def recording(tmp_path):
    return write_media(tmp_path / "in.wav", noise(6 * RATE), codec="pcm_s16le")


def at(seconds, rate=RATE):
    return round(seconds * rate)


def test_it_works(recording, tmp_path, read):
    out = tmp_path / "deep" / "out"
    steps = []
    result = extract_speakers(
        recording,
        out,
        timeline=TALK,
        on_progress=lambda **step: steps.append((step["step"], step["completed"], step["total"])),
    )
    assert {path.name for path in out.iterdir()} == {
        "speaker_0.wav", "speaker_0_sample.wav", "speaker_1.wav", "speaker_1_sample.wav",
        "timeline.rttm", "timeline.json", "timeline.csv", "timeline.vtt", "timeline.txt",
    }  # fmt: skip
    assert result.timeline.duration_s == 6.0
    assert result.timeline.turns == TALK.turns
    assert (result.sample_rate, result.n_samples, result.channels) == (RATE, 6 * RATE, 2)
    assert (result.model, result.clipped_samples) == (None, {"SPEAKER_0": 0, "SPEAKER_1": 0})
    assert list(result.tracks) == list(result.clips) == ["SPEAKER_0", "SPEAKER_1"]
    assert list(result.files) == ["rttm", "json", "csv", "vtt", "labels"]
    assert [row.talk_s for row in result.speakers] == [3.0, 2.0]
    assert [(o.start_s, o.end_s) for o in result.overlaps] == [(3.5, 4.0)]
    assert json.loads(result.files["json"].read_text())["speakers"][1]["talk_s"] == 2.0
    tracks = [step for step in steps if step[0] == "tracks"]
    # Once to learn how each sounds alone, once to make the tracks.
    assert tracks[0] == ("tracks", 0, 2 * 6 * RATE)
    assert tracks[-1] == ("tracks", 2 * 6 * RATE, 2 * 6 * RATE)
    assert SpeakersResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    for path in result.tracks.values():
        assert probe(path).n_samples == 6 * RATE


def test_each_format_is_what_a_pass_of_its_own_makes(recording, tmp_path):
    names = ("wav16", "mp3", "wav24", "flac")
    both = extract_speakers(
        recording,
        tmp_path / "all",
        timeline=TALK,
        output_format=names[0],
        more_formats=names[1:],
        loudness=-20,
    )
    tracks = {names[0]: both.tracks, **both.more_tracks}
    clips = {names[0]: both.clips, **both.more_clips}
    assert [path.name for path in (*tracks["wav16"].values(), *tracks["wav24"].values())] == [
        "speaker_0.wav", "speaker_1.wav", "speaker_0.wav24.wav", "speaker_1.wav24.wav",
    ]  # fmt: skip
    for name in names:
        alone = extract_speakers(
            recording, tmp_path / name, timeline=TALK, output_format=name, loudness=-20
        )
        for made, expected in ((tracks[name], alone.tracks), (clips[name], alone.clips)):
            assert list(made) == list(expected)
            for speaker, path in made.items():
                assert path.read_bytes() == expected[speaker].read_bytes()
    assert SpeakersResult.from_json(json.loads(json.dumps(both.to_json()))) == both


def test_formats_are_asked_for_once(recording, tmp_path):
    with pytest.raises(errors.InvalidRequest, match="'wav' is asked for twice"):
        extract_speakers(recording, tmp_path / "out", timeline=TALK, more_formats=["mp3", "wav"])
    assert not (tmp_path / "out").exists()


def test_who_speaks_when_without_tracks(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(making.Making, "_source", None)  # the recording is not read again
    result = extract_speakers(
        recording, tmp_path / "out", timeline=TALK, tracks=False, denoise=True, loudness=-20
    )
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "timeline.rttm", "timeline.json", "timeline.csv", "timeline.vtt", "timeline.txt",
    }  # fmt: skip
    assert (result.tracks, result.clips, result.clipped_samples) == ({}, {}, {})
    assert result.timeline.turns == TALK.turns
    assert [(row.talk_s, row.rms_db, row.lufs) for row in result.speakers] == [
        (3.0, None, None), (2.0, None, None),
    ]  # fmt: skip


CODECS = [
    ("pcm_s16le", 16, "wav"),
    ("pcm_s24le", 24, "wav"),
    ("pcm_f32le", None, "wav"),
    ("flac", 16, "flac"),
]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("rate", "n_channels"), [(8000, 1), (44100, 2), (96000, 2), (48000, 6)])
def test_who_speaks_alone_has_the_recordings_own_samples(tmp_path, read, codec, rate, n_channels):
    name, bits, output_format = codec
    samples = noise(4 * rate, n_channels)
    suffix = "flac" if name == "flac" else "wav"
    sample_format = {"pcm_s24le": "s32", "flac": "s16"}.get(name)
    path = write_media(
        tmp_path / f"in.{suffix}", samples, rate, codec=name, sample_format=sample_format
    )
    timeline = talk((0.5, 2, "A"), (2, 3, "B"), (2.5, 3.5, "A"))
    result = extract_speakers(
        path, tmp_path / "out", timeline=timeline, output_format=output_format
    )
    assert probe(result.tracks["A"]).bits_per_sample == bits
    recorded, a, b = read(path), read(result.tracks["A"]), read(result.tracks["B"])
    assert a.shape == b.shape == recorded.shape
    for track, start_s, end_s in ((a, 0.5, 1.97), (a, 2.53, 3.5), (b, 2.03, 2.97)):
        span = np.s_[:, at(start_s, rate) : at(end_s, rate)]
        np.testing.assert_array_equal(track[span], recorded[span])
    for track, start_s, end_s in ((a, 0, 0.43), (a, 2, 2.5), (a, 3.57, 4), (b, 0, 2), (b, 3, 4)):
        assert not track[:, at(start_s, rate) : at(end_s, rate)].any()
    assert (np.abs(a) <= np.abs(recorded)).all()


def test_muted_overlaps_are_in_nobodys_track(recording, tmp_path, read):
    result = extract_speakers(recording, tmp_path / "out", timeline=TALK, overlap="mute")
    recorded = read(recording)
    first, second = (read(path) for path in result.tracks.values())
    assert not first[:, at(3.5) : at(4)].any()
    assert not second[:, at(3.5) : at(4)].any()
    np.testing.assert_array_equal(first[:, at(4.03) : at(5)], recorded[:, at(4.03) : at(5)])
    np.testing.assert_array_equal(second[:, at(2.03) : at(3.47)], recorded[:, at(2.03) : at(3.47)])


def test_who_is_never_heard_alone_has_a_silent_track(recording, tmp_path, read):
    timeline = talk((1, 5, "A"), (2, 3, "B"))
    options = {"timeline": timeline, "overlap": "mute"}
    kept = extract_speakers(recording, tmp_path / "kept", **options)
    assert not read(kept.tracks["B"]).any()
    assert read(kept.clips["B"]).shape[1] == RATE
    assert (kept.speakers[1].rms_db, kept.speakers[1].lufs) == (None, None)
    closed = extract_speakers(recording, tmp_path / "closed", pauses="close", **options)
    assert not read(closed.tracks["B"]).any()
    assert probe(closed.tracks["B"]).n_samples == at(0.3)


def test_closed_pauses(recording, tmp_path, read):
    result = extract_speakers(recording, tmp_path / "out", timeline=TALK, pauses="close")
    recorded, track = read(recording), read(result.tracks["SPEAKER_0"])
    # From the pad before 0.5 to 2, where the other begins; a gap; from 3.5 to the pad after 5.
    first, second = at(2) - (at(0.5) - at(0.06)), at(5) + at(0.06) - at(3.5)
    assert track.shape[1] == first + at(0.3) + second
    assert not track[:, first : first + at(0.3)].any()
    inner = np.s_[:, at(0.5) : at(1.97)]
    np.testing.assert_array_equal(track[:, at(0.06) :][:, : at(1.97) - at(0.5)], recorded[inner])
    assert result.n_samples == 6 * RATE


@pytest.mark.parametrize("output_format", ["wav16", "wav24", "wav32f", "flac", "mp3"])
def test_loudness_is_what_was_asked_for(tmp_path, output_format):
    loud, quiet = tones(5 * RATE, level=1.5), tones(5 * RATE, level=0.1)
    path = write_media(tmp_path / "in.wav", np.hstack([loud, quiet]), codec="pcm_s16le")
    timeline = talk((0, 5, "loud"), (5, 10, "quiet"))
    options = {"timeline": timeline, "output_format": output_format}
    result = extract_speakers(path, tmp_path / "out", loudness=-23.0, **options)
    again = extract_speakers(path, tmp_path / "plain", timeline=timeline)
    assert [row.lufs for row in result.speakers] == [row.lufs for row in again.speakers]
    for row in result.speakers:
        after = extract_speakers(
            result.tracks[row.speaker], tmp_path / "after", timeline=talk((0, 10, "x"))
        )
        assert after.speakers[0].lufs == pytest.approx(-23, abs=0.2)
        assert row.lufs is not None
        assert row.gain_db == pytest.approx(-23 - row.lufs, abs=0.01)


def test_loudness_never_makes_peaks_too_high(tmp_path, read):
    samples = noise(4 * RATE, level=0.005)
    samples[:, [RATE, 2 * RATE]] = [[0.6], [-0.7]]
    path = write_media(tmp_path / "in.wav", samples, codec="pcm_s16le")
    result = extract_speakers(path, tmp_path / "out", timeline=talk((0, 4, "A")), loudness=-16.0)
    (row,) = result.speakers
    assert row.lufs is not None
    assert row.lufs + row.gain_db < -17
    peak_db = 20 * np.log10(np.abs(read(result.tracks["A"])).max())
    assert -2.5 < peak_db <= -1
    assert result.clipped_samples == {"A": 0}
    assert np.abs(read(result.clips["A"])).max() <= 10 ** (-1 / 20)


def test_clips_are_short_and_of_one_speaker(tmp_path, read):
    path = write_media(tmp_path / "in.wav", noise(30 * 8000, 1), 8000, codec="pcm_s16le")
    timeline = talk((1, 20, "A"), (15, 24, "B"), (28, 29, "A"))
    result = extract_speakers(path, tmp_path / "out", timeline=timeline)
    recorded = read(path)
    a, b = read(result.clips["A"]), read(result.clips["B"])
    assert (a.shape[1], b.shape[1]) == (10 * 8000, 4 * 8000)
    np.testing.assert_array_equal(a[:, 160:-160], recorded[:, 8000 : 11 * 8000][:, 160:-160])
    np.testing.assert_array_equal(b[:, 160:-160], recorded[:, 160000:192000][:, 160:-160])
    assert abs(a[0, 0]) < 0.01
    assert not extract_speakers(path, tmp_path / "none", timeline=timeline, clips=False).clips


def test_twelve_speakers_whose_turns_touch(tmp_path, read):
    rate = 8000
    path = write_media(tmp_path / "in.wav", noise(4 * rate, 1), rate, codec="pcm_s16le")
    timeline = talk(*(((n * 0.333), ((n + 1) * 0.333), f"S{n}") for n in range(12)))
    result = extract_speakers(path, tmp_path / "out", timeline=timeline)
    assert len(result.tracks) == 12
    tracks = np.array([read(track) for track in result.tracks.values()])
    assert (np.count_nonzero(tracks, axis=0) <= 1).all()
    recorded = read(path)
    heard = np.abs(tracks).sum(axis=0) > 0
    assert heard[:, : at(12 * 0.333, rate)].mean() > 0.99
    exact = (tracks.sum(axis=0) == recorded)[:, : at(12 * 0.333, rate)]
    assert exact.mean() > 1 - 24 * 0.021 / 4


def test_turns_shorter_than_two_fades(tmp_path, read):
    rate = 8000
    path = write_media(tmp_path / "in.wav", noise(rate, 1), rate, codec="pcm_s16le")
    timeline = talk((0, 0.5, "A"), (0.5, 0.51, "B"), (0.51, 0.511, "C"), (0.511, 1, "A"))
    result = extract_speakers(path, tmp_path / "out", timeline=timeline)
    assert np.flatnonzero(read(result.tracks["B"])[0]).min() >= 4000
    assert np.flatnonzero(read(result.tracks["C"])[0]).max() < 4088
    assert probe(result.clips["C"]).n_samples == 8


def test_two_seconds_of_one_speaker_are_the_recording_itself(tmp_path, read):
    path = write_media(tmp_path / "in.wav", noise(2 * RATE), codec="pcm_s16le")
    result = extract_speakers(path, tmp_path / "out", timeline=talk((0, 2, "A")))
    np.testing.assert_array_equal(read(result.tracks["A"]), read(path))


def test_dc_and_clipping_stay_as_they_are(tmp_path, read):
    samples = np.clip(noise(2 * RATE, level=3.0) + 0.25, -1, 1)
    path = write_media(tmp_path / "in.wav", samples, codec="pcm_f32le")
    result = extract_speakers(path, tmp_path / "out", timeline=talk((0, 2, "A")))
    np.testing.assert_array_equal(read(result.tracks["A"]), samples)
    assert result.speakers[0].peak == 1.0


def test_what_is_beyond_full_scale_is_counted(tmp_path):
    samples = noise(2 * RATE, 1, level=2.0)
    path = write_media(tmp_path / "in.wav", samples, codec="pcm_f32le")
    options = {"timeline": talk((0, 2, "A")), "output_format": "wav16"}
    result = extract_speakers(path, tmp_path / "out", **options)
    beyond = np.rint(samples * 32768)
    assert result.clipped_samples == {"A": np.count_nonzero((beyond < -32768) | (beyond > 32767))}


def test_merging_and_renaming(recording, tmp_path, read):
    timeline = talk((0.5, 2, "A"), (2.5, 4, "B"), (4, 5, "C"))
    result = extract_speakers(
        recording, tmp_path / "out", timeline=timeline, merge=[["A", "C"]], names={"A": "Zoë & Co"}
    )
    assert list(result.tracks) == ["Zoë & Co", "B"]
    assert result.tracks["Zoë & Co"].name == "zoë_co.wav"
    recorded, track = read(recording), read(result.tracks["Zoë & Co"])
    np.testing.assert_array_equal(track[:, at(4.03) : at(5)], recorded[:, at(4.03) : at(5)])
    assert "<v Zoë &amp; Co>" in result.files["vtt"].read_text(encoding="utf-8")


def test_turns_that_are_not_given_are_searched_for(recording, tmp_path, monkeypatch):
    asked: dict[str, Any] = {}

    def diarize(input, **options):
        asked.update(options, input=input)
        return TALK

    monkeypatch.setattr(diarization, "diarize", diarize)
    count = SpeakerCount(minimum=2, maximum=3)
    result = extract_speakers(
        recording, tmp_path / "out", count=count, model="pyannote-community-1", device="cpu"
    )
    assert asked["count"] == count
    assert (asked["input"], asked["device"]) == (recording, "cpu")
    assert asked["info"] == probe(recording)
    assert result.timeline.turns == TALK.turns
    assert result.model == asked["model"] == "pyannote-community-1"


def test_the_best_model_at_hand_finds_the_turns(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(diarization, "diarize", lambda input, **options: TALK)
    finders = [tool.name for tool in catalog.tools() if tool.task == "diarization"]
    for installed, chosen in ((finders, finders[0]), (finders[1:], finders[1]), ([], finders[0])):
        states = {
            name: Availability(
                AvailabilityStatus("installed" if name in installed else "fetchable"), ""
            )
            for name in finders
        }
        monkeypatch.setattr(catalog, "availability", lambda tool, states=states: states[tool.name])
        assert extract_speakers(recording, tmp_path / "out").model == chosen


def test_nobody_speaks(recording, tmp_path, monkeypatch):
    def diarize(input, **options):
        raise errors.NoSpeech("Nobody speaks in the recording.")

    monkeypatch.setattr(diarization, "diarize", diarize)
    with pytest.raises(errors.NoSpeech):
        extract_speakers(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Halving:
    """In the place of what takes noise out: half as loud, some samples late."""

    def __init__(self):
        self._held = np.zeros((2, 0), np.float32)

    def push(self, block):
        whole = np.hstack([self._held, block])
        self._held = whole[:, -100:]
        return whole[:, :-100] / 2

    def flush(self):
        return self._held / 2


@pytest.mark.parametrize("loudness", [None, -16.0])
def test_noise_is_taken_out_once_before_all_else(recording, tmp_path, read, monkeypatch, loudness):
    monkeypatch.setattr(extract, "_denoiser", lambda info, device: Halving())
    out, steps = tmp_path / "out", []
    result = extract_speakers(
        recording,
        out,
        timeline=talk((0, 6, "A")),
        denoise=True,
        loudness=loudness,
        output_format="wav32f",
        on_progress=lambda **step: steps.append((step["step"], step["completed"])),
    )
    assert [step for step in steps if step[0] == "denoise"][-1][1] == 6 * RATE
    gain = np.float32(10 ** (result.speakers[0].gain_db / 20))
    np.testing.assert_array_equal(read(result.tracks["A"]), read(recording) / 2 * gain)
    assert result.speakers[0].peak == pytest.approx(0.125, abs=1e-3)
    assert not list(out.glob("tmp*"))


class Apart(WholeMixture):
    """In the place of what takes voices apart: the first of two has a tenth."""

    def voices(self, blocks):
        for block in blocks:
            yield block, {"SPEAKER_0": block / 10}


def test_what_takes_voices_apart_fits_in(recording, tmp_path, read, monkeypatch):
    monkeypatch.setattr(making.Making, "_overlap_source", lambda *_: Apart())
    options = {"timeline": TALK, "output_format": "wav32f"}
    result = extract_speakers(recording, tmp_path / "out", **options)
    recorded = read(recording)
    first, second = (read(path) for path in result.tracks.values())
    span = np.s_[:, at(3.55) : at(3.95)]
    np.testing.assert_allclose(first[span], recorded[span] / 10)
    np.testing.assert_array_equal(second[span], recorded[span])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output_format": "wma"}, "no output format named 'wma'"),
        ({"pauses": "drop"}, "keep, close"),
        ({"overlap": "first"}, "both, separate, mute"),
        ({"loudness": 0.0}, "-40 to -5 LUFS"),
        ({"loudness": float("nan")}, "-40 to -5 LUFS"),
        ({"count": SpeakerCount(exact=0)}, "1 to 20 speakers"),
        ({"count": SpeakerCount(maximum=21)}, "1 to 20 speakers"),
        ({"count": SpeakerCount(minimum=3, maximum=2)}, "greater than the greatest"),
        ({"count": SpeakerCount(exact=5, maximum=4)}, "outside of its own limits"),
        ({"timeline": talk((7, 8, "A"))}, "no turn within"),
        ({"timeline": talk(*((n / 10, n / 10 + 1, f"S{n}") for n in range(21)))}, "1 to 20"),
        ({"timeline": None, "model": "x"}, "no model named 'x'"),
        ({"timeline": None, "model": "htdemucs"}, "no model named 'htdemucs'"),
        ({"timeline": None, "model": "deepfilternet3"}, "does not find speakers"),
        ({"merge": [["SPEAKER_0", "X"]]}, "no speaker named 'X'"),
        ({"names": {"X": "Ann"}}, "no speaker named 'X'"),
        ({"names": {"SPEAKER_0": "SPEAKER_1"}}, "the same name"),
    ],
)
def test_what_is_refused_leaves_nothing(recording, tmp_path, options, said):
    with pytest.raises(errors.PlanError, match=said):
        extract_speakers(recording, tmp_path / "out", **{"timeline": TALK, **options})
    assert not (tmp_path / "out").exists()


def test_mp3_refuses_what_it_cannot_hold_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(diarization, "diarize", None)
    path = write_media(tmp_path / "in.wav", noise(96000, 2), 96000, codec="pcm_s16le")
    with pytest.raises(errors.UnsupportedFormat):
        extract_speakers(path, tmp_path / "out", output_format="mp3")


def test_the_recording_is_not_written_over(tmp_path, monkeypatch):
    monkeypatch.setattr(diarization, "diarize", None)
    path = write_media(tmp_path / "speaker_3.wav", noise(RATE), codec="pcm_s16le")
    with pytest.raises(errors.InvalidRequest, match="lies where a track"):
        extract_speakers(path, tmp_path)
    named = write_media(tmp_path / "ann.wav", noise(RATE), codec="pcm_s16le")
    with pytest.raises(errors.InvalidRequest, match="lies where a track"):
        extract_speakers(named, tmp_path, timeline=talk((0, 1, "A")), names={"A": "Ann"})


@pytest.mark.parametrize("loudness", [None, -16.0])
def test_a_cancel_removes_everything(recording, tmp_path, loudness):
    def cancel(*, step, completed, total):
        if step == "tracks" and completed > total * 0.7:
            raise errors.SeparationCancelled("Stop.")

    with pytest.raises(errors.SeparationCancelled):
        extract_speakers(
            recording, tmp_path / "a/out", timeline=TALK, loudness=loudness, on_progress=cancel
        )
    assert not (tmp_path / "a").exists()


def test_a_recording_that_became_shorter_is_refused(recording, tmp_path):
    info = dataclasses.replace(probe(recording), n_samples=7 * RATE)
    with pytest.raises(errors.BrokenMedia):
        extract_speakers(recording, tmp_path / "out", timeline=TALK, info=info)
    assert not (tmp_path / "out").exists()
