"""From songs to figures, and from figures to the file and the page."""

import dataclasses

import numpy as np
import pytest

from benchmarks.quality import report, runs
from benchmarks.quality.pieces import Case, true_stem
from benchmarks.quality.runs import Taken
from benchmarks.quality.scoring import PEER_NAME, Tally, score_case
from benchmarks.quality.sets import RATE, SongSet
from separation import catalog
from separation.audio.overlap import Grid
from separation.catalog import measured
from separation.catalog.measured import SongSet as Described
from tests.separation.media import noise

ROOTS = ("drums", "bass", "other", "vocals")
SET = SongSet(Described("made", "made up", "real"), lambda: iter(()))
FACTS = {"date": "2026-11-22", "commit": "abc"}


@pytest.fixture
def case():
    pieces = {name: noise(RATE, seed=seed, level=0.1) for seed, name in enumerate(ROOTS)}
    return Case("one", pieces)


@pytest.fixture
def leaking(monkeypatch, case):
    """Two root models and a peer that leave a known share of the rest in each stem."""

    def taken(mixture, root, stems):
        rest = {"htdemucs": 0.1, "spleeter-2stems": 0.3}[root.name]
        return Taken({stem: estimate(case, stem, rest) for stem in stems}, 2.0)

    models = [catalog.model("htdemucs"), catalog.model("spleeter-2stems")]
    monkeypatch.setattr(runs, "roots", lambda: models)
    monkeypatch.setattr(runs, "children", list)
    monkeypatch.setattr(runs, "through_chain", taken)
    monkeypatch.setattr(
        runs,
        "by_peer",
        lambda mixture: Taken({stem: estimate(case, stem, 0.2) for stem in ROOTS}, 1.0),
    )


def estimate(case, stem, rest):
    true = true_stem(case, stem)
    return true + np.float32(rest) * (case.mixture - true)


def measurements(case, wanted=()):
    tally = Tally()
    score_case(tally, case, wanted, with_peer=True)
    listed = list(tally.measurements(SET, **FACTS))
    return {(one.stem, one.model): one for one in listed}


def test_a_stem_is_measured_as_each_model_makes_it(leaking, case):
    found = measurements(case)
    drums = found["drums", "htdemucs"]
    # A tenth of three others that are as loud.
    assert drums.sdr_db == pytest.approx(-10 * np.log10(0.03), abs=0.1)
    assert drums.si_sdr_db == pytest.approx(drums.sdr_db, abs=0.1)
    assert drums.wrong_share == pytest.approx(0.03 / 1.03, abs=0.01)
    # A quarter of the recording is the best level of one of four that are as loud.
    assert drums.parent_db == pytest.approx(10 * np.log10(4 / 3), abs=0.1)
    assert drums.oracle_mask_db > drums.static_eq_db > 1
    assert (drums.n, drums.seconds, drums.start, drums.set) == (1, 2.0, "recording", SET.described)
    assert ("drums", "spleeter-2stems") not in found
    assert ("vocals", "spleeter-2stems") in found
    assert ("kick", "htdemucs") not in found


def test_the_best_peer_is_named(leaking, case):
    found = measurements(case)
    drums, vocals = found["drums", "htdemucs"], found["vocals", "spleeter-2stems"]
    assert (drums.peer, drums.peer_db) == (PEER_NAME, pytest.approx(9.2, abs=0.1))
    assert (vocals.peer, vocals.peer_db) == ("htdemucs", pytest.approx(15.2, abs=0.1))


def test_only_what_is_wanted_is_measured(leaking, case):
    assert set(measurements(case, ("bass",))) == {("bass", "htdemucs")}


def test_figures_are_means_over_songs(leaking, case):
    tally = Tally()
    for _ in range(3):
        score_case(tally, case, ("bass",), with_peer=False)
    [one] = tally.measurements(SET, **FACTS)
    assert one.n == 3
    assert one.sdr_db == measurements(case, ("bass",))["bass", "htdemucs"].sdr_db
    assert one.peer is None


@pytest.fixture
def child(monkeypatch):
    """A model that takes drums apart, and knows only the kick."""
    drums = dataclasses.replace(
        catalog.model("htdemucs"),
        name="made-kit",
        input="drums",
        stems=("kick", "snare", "toms", "hihat", "ride", "crash", "percussion"),
        rest="percussion",
        adds_mean=False,
    )
    monkeypatch.setattr(runs, "children", lambda: [drums])
    return drums


def test_a_child_is_measured_from_its_true_parent(monkeypatch, child):
    names = ("kick", "snare", "percussion")
    pieces = {name: noise(RATE, seed=seed, level=0.1) for seed, name in enumerate(names)}
    heard = []

    def taken(parent, model):
        heard.append(parent)
        made = {stem: 0.5 * pieces[stem] for stem in names}
        return Taken({**made, "drum_kit": pieces["kick"] + pieces["snare"]}, 0.5)

    monkeypatch.setattr(runs, "from_parent", taken)
    found = measurements(Case("kit", pieces, "drums"))
    assert set(found) == {(name, "made-kit") for name in (*names, "drum_kit")}
    np.testing.assert_allclose(heard[0], sum(pieces.values()), atol=1e-6)
    kick = found["kick", "made-kit"]
    assert (kick.start, kick.peer) == ("parent", None)
    assert kick.sdr_db == pytest.approx(6.02, abs=0.01)
    assert kick.si_sdr_db > 60
    assert found["drum_kit", "made-kit"].sdr_db > 60


def test_a_song_of_one_stem_is_no_parent_of_that_stem(monkeypatch):
    """In a song of guitars all the rest is guitar: what takes that apart has nothing to do."""
    models = [
        dataclasses.replace(
            catalog.model("htdemucs"), name=name, input=parent, stems=stems, rest=""
        )
        for name, parent, stems in (
            ("instruments", "other", ("acoustic_guitar", "electric_guitar")),
            ("roles", "guitar", ("rhythm_guitar", "lead_guitar")),
        )
    ]
    monkeypatch.setattr(runs, "children", lambda: models)
    pieces = {name: noise(RATE, seed=seed) for seed, name in enumerate(models[1].stems)}
    monkeypatch.setattr(runs, "from_parent", lambda parent, model: Taken(pieces, 1.0))
    found = measurements(Case("solo", pieces, "guitar"))
    assert set(found) == {("rhythm_guitar", "roles"), ("lead_guitar", "roles")}


def test_the_parent_goes_through_the_child_in_segments(monkeypatch, child):
    class Half:
        def separate(self, mixtures):
            return np.stack([mixtures * 0.5, *[mixtures * 0.1] * 5, mixtures * 0.0], axis=1)

    monkeypatch.setattr("separation.engines.load_engine", lambda model: Half())
    monkeypatch.setattr(runs, "_GRID", Grid(segment=4000, overlap=0.25))
    parent = noise(10_001)
    found = runs.from_parent(parent, child).stems
    np.testing.assert_allclose(found["kick"], 0.5 * parent, atol=1e-5)
    total = sum(found[name] for name in child.stems)
    np.testing.assert_allclose(total, parent, atol=1e-5)
    np.testing.assert_allclose(found["cymbals"], 0.3 * parent, atol=1e-5)
    np.testing.assert_allclose(found["drum_kit"], parent - found["percussion"], atol=1e-5)


class TestReport:
    @pytest.fixture
    def listed(self, leaking, case):
        return list(measurements(case).values())

    def test_a_file_is_what_was_written(self, listed, tmp_path):
        path = tmp_path / "measured.json"
        report.write(listed, path)
        assert sorted(map(repr, measured.parsed(path.read_text()))) == sorted(map(repr, listed))
        # One line a row: a change shows what was measured anew.
        assert path.read_text().count('"stem"') == len(listed)
        assert len([line for line in path.read_text().splitlines() if '"stem"' in line]) == len(
            listed
        )

    def test_what_was_measured_anew_takes_the_place_of_the_old(self, listed, tmp_path):
        path = tmp_path / "measured.json"
        report.write(listed, path)
        anew = dataclasses.replace(listed[0], sdr_db=99.0)
        elsewhere = dataclasses.replace(listed[0], set=Described("other", "else", "synthetic"))
        report.write([anew, elsewhere], path)
        found = measured.parsed(path.read_text())
        assert len(found) == len(listed) + 1
        assert anew in found
        assert elsewhere in found
        assert listed[0] not in found

    def test_what_the_catalogue_has_not_any_more_is_dropped(self, listed):
        gone = [dataclasses.replace(listed[0], **{key: "gone"}) for key in ("stem", "model")]
        assert len(report.merged(gone, listed)) == len(listed)

    def test_rows_are_in_the_order_of_the_catalogue(self, listed):
        stems = [stem.name for stem in catalog.stems()]
        found = report.merged([], listed[::-1])
        assert [one.stem for one in found] == sorted((one.stem for one in listed), key=stems.index)

    def test_the_page_shows_the_file(self, listed, tmp_path):
        weak = [dataclasses.replace(one, sdr_db=1.0) for one in listed if one.stem == "bass"]
        path, document = tmp_path / "measured.json", tmp_path / "quality.md"
        report.write([*listed, *weak], path)
        marks = "".join(
            f"<!-- {name}: begin -->\n<!-- {name}: end -->\n"
            for name in ("stems", "sets", "measurements")
        )
        document.write_text(f"Before.\n{marks}After.\n")
        report.write_docs(document, path)
        text = document.read_text()
        assert text.startswith("Before.\n")
        assert text.endswith("After.\n")
        lines = text.splitlines()
        [bass] = [line for line in lines if line.startswith("| bass ") and "experimental" in line]
        assert "made" in bass
        assert not any("experimental" in line for line in lines if line.startswith("| drums "))
        assert "demucs (its command line)" in text
