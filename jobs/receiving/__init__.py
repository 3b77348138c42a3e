"""Recordings that their owners send in parts, and the files that these parts are.

An upload is a row (`Ingest`) whose bytes arrive in any number of requests, on any web machine: by
tus, piece after piece, or as numbered parts at signed links. Each piece is an object of its own
below `ingests/<id>/` in storage. Once all are there, the row waits for a worker of the imports,
which collects the recording and makes the asset.
"""

from jobs.receiving.collecting import ingest_collect
from jobs.receiving.expiry import ingests_expire

__all__ = ["ingest_collect", "ingests_expire"]
