"""Uploads that are under way."""

import io
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts.models import Workspace
from jobs.models import Ingest, IngestKind
from jobs.receiving.multipart import multipart_create, part_links, part_store, plan_of
from jobs.receiving.rows import upload_create


def make_upload(workspace: Workspace, *, size_bytes: int = 5, **values: Any) -> Ingest:
    """Announced by tus; `values` are written into the row afterwards."""
    upload = upload_create(
        workspace=workspace,
        api_key=None,
        kind=IngestKind.TUS,
        filename="song.wav",
        size_bytes=size_bytes,
    )
    if values:
        Ingest.objects.filter(pk=upload.pk).update(**values)
        upload.refresh_from_db()
    return upload


@dataclass
class MultipartUpload:
    uuid: UUID
    # A link's secret for part 1.
    token: str = ""
    etags: dict[int, str] = field(default_factory=dict)


def make_multipart_upload(workspace: Workspace, content: bytes) -> MultipartUpload:
    """All parts have arrived, at our own links; it is not completed."""
    row = multipart_create(
        workspace=workspace, api_key=None, filename="song.wav", size_bytes=len(content)
    )
    plan = plan_of(row)
    upload = MultipartUpload(row.uuid)
    for link in part_links(
        workspace=workspace,
        upload_uuid=row.uuid,
        numbers=range(1, plan.n_parts + 1),
        own_url=str,
    ):
        start = (link.number - 1) * plan.part_size
        part = content[start : start + link.size_bytes]
        upload.token = upload.token or link.url
        upload.etags[link.number] = part_store(
            token=link.url, source=io.BytesIO(part), length=len(part)
        )
    return upload
