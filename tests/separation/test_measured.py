"""What the catalogue knows of quality, and what counts as experimental."""

import json
from dataclasses import replace

import pytest

from separation import catalog
from separation.catalog import measured
from separation.catalog.measured import Measurement, SongSet, StemQuality

REAL = SongSet("funk", "a real recording", "real")
MADE = SongSet("kits", "kits that no network has heard", "synthetic")
ONE = Measurement(
    stem="kick",
    model="htdemucs",
    set=MADE,
    start="parent",
    n=1,
    sdr_db=9.0,
    si_sdr_db=8.5,
    wrong_share=0.1,
    parent_db=3.0,
    static_eq_db=5.0,
    oracle_mask_db=12.0,
    seconds=0.1,
    date="2026-11-22",
    commit="abc",
)


def quality(*changes):
    return StemQuality(tuple(replace(ONE, **values) for values in changes))


@pytest.mark.parametrize(
    ("changes", "margin_db", "is_experimental"),
    [
        ([], None, True),
        ([{}], 6.0, False),
        ([{"sdr_db": 5.0}], 2.0, False),
        ([{"sdr_db": 4.99}], 1.99, True),
        ([{"sdr_db": 1.0}], -2.0, True),
        # Songs count, not sets.
        ([{"n": 3}, {"set": replace(MADE, name="songs"), "sdr_db": 1.0}], 4.0, False),
        # The whole chain is what is delivered.
        ([{}, {"start": "recording", "sdr_db": 4.0}], 1.0, True),
        ([{"sdr_db": 4.0}, {"start": "recording"}], 6.0, False),
        # Real recordings are what it is made for.
        ([{"start": "recording"}, {"set": REAL, "sdr_db": 4.0}], 1.0, True),
        ([{"start": "recording", "sdr_db": 4.0}, {"set": REAL}], 6.0, False),
        (
            [{"set": REAL}, {"set": REAL, "start": "recording", "sdr_db": 4.5}, {"n": 100}],
            1.5,
            True,
        ),
    ],
)
def test_a_stem_must_beat_its_parent_at_the_best_level_by_two_decibels(
    changes, margin_db, is_experimental
):
    found = quality(*changes)
    assert found.margin_db == (margin_db if margin_db is None else pytest.approx(margin_db))
    assert found.is_experimental is is_experimental


def test_the_ratio_is_that_of_the_songs_that_decide():
    found = quality({"set": REAL, "n": 3, "sdr_db": 6.0}, {"set": REAL, "sdr_db": 10.0}, {"n": 99})
    assert found.sdr_db == pytest.approx(7.0)
    assert StemQuality().sdr_db is None


class TestFile:
    def text(self, **changes):
        sets = {"kits": {"about": MADE.about, "kind": MADE.kind}}
        row = {
            name: getattr(ONE, name) for name in ONE.__dataclass_fields__ if name != "set"
        }  # fmt: skip
        return json.dumps({"sets": sets, "rows": [{**row, "set": "kits", **changes}]})

    def test_rows_know_their_sets(self):
        assert measured.parsed(self.text()) == (ONE,)

    def test_a_set_that_is_not_described_is_an_error(self):
        with pytest.raises(KeyError, match="nowhere"):
            measured.parsed(self.text(set="nowhere"))

    def test_a_key_that_nobody_knows_is_an_error(self):
        with pytest.raises(TypeError, match="sdr"):
            measured.parsed(self.text(sdr=3))

    def test_what_ships_is_of_this_catalogue(self):
        rows = measured.measurements()
        stems = {stem.name for stem in catalog.stems()}
        models = {model.name: model for model in catalog.models()}
        assert rows
        for one in rows:
            assert one.stem in stems
            assert one.model in models
            assert one.n > 0
            assert 0 <= one.wrong_share <= 1
            # A level may be zero, an equalizer may be flat.
            assert -0.1 < one.parent_db <= one.static_eq_db + 0.1
            if one.start == "parent":
                assert models[one.model].input
        keys = [(one.stem, one.model, one.set.name, one.start) for one in rows]
        assert len(keys) == len(set(keys))

    def test_what_was_never_measured_is_empty_and_experimental(self):
        found = measured.quality_of("fx", "spleeter-2stems")
        assert found.measurements == ()
        assert found.is_experimental
