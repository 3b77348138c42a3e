"""Files of a repository on the model hub, where it can be reached.

The hub's client sets no limit on the whole, so it runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from separation.process import module_command, module_environment

if TYPE_CHECKING:
    from separation.catalog.entries import Source

HUB_TIMEOUT_S = 600
_ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DOWNLOAD_TIMEOUT": "30",
    "HF_HUB_ETAG_TIMEOUT": "30",
}
# As `hub_client` says it.
_REFUSED = "stemwright: access refused"


def fetch_files(source: Source, into: Path) -> Mapping[str, Path]:
    """Fetch a repository's files in a process of its own; HF_TOKEN is its key, if one is needed.

    Raises
    ------
    ModelUnavailable
        If the hub cannot be reached in time, or asks for its terms to be accepted.
    DiskFull
        If there is no space.
    """
    from separation.weights.fetch import run_client

    folder = into / "hub"
    names = [file.member for file in source.files]
    run_client(
        module_command(
            "separation.weights.hub_client", source.package, source.version, str(folder), *names
        ),
        source,
        timeout_s=HUB_TIMEOUT_S,
        variables={**_ENVIRONMENT, "PYTHONPATH": module_environment()["PYTHONPATH"]},
        explanations={_REFUSED: how_to_be_let_in(source)},
    )
    return {file.name: folder / file.member for file in source.files}


def how_to_be_let_in(source: Source) -> str:
    """Return what to do about a repository that asks for its terms to be accepted."""
    return (
        f"The {source.label} asks for its terms to be accepted: do so on its page of the hub and "
        "set HF_TOKEN to a token of your account, or put its files into STEMWRIGHT_WEIGHTS_DIR."
    )
