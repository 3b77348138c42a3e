import re
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from api.authentication import PrincipalAuthentication
from api.native.errors import ErrorSerializer, exception_handler
from api.native.sessions import PageAuthentication
from api.views import OPEN as OPEN
from api.views import PERSON as PERSON
from api.views import ApiView
from api.views import StrictSerializer as StrictSerializer
from api.views import valid_body as valid_body
from config.errors import ValidationFailed


class NewestFirst(CursorPagination):
    """Pages that stay put while new rows arrive."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int:
        limit = request.query_params.get(self.page_size_query_param)
        if limit is None:
            return self.page_size
        if not re.fullmatch(r"0*[1-9][0-9]{0,17}", limit):
            raise ValidationFailed(fields={"limit": ["This must be a whole number from 1 on."]})
        return min(int(limit), self.max_page_size)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            raise _bad_cursor() from None
        # DRF would hand any text to the database as a primary key.
        if cursor and cursor.position and not re.fullmatch(r"[0-9]{1,18}", str(cursor.position)):
            raise _bad_cursor()
        return cursor


def _bad_cursor() -> ValidationFailed:
    problem = "Take cursors from `next` and `previous` of a page."
    return ValidationFailed(fields={"cursor": [problem]})


class NativeApi(ApiView):
    """An endpoint under /v1/."""

    authentication_classes = [PrincipalAuthentication, PageAuthentication]
    pagination_class = NewestFirst

    @classmethod
    def described(cls) -> tuple[str, type[BaseSerializer[Any]]]:
        return "native", ErrorSerializer

    def get_exception_handler(self) -> Callable[..., Any]:
        return exception_handler


def page_response(
    view: NativeApi, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]
) -> Response:
    """One page of `rows`, newest first: {"next", "previous", "results"}."""
    pages = view.pagination_class()
    page = pages.paginate_queryset(rows, view.request, view) or []
    results = serializer(page, many=True, context={"request": view.request}).data
    return pages.get_paginated_response(results)
