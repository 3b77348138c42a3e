"""What the calls that order something have in common: a clip, and whom to tell."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request

from accounts.models import Workspace
from api.authentication import principal_of
from api.idempotency import idempotency_key
from api.musicapi.dialect import DIALECT
from api.musicapi.errors import ClipNotFound
from api.musicapi.waiting import job_now
from config.errors import NotFound
from jobs.models import Asset, Job
from jobs.selectors import asset_get_for_workspace
from jobs.services import Order


class ClipSerializer(serializers.Serializer[Any]):
    clip_id = serializers.CharField(
        max_length=64, help_text="Of an upload, or of something that was made here."
    )


class OrderSerializer(ClipSerializer):
    webhook_url = serializers.CharField(
        required=False, allow_blank=True, max_length=1024, help_text="Told when the task ends."
    )
    webhook_secret = serializers.CharField(
        required=False, allow_blank=True, max_length=256, help_text="Signs what is told."
    )


def clip_of(workspace: Workspace, text: str) -> Asset:
    try:
        return asset_get_for_workspace(workspace=workspace, asset_uuid=UUID(text))
    except (ValueError, NotFound):
        raise ClipNotFound from None


def order_of(clip: Asset, *, kind: str, values: Mapping[str, Any], **order: Any) -> Order:
    """`kind` is how the task shows itself later; `values` are those of an OrderSerializer."""
    data = {"kind": kind, **order.pop("dialect_data", {})}
    return Order(
        asset_uuid=clip.uuid,
        dialect=DIALECT.name,
        dialect_data=data,
        callback_url=values.get("webhook_url", ""),
        callback_style=DIALECT.name,
        callback_secret=values.get("webhook_secret", ""),
        **order,
    )


def job_done(request: Request, order: Order) -> Job:
    """A job that succeeded while the caller waited."""
    principal = principal_of(request)
    return job_now(
        workspace=principal.workspace,
        api_key=principal.api_key,
        person=principal.user,
        order=order,
        idempotency_key=idempotency_key(request),
    )
