"""What the views of this dialect share."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from api.audiopod.dialect import DIALECT
from api.dialects import Dialect, DialectApi
from config.errors import ValidationFailed

# From the first number that no id of a row has.
_SKIP_MAX = 2**31
LIST_PARAMETERS = [
    OpenApiParameter("skip", int, description="0 if left out."),
    OpenApiParameter("limit", int, description="1 to 100; 50 if left out."),
]


class AudiopodApi(DialectApi):
    """100 calls a minute for each key and endpoint (settings), unless the key has its own limit."""

    dialect: ClassVar[Dialect] = DIALECT


class PageSerializer(serializers.Serializer[Any]):
    """`skip` and `limit` of a list."""

    skip = serializers.IntegerField(default=0, min_value=0, max_value=_SKIP_MAX)
    limit = serializers.IntegerField(default=50, min_value=1, max_value=100)


class NumberedPageSerializer(serializers.Serializer[Any]):
    """`page`, from 1 on, and `limit` of a list."""

    page = serializers.IntegerField(default=1, min_value=1, max_value=10_000_000)
    limit = serializers.IntegerField(default=50, min_value=1, max_value=100)


def body_of(
    serializer: type[serializers.Serializer[Any]], request: Request, *, also: Any = None
) -> dict[str, Any]:
    """What is known of the body; fields that the API does not have are passed over, as there."""
    data = request.data
    if isinstance(data, Mapping):
        # A field of a form that is empty was left out.
        given = {name: data[name] for name in data}
        data = {**(also or {}), **{name: value for name, value in given.items() if value != ""}}
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def query_of(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    checked = serializer(data=request.query_params.dict())
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def page_of(rows: QuerySet[Any], request: Request) -> tuple[list[Any], dict[str, Any]]:
    """The rows asked for, and what a list says besides them."""
    values = query_of(PageSerializer, request)
    total = rows.count()
    end = values["skip"] + values["limit"]
    return list(rows[values["skip"] : end]), {"hasMore": end < total, "total": total}


def parameter_error(name: str, problem: str) -> ValidationFailed:
    return ValidationFailed(fields={name: [problem]})
