import dataclasses

import pytest

from separation import catalog, presets
from separation.errors import InvalidRequest


@pytest.fixture
def model():
    return dataclasses.replace(catalog.model("htdemucs"), segment_samples=1000, overlap=0.25)


@pytest.mark.parametrize(
    ("options", "overlap", "shifts"),
    [
        ({}, 0.25, 1),
        ({"preset": "fast"}, 0.1, 1),
        ({"preset": "balanced"}, 0.25, 1),
        ({"preset": "best"}, 0.25, 2),
        ({"overlap": 0.0}, 0.0, 1),
        ({"preset": "best", "overlap": 0.5}, 0.5, 2),
        ({"preset": "best", "shifts": 1}, 0.25, 1),
        ({"preset": "fast", "shifts": 3}, 0.1, 3),
    ],
)
def test_what_is_given_singly_wins_over_the_preset(model, options, overlap, shifts):
    grid = presets.grid(model, **options)
    assert (grid.segment, grid.overlap, grid.shifts) == (1000, overlap, shifts)


def test_balanced_is_what_the_catalogue_says_of_the_model(model):
    assert presets.grid(dataclasses.replace(model, overlap=0.4)).overlap == 0.4


@pytest.mark.parametrize(
    "options",
    [
        {"preset": "slow"},
        {"overlap": -0.01},
        {"overlap": 0.51},
        {"overlap": float("nan")},
        {"shifts": 0},
        {"shifts": 17},
    ],
)
def test_it_refuses_what_is_out_of_range(model, options):
    with pytest.raises(InvalidRequest):
        presets.grid(model, **options)
