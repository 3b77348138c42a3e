"""Orders of an uploaded file or of an address, made once however often they are sent.

Their client repeats a POST up to three times when it is answered with 429 or 5xx, without any key
that would tell so: what is sent again within two minutes is the same order.
"""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Final

from django.core.files.uploadedfile import TemporaryUploadedFile
from rest_framework import serializers
from rest_framework.request import Request

from accounts.models import Workspace
from accounts.principal import Principal
from api.audiopod.base import body_of
from api.audiopod.dialect import NAME
from api.authentication import principal_of
from api.idempotency import idempotency_key
from api.raw_bodies import body_source
from config.errors import IdempotencyConflict, MediaError, ValidationFailed
from jobs.models import Asset, Job, JobState
from jobs.ordering import Repeat
from jobs.selectors import job_list
from jobs.services import Order, asset_create, asset_delete, job_create

REPEATED_WITHIN_S: Final = 120
# Whoever orders the same after that means it.
_CAME_TO_NOTHING: Final = (JobState.FAILED, JobState.CANCELLED)
Values = dict[str, Any]


class RecordingSerializer(serializers.Serializer[Any]):
    """A recording: either the file itself or its address."""

    # An empty file has an error of its own, made where all media errors are made.
    file = serializers.FileField(required=False, allow_empty_file=True, max_length=255)
    url = serializers.CharField(required=False, allow_blank=True, max_length=2000)


def job_order(
    request: Request,
    *,
    serializer: type[RecordingSerializer],
    order: Callable[[Values], Order],
    failed: str,
    also: Values | None = None,
) -> Job:
    """The job of this call. `failed` is what their 422 says where the recording is at fault."""
    principal = principal_of(request)
    key = idempotency_key(request)
    is_upload = str(request.content_type).startswith("multipart/")
    # Decoding the recording takes the thread as well.
    source = body_source(request, owner=principal.workspace.pk) if is_upload else nullcontext()
    with source:
        values = body_of(serializer, request, also=also)
        file, url = values.get("file"), values.get("url", "")
        if (file is None) == (not url):
            problem = "Provide either file or url, not both."
            raise ValidationFailed(fields={"file": [problem]})
        asked = replace(order(values), dialect=NAME, url=url)
        if file is None:
            return _once(asked, asked.sha256, principal=principal, key=key)
        asset = _received(file, workspace=principal.workspace, failed=failed)
    return _of_upload(asked, asset, principal=principal, key=key)


def _received(file: TemporaryUploadedFile, *, workspace: Workspace, failed: str) -> Asset:
    name = file.name or ""
    try:
        return asset_create(
            workspace=workspace, filename=name, path=Path(file.temporary_file_path())
        )
    except MediaError as error:
        error.data |= {
            "content_type": file.content_type,
            "extension": PurePath(name).suffix.lower() or None,
            "failed": failed,
        }
        raise


def _of_upload(order: Order, asset: Asset, *, principal: Principal, key: str | None) -> Job:
    """Order with this upload; unless a new job uses it, it goes again."""
    job: Job | None = None
    try:
        job = _with_asset(order, asset, principal=principal, key=key)
    finally:
        if job is None or job.asset_id != asset.pk:
            asset_delete(workspace=principal.workspace, asset_uuid=asset.uuid)
    return job


def _with_asset(order: Order, asset: Asset, *, principal: Principal, key: str | None) -> Job:
    def once(used: Asset) -> Job:
        return _once(
            replace(order, asset_uuid=used.uuid),
            f"{order.sha256} {asset.sha256} {asset.filename}",
            principal=principal,
            key=key,
        )

    known = _known_asset(principal.workspace, asset, key)
    try:
        return once(known or asset)
    except IdempotencyConflict:
        # Perhaps the same call beside this one was first, with an upload of its own.
        first = _known_asset(principal.workspace, asset, key)
        if first is None or first == known:
            raise
        return once(first)


def _known_asset(workspace: Workspace, asset: Asset, key: str | None) -> Asset | None:
    """The same recording as it was sent with this key before."""
    if key is None:
        return None
    job = job_list(workspace=workspace).filter(idempotency_key=key).first()
    if job is None or job.asset is None:
        return None
    if (job.asset.sha256, job.asset.filename) != (asset.sha256, asset.filename):
        raise IdempotencyConflict
    return job.asset


def _once(order: Order, sent: str, *, principal: Principal, key: str | None) -> Job:
    """The job of this order, or of the same one a moment ago unless that came to nothing.

    `sent` is what tells orders apart; an upload has another id each time.
    """
    while True:
        job = job_create(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            order=order,
            idempotency_key=key,
            repeat=Repeat(hashlib.sha256(sent.encode()).hexdigest(), REPEATED_WITHIN_S),
        )
        if key is not None or job.state not in _CAME_TO_NOTHING:
            return job
        sent += f" after {job.pk}"
