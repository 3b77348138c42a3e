from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from api.authentication import ApiKeyAuthentication, api_key_of
from api.native.errors import exception_handler, request_id
from api.native.schema import NativeSchema


class JsonAlways(BaseContentNegotiation):
    """Answers are JSON whatever `Accept` says; errors too."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        from rest_framework.negotiation import DefaultContentNegotiation

        return DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class NewestFirst(CursorPagination):
    """Pages that stay put while new rows arrive."""

    ordering = "-pk"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200


class NativeApi(APIView):
    """An endpoint under /v1/. Needs an API key unless `needs_key` is False."""

    authentication_classes = [ApiKeyAuthentication]
    content_negotiation_class = JsonAlways
    schema = NativeSchema()
    pagination_class = NewestFirst
    needs_key = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.needs_key:
            api_key_of(request)

    def get_exception_handler(self) -> Callable[..., Any]:
        return exception_handler

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response.headers["X-Request-ID"] = request_id()
        # DRF lets streamed responses through; its stubs do not say so.
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]


def page_response(
    view: NativeApi, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]
) -> Response:
    """One page of `rows`, newest first: {"next", "previous", "results"}."""
    pages = view.pagination_class()
    page = pages.paginate_queryset(rows, view.request, view) or []
    results = serializer(page, many=True, context={"request": view.request}).data
    return pages.get_paginated_response(results)
