"""Which true stems follow from the pieces of a song."""

import numpy as np
import pytest

from benchmarks.quality.pieces import Case, belonging, true_stem
from separation.errors import UnknownStem
from tests.separation.media import noise

FUNK = ("bass", "piano", "drums", "brass", "electric_guitar")
VOICES = ("lead_male", "lead_female", "backing_male", "backing_female")
KIT = ("kick", "snare", "hihat", "percussion")
FOUR = ("vocals", "drums", "bass", "other")


@pytest.mark.parametrize(
    ("pieces", "stem", "expected"),
    [
        (FUNK, "bass", {"bass"}),
        (FUNK, "other", {"piano", "brass", "electric_guitar"}),
        (FUNK, "guitar", {"electric_guitar"}),
        (FUNK, "keys", {"piano"}),
        (FUNK, "winds", {"brass"}),
        (FUNK, "instrumental", set(FUNK)),
        (FUNK, "accompaniment", set(FUNK)),
        (FUNK, "no_bass", set(FUNK) - {"bass"}),
        # What is not among the pieces is silent.
        (FUNK, "vocals", set()),
        (FUNK, "acoustic_guitar", set()),
        (FUNK, "lead_vocals", set()),
        # Who strums and who plays solos is another question, which nobody answered.
        (FUNK, "lead_guitar", None),
        (FUNK, "kick", None),
        (FUNK, "drum_kit", None),
        (FOUR, "instrumental", {"drums", "bass", "other"}),
        (FOUR, "brass", None),
        (FOUR, "male_vocals", None),
        (VOICES, "vocals", set(VOICES)),
        (VOICES, "lead_vocals", {"lead_male", "lead_female"}),
        (VOICES, "male_vocals", {"lead_male", "backing_male"}),
        (VOICES, "drums", set()),
        (("lead_vocals", "backing_vocals"), "vocals", {"lead_vocals", "backing_vocals"}),
        (("lead_vocals", "backing_vocals"), "male_vocals", None),
        (("rhythm_guitar", "lead_guitar"), "guitar", {"rhythm_guitar", "lead_guitar"}),
        (("rhythm_guitar", "lead_guitar"), "electric_guitar", None),
        (("rhythm_guitar", "lead_guitar"), "piano", set()),
        (KIT, "drums", set(KIT)),
        (KIT, "drum_kit", {"kick", "snare", "hihat"}),
        (KIT, "cymbals", {"hihat"}),
    ],
)  # fmt: skip
def test_pieces_belong_as_a_whole_or_not_at_all(pieces, stem, expected):
    assert belonging(pieces, stem) == expected


def test_a_name_that_the_catalogue_lacks_is_an_error():
    with pytest.raises(UnknownStem):
        belonging(["kazoo"], "vocals")


def test_a_true_stem_is_the_sum_of_its_pieces():
    pieces = {name: noise(1000, seed=seed) for seed, name in enumerate(FUNK)}
    case = Case("made", pieces)
    expected = pieces["piano"] + pieces["brass"] + pieces["electric_guitar"]
    found = true_stem(case, "other")
    assert found is not None
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(case.mixture, sum(pieces.values()), atol=1e-6)
    assert case.n_samples == 1000
    assert true_stem(case, "vocals") is None
    assert true_stem(case, "kick") is None


@pytest.mark.parametrize(("level_db", "is_heard"), [(-45, True), (-55, False), (-200, False)])
def test_what_nobody_hears_is_not_scored(level_db, is_heard):
    pieces = {"drums": noise(50_000), "bass": noise(50_000, seed=1) * 10 ** (level_db / 20)}
    assert (true_stem(Case("made", pieces), "bass") is not None) is is_heard
