"""All that a job made as one zip, put together while it is sent: in constant memory, no file of it.

Nothing is compressed: what is in it is compressed already, or does not become much smaller. So its
length is known before.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext_lazy as _
from zipstream import ZipStream

from accounts.models import Workspace
from config.errors import NotFound, WrongState
from jobs.link_tokens import token_make, token_read
from jobs.models import Asset, Job, JobState
from jobs.naming import job_title
from jobs.selectors import job_get_for_download, job_get_for_workspace
from jobs.storage import storage_open

_SALT = "jobs.archives"
_BLOCK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Archive:
    """A zip that has not been read yet; read all of `content`, or close it."""

    filename: str
    size_bytes: int
    content: "ArchiveContent"


class ArchiveContent:
    """The bytes. Not a generator: one that never started could not be told from one that has."""

    def __init__(self, stream: ZipStream) -> None:
        self._blocks: Generator[bytes] = iter(stream)

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        self._blocks.close()


def archive_answer(archive: Archive, *, is_head: bool) -> HttpResponseBase:
    """The zip as an answer; of the headers alone, too, it says how long it is."""
    if is_head:
        archive.content.close()
        response: HttpResponseBase = HttpResponse()
    else:
        response = StreamingHttpResponse(archive.content)
    response.headers["Content-Type"] = "application/zip"
    response.headers["Content-Length"] = str(archive.size_bytes)
    disposition = content_disposition_header(as_attachment=True, filename=archive.filename)
    response.headers["Content-Disposition"] = str(disposition)
    # What is in it may change: files expire one by one.
    response.headers["Cache-Control"] = "private, no-store"
    return response


def archive_token(job: Job, *, seconds: int | None = None) -> str:
    """A secret that allows to download all that a job made for a while, at most 14 days."""
    return token_make(str(job.uuid), salt=_SALT, seconds=seconds)


def archive_of_token(token: str) -> Archive:
    job_uuid, _form = token_read(token, salt=_SALT)
    return _archive(job_get_for_download(job_uuid=job_uuid))


def archive_get_for_workspace(*, workspace: Workspace, job_uuid: UUID) -> Archive:
    return _archive(job_get_for_workspace(workspace=workspace, job_uuid=job_uuid))


def archive_of_jobs(*, workspace: Workspace, job_uuids: Sequence[UUID]) -> Archive:
    """One zip of several jobs, a folder for each; those that made nothing are left out."""
    stream = ZipStream(sized=True)
    folders: set[str] = set()
    for job_uuid in job_uuids:
        job = job_get_for_workspace(workspace=workspace, job_uuid=job_uuid)
        if outputs := _outputs(job):
            folder = _free(_title(job), folders)
            folders.add(folder.casefold())
            _add(stream, outputs, f"{folder}/")
    if not folders:
        raise NotFound(_("No file of these jobs is kept."))
    return Archive("stemwright.zip", len(stream), ArchiveContent(stream))


def _archive(job: Job) -> Archive:
    if job.state != JobState.SUCCEEDED:
        raise WrongState(_("The job has not succeeded; there is nothing to download."))
    if not _outputs(job):
        raise NotFound(_("No file of this job is kept any more."))
    stream = ZipStream(sized=True)
    _add(stream, _outputs(job))
    return Archive(f"{_title(job)}.zip", len(stream), ArchiveContent(stream))


def _outputs(job: Job) -> list[Asset]:
    outputs: list[Asset] = job.outputs  # type: ignore[attr-defined]
    return outputs if job.state == JobState.SUCCEEDED else []


def _title(job: Job) -> str:
    return _safe(job_title(job) or "results")[:150]


def _add(stream: ZipStream, outputs: Sequence[Asset], folder: str = "") -> None:
    taken: set[str] = set()
    for asset in outputs:
        name = _free(_safe(asset.filename), taken)
        taken.add(name.casefold())
        stream.add(_blocks(asset), folder + name, size=asset.size_bytes)


def _blocks(asset: Asset) -> Iterator[bytes]:
    """Opens the file when its turn comes."""
    with storage_open(key=asset.storage_key) as handle:
        while block := handle.read(_BLOCK_BYTES):
            yield block


def _safe(name: str) -> str:
    """Whoever unpacks it gets a file beside the others, on any system."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f\x7f]', "_", name).strip(" .") or "file"


def _free(name: str, taken: set[str]) -> str:
    """Not the name of another, also where systems do not tell capitals apart."""
    path, number, free = PurePath(name), 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{path.stem} ({number}){path.suffix}"
    return free
