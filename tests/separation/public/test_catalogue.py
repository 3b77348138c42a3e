"""The entries of public models, and when they are used."""

import math

import pytest

from separation import catalog, cli, planning, weights
from separation.catalog import AvailabilityStatus
from separation.engines.public.networks import Layout
from separation.errors import ModelForbidden, ModelUnavailable, UnknownModel

PUBLIC = [model for model in catalog.models() if model.is_optional]
NAMES = [model.name for model in PUBLIC]
# Those that hold 16-bit numbers.
HALF = {"htdemucs-6s", "htdemucs-ft", "melband-guitar", "bs-roformer-mega"}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these models are installed, and no others."""

    def set_installed(*names):
        monkeypatch.setattr(weights, "is_installed", lambda model: model.name in names)

    return set_installed


def chosen(stems, model=None):
    return [one.name for one in planning.plan(stems, model).models]


def test_they_come_after_those_of_this_software():
    assert len(NAMES) >= 10
    assert [model.name for model in catalog.models()][-len(NAMES) :] == NAMES
    stems = {stem.name for stem in catalog.stems()}
    for model in PUBLIC:
        assert {*model.stems, model.rest, model.input} - {""} <= stems
        assert model.rest in model.stems


@pytest.mark.parametrize("model", PUBLIC, ids=NAMES)
def test_the_network_is_as_large_as_its_checkpoint(model):
    layout = Layout.of(model)
    state = layout.build(range(layout.options.num_stems)).state_dict()
    n_values = sum(tensor.numel() for tensor in state.values())
    files = next(source.files for source in model.sources if source.files)
    n_bytes = sum(file.size_bytes for file in files)
    # Beside its values a checkpoint holds their names, a few hundred bytes each at most.
    assert n_bytes / n_values == pytest.approx(2 if model.name in HALF else 4, rel=0.01)


@pytest.mark.parametrize("model", PUBLIC, ids=NAMES)
def test_nothing_is_promised_that_nobody_declared(model):
    assert not model.licence.commercial_use
    assert model.licence.declared_in
    assert model.licence.id.startswith("LicenseRef-") or "-NC-" in model.licence.id
    assert model.reference.startswith("https://arxiv.org/abs/")


def test_the_policy_of_commercial_use_forbids_all_of_them(monkeypatch):
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    states = {catalog.availability(model).status for model in PUBLIC}
    assert states == {AvailabilityStatus.FORBIDDEN}
    with pytest.raises(ModelForbidden, match="is not available"):
        weights.install(catalog.model("scnet-xl-ihf"))


def test_installing_all_leaves_them_out(monkeypatch, capsys):
    fetched = []
    monkeypatch.setattr(weights, "install", lambda model, report: fetched.append(model.name))
    monkeypatch.setattr(weights, "is_installed", lambda model: False)
    monkeypatch.setattr(catalog, "models", lambda: tuple(PUBLIC))
    monkeypatch.setattr(catalog, "tools", lambda: ())
    assert cli.main(["models", "install"]) == 0
    assert fetched == []
    assert "models install scnet-xl-ihf` fetches it" in capsys.readouterr().out
    assert cli.main(["models", "install", "scnet-xl-ihf"]) == 0
    assert fetched == ["scnet-xl-ihf"]
    assert "licence: The program is MIT" in capsys.readouterr().out


def test_they_are_not_fetched_unless_named(installed):
    installed()
    assert chosen(["vocals", "bass"]) == ["htdemucs"]
    assert chosen(["vocals", "accompaniment"]) == ["spleeter-2stems"]
    assert chosen(["guitar"], "htdemucs-6s") == ["htdemucs-6s"]
    with pytest.raises(ModelUnavailable, match="models install htdemucs-6s"):
        planning.plan(["guitar"], "htdemucs-6s", require_installed=True)


def test_those_of_this_software_come_first_where_both_are_installed(installed):
    installed("htdemucs", "htdemucs-ft", "scnet-xl-ihf")
    assert chosen(["vocals"]) == ["htdemucs"]
    assert chosen(["vocals"], "htdemucs-ft") == ["htdemucs-ft"]
    installed("htdemucs-ft")
    assert chosen(["vocals"]) == ["htdemucs-ft"]


def test_the_operator_may_prefer_others(installed, monkeypatch):
    installed("htdemucs", "htdemucs-ft", "scnet-xl-ihf", "mdx23c-drumsep")
    monkeypatch.setenv("STEMWRIGHT_PREFERRED_MODELS", "scnet-xl-ihf, mdx23c-drumsep")
    assert chosen(["vocals"]) == ["scnet-xl-ihf"]
    assert chosen(["kick"]) == ["scnet-xl-ihf", "mdx23c-drumsep"]
    assert chosen(["kick"], "htdemucs") == ["htdemucs", "mdx23c-drumsep"]
    installed("htdemucs")
    assert chosen(["vocals"]) == ["htdemucs"]
    monkeypatch.setenv("STEMWRIGHT_PREFERRED_MODELS", "nothing")
    with pytest.raises(UnknownModel, match="nothing"):
        planning.plan(["vocals"])


def test_a_segment_is_whole_frames_where_the_network_wants_them():
    model = catalog.model("mdx23c-drumsep")
    options = model.network["options"]
    frames = model.segment_samples / options["hop_length"] + 1
    assert math.remainder(frames, options["scale"][0] ** options["num_scales"]) == 0
