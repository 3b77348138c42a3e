"""What an attempt has made: files that are in storage, whose rows come with the end of the job."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.models import Asset, AssetState, Job, OutputKind
from jobs.storage import sha256_of, storage_save
from separation import AudioInfo


@dataclass(frozen=True)
class Made:
    """`timeline` holds the fields of a JobTimeline, `result` what is no file, if there are any."""

    outputs: Sequence[Asset]
    timeline: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None


def output_store(
    job: Job,
    *,
    kind: OutputKind,
    label: str,
    filename: str,
    path: Path,
    info: AudioInfo,
    form: str,
) -> Asset:
    """Store one file; `label` says which stem or speaker it is, `form` as what it was ordered."""
    key = f"jobs/{job.uuid}/{job.attempt}/{path.name}"
    storage_save(key=key, path=path)
    return Asset(
        workspace=job.workspace,
        state=AssetState.READY,
        job=job,
        stem=label,
        kind=kind,
        form=form,
        filename=filename,
        storage_key=key,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        **asdict(info),
    )
