"""The tree of stems, the sets, and what a model's entry may be."""

import itertools

import pytest

from separation import catalog
from separation.errors import UnknownStem
from separation.planning import possible
from tests.separation.family import family

__all__ = ["family"]  # a fixture


def leaves(name):
    """What a stem is made of in the end: signed stems that are not derived."""
    stem = catalog.stem(name) if name else None
    if stem is None or not stem.is_derived:
        return {name: 1}
    found: dict[str, int] = {}
    for term in stem.terms:
        for leaf, sign in leaves(term).items():
            found[leaf] = found.get(leaf, 0) + (-sign if term in stem.minus else sign)
    return found


def test_every_name_is_known_and_leads_to_the_recording():
    names = [stem.name for stem in catalog.stems()]
    assert len(set(names)) == len(names)
    for stem in catalog.stems():
        assert set(stem.plus) | set(stem.minus) | {stem.parent} <= {*names, ""}
        assert not (stem.plus and stem.minus)
        assert stem.group
        above = [stem.name]
        while above[-1]:
            above.append(catalog.stem(above[-1]).parent)
            assert len(above) < 5


def above(name):
    """The stems that a stem is a part of, and the recording."""
    return [parent := catalog.stem(name).parent, *(above(parent) if parent else ())]


def test_a_derived_stem_is_made_of_parts_of_its_parent():
    for stem in catalog.stems():
        for term in stem.plus or stem.minus:
            assert stem.parent in above(term), stem.name


def test_no_stem_is_another_one_by_what_it_is_made_of():
    made = {stem.name: leaves(stem.name) for stem in catalog.stems()}
    for one, other in itertools.combinations(made, 2):
        assert made[one] != made[other], (one, other)


def test_models_make_stems_of_the_tree():
    for model in catalog.models():
        assert model.rest in model.stems
        for name in model.stems:
            assert not model.input or catalog.stem(name).parent == model.input
        if model.input:
            assert catalog.stem(model.input)
            assert not any(catalog.stem(name).is_derived for name in model.stems)


def test_every_file_of_weights_is_pinned():
    for model in catalog.models():
        assert model.licence.summary
        for source in model.sources:
            assert source.kind in {"hub", "own", "web"} or source.version
            for file in source.files:
                assert len(file.sha256) == 64


# --- sets


@pytest.mark.parametrize("name", [one.name for one in catalog.sets() if one.adds_up])
def test_sets_that_add_up_hold_everything_once(family, name):
    def atoms(stem):
        """The parts that nothing is cut from, of the partition that the set follows."""
        one = catalog.stem(stem) if stem else None
        if one is not None and one.plus:
            return sorted(atom for term in one.plus for atom in atoms(term))
        if one is not None and one.minus:
            left = atoms(one.parent)
            for term in one.minus:
                for atom in atoms(term):
                    left.remove(atom)
            return left
        makers = [
            model
            for model in catalog.models()
            if model.input == stem and model.name != "male-and-female"
        ]
        return sorted(a for part in makers[0].stems for a in atoms(part)) if makers else [stem]

    stems = catalog.stem_set(name).stems
    assert sorted(atom for stem in stems for atom in atoms(stem)) == atoms("")


def test_the_name_of_no_set():
    with pytest.raises(UnknownStem, match="no set of stems named 'x'"):
        catalog.stem_set("x")


def test_a_set_is_whole_where_all_of_it_can_be_made(family):
    for one in catalog.sets():
        assert possible(one.stems) == one.stems


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        (
            {"instruments"},
            ["lead_vocals", "backing_vocals", "drum_kit", "bass", "other", "percussion"],
        ),
        (
            {"drumkit", "lead-and-backing"},
            ["vocals", "drums", "bass", "guitar", "keyboard", "strings", "brass", "woodwinds",
             "synth", "fx"],
        ),
        ({"drumkit", "lead-and-backing", "instruments"}, ["vocals", "drums", "bass", "other"]),
    ],
)  # fmt: skip
def test_where_parts_cannot_be_made_the_parent_takes_their_place(
    family, monkeypatch, lost, expected
):
    models = tuple(model for model in catalog.models() if model.name not in lost)
    monkeypatch.setattr(catalog, "models", lambda: models)
    assert list(possible(catalog.stem_set("full-split").stems)) == expected


def test_what_nothing_makes_and_has_no_parent_is_left_out(family):
    assert possible(["accompaniment", "vocals"]) == ("vocals",)
