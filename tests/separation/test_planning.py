import pytest

from separation import catalog, plan, weights
from separation.errors import (
    IncompatibleStems,
    InvalidRequest,
    ModelForbidden,
    ModelUnavailable,
    StemUnavailable,
    UnknownModel,
    UnknownStem,
)
from separation.planning import makers


@pytest.fixture(autouse=True)
def installed(monkeypatch, tmp_path):
    """Names of the models that count as installed, of the two that there are."""
    names = {"htdemucs", "spleeter-2stems"}
    two = tuple(catalog.model(name) for name in sorted(names))
    monkeypatch.setattr(catalog, "models", lambda: two)
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_POLICY", raising=False)
    monkeypatch.setattr(weights, "is_installed", lambda model: model.name in names)
    return names


def test_without_stems_it_makes_all_of_the_preferred_model():
    chosen = plan()
    assert chosen.model.name == "htdemucs"
    assert chosen.stems == chosen.native == ("drums", "bass", "other", "vocals")
    assert chosen.derived == ()


@pytest.mark.parametrize(
    ("stems", "model", "native", "derived"),
    [
        (["vocals", "drums"], "htdemucs", ("drums", "vocals"), ()),
        (["vocals", "instrumental"], "htdemucs", ("vocals",), ("instrumental",)),
        (["instrumental"], "htdemucs", ("vocals",), ("instrumental",)),
        (["no_bass", "no_drums"], "htdemucs", ("drums", "bass"), ("no_bass", "no_drums")),
        (["accompaniment"], "spleeter-2stems", ("accompaniment",), ()),
        (["instrumental", "accompaniment"], "spleeter-2stems",
         ("vocals", "accompaniment"), ("instrumental",)),
    ],
)  # fmt: skip
def test_it_finds_the_model_that_covers_the_stems(stems, model, native, derived):
    chosen = plan(stems)
    assert chosen.model.name == model
    assert chosen.stems == tuple(stems)
    assert chosen.native == native
    assert tuple(stem.name for stem in chosen.derived) == derived


def test_it_takes_what_is_installed_first(installed):
    installed.remove("htdemucs")
    assert plan(["vocals"]).model.name == "spleeter-2stems"
    assert plan(["drums"]).model.name == "htdemucs"  # fetched on first use


def test_a_model_that_must_be_installed_and_is_not(installed):
    installed.clear()
    with pytest.raises(ModelUnavailable) as caught:
        plan(["vocals"], require_installed=True)
    assert type(caught.value) is ModelUnavailable
    assert "models install htdemucs" in caught.value.message


def test_a_commercial_policy_forbids_htdemucs(monkeypatch):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    assert plan(["vocals"]).model.name == "spleeter-2stems"
    with pytest.raises(ModelForbidden) as caught:
        plan(["drums"])
    assert "personal and research use only" in caught.value.message
    assert caught.value.code == "model_unavailable"
    assert not caught.value.retryable
    with pytest.raises(ModelForbidden):
        plan(["vocals"], "htdemucs")


def test_an_unknown_policy_is_refused(monkeypatch):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "whatever")
    with pytest.raises(InvalidRequest):
        plan()


@pytest.mark.parametrize("stems", [["kazoo"], ["vocals", "Guitar"], ["no_vocals"], [""]])
def test_it_lists_the_known_stems(stems):
    with pytest.raises(UnknownStem) as caught:
        plan(stems)
    assert "vocals, drums, bass, other, accompaniment, instrumental" in caught.value.message


@pytest.mark.parametrize(
    ("stems", "model", "named"),
    [
        (["piano"], None, "stem 'piano' is"),
        (["vocals", "piano"], None, "stem 'piano' is"),
        (["kick", "drums", "snare"], None, "stems 'kick' and 'snare' is"),
        (["guitar"], "htdemucs", "stem 'guitar' is"),
    ],
)
def test_it_names_the_stems_that_no_model_makes(stems, model, named):
    with pytest.raises(StemUnavailable) as caught:
        plan(stems, model)
    assert caught.value.message == f"No model that makes the {named} installed here."
    assert (caught.value.code, caught.value.retryable) == ("model_unavailable", False)


def test_it_says_what_the_chosen_model_offers():
    with pytest.raises(IncompatibleStems) as caught:
        plan(["vocals", "drums"], "spleeter-2stems")
    assert caught.value.message == (
        "The model 'spleeter-2stems' does not make the stem 'drums'; "
        "it makes vocals, accompaniment, instrumental."
    )


def test_no_single_model_makes_both():
    with pytest.raises(IncompatibleStems, match="No single model"):
        plan(["drums", "accompaniment"])


@pytest.mark.parametrize("stems", [[], ["vocals", "vocals"], "vocals"])
def test_it_refuses_empty_and_doubled_lists(stems):
    with pytest.raises(InvalidRequest):
        plan(stems)


def test_it_lists_the_known_models():
    with pytest.raises(UnknownModel) as caught:
        plan(["vocals"], "no-such-model")
    assert "htdemucs, spleeter-2stems" in caught.value.message


def test_the_makers_of_a_stem():
    assert makers(catalog.stem("vocals")) == ("htdemucs", "spleeter-2stems")
    assert makers(catalog.stem("kick")) == ()
