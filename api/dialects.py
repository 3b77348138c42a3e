"""What the APIs of other services have in common here: each is a dialect, known by its paths.

A dialect decides how an error looks, also one that no view of it raised (an unknown address, a
method that is not offered, a fault of ours). It registers when Django starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.http import HttpRequest, JsonResponse
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.views import set_rollback

from api.errors import app_error, request_id
from api.views import ApiView, JsonParser
from config.errors import AppError


@dataclass(frozen=True)
class Rendered:
    """An error in the words of a dialect."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class AnyErrorSerializer(Serializer[Any]):
    """For the schema: an object that says what went wrong."""


@dataclass(frozen=True)
class Dialect:
    """`paths` are the beginnings of its addresses, no two dialects' the same."""

    name: str
    title: str
    paths: tuple[str, ...]
    render: Callable[[AppError], Rendered]
    # What `render` makes, for the description.
    error: type[Serializer[Any]] = AnyErrorSerializer

    def handle(self, exception: Exception, context: Mapping[str, Any]) -> Response:
        """DRF's exception handler of all its views."""
        set_rollback()
        error = app_error(exception)
        rendered = self.render(error)
        headers = {**error.headers, **rendered.headers}
        return Response(rendered.body, status=rendered.status, headers=headers)


_DIALECTS: list[Dialect] = []


def dialect_register(dialect: Dialect) -> None:
    _DIALECTS.append(dialect)


def dialect_of(path: str) -> Dialect | None:
    """The one that an address belongs to, also one that does not exist."""
    found = [
        (len(start), dialect)
        for dialect in _DIALECTS
        for start in dialect.paths
        if path.startswith(start)
    ]
    # "/api/file-…" is not of whom "/api/file" is.
    return max(found, key=lambda pair: pair[0])[1] if found else None


def error_response(request: HttpRequest, error: AppError) -> JsonResponse | None:
    """For what goes wrong outside of any view, under the paths of a dialect."""
    dialect = dialect_of(request.path)
    if dialect is None:
        return None
    rendered = dialect.render(error)
    headers = {**error.headers, **rendered.headers, "X-Request-ID": request_id()}
    return JsonResponse(rendered.body, status=rendered.status, headers=headers)


class DialectApi(ApiView):
    """An endpoint of an outside API; each package has a subclass that names its dialect."""

    dialect: ClassVar[Dialect]
    parser_classes = [JsonParser, FormParser, MultiPartParser]

    @classmethod
    def described(cls) -> tuple[str, type[BaseSerializer[Any]]]:
        return cls.dialect.name, cls.dialect.error

    def get_exception_handler(self) -> Callable[..., Any]:
        return self.dialect.handle
