"""What the views of all APIs have in common: bodies, answers in JSON, limits on calls."""

import json
from collections.abc import Mapping
from typing import IO, Any, ClassVar, Final

from django.http import HttpResponseBase
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.serializers import ValidationError as SerializerError
from rest_framework.views import APIView

from accounts.rate_limits import UNLIMITED, WINDOW_S, Rate, rate_count
from api.authentication import (
    PrincipalAuthentication,
    default_rate_limit,
    person_of,
    principal_of,
    rate_subject,
)
from api.errors import request_id
from api.schemas import ApiSchema
from config.errors import LengthRequired, NotAllowed, TooManyRequests


class JsonAlways(DefaultContentNegotiation):
    """Answers are JSON whatever `Accept` says; errors too."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class JsonParser(JSONParser):
    def parse(self, stream: IO[Any], *args: Any, **kwargs: Any) -> Any:
        try:
            body = super().parse(stream, *args, **kwargs)
            # Half of a surrogate pair ("\ud800") is legal JSON, yet no text that could be stored
            # or repeated in an error.
            json.dumps(body, ensure_ascii=False).encode()
        except (RecursionError, UnicodeEncodeError) as error:
            raise exceptions.ParseError from error
        return body


class StrictSerializer(Serializer[Any]):
    """A body whose unknown fields are refused."""

    def to_internal_value(self, data: Any) -> Any:
        # A misspelt field would silently do, and perhaps charge for, something else.
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        problems = {name: ["There is no such field."] for name in unknown}
        try:
            values = super().to_internal_value(data)
        except SerializerError as error:
            raise SerializerError({**error.detail, **problems}) from None  # type: ignore[dict-item]
        if problems:
            raise SerializerError(problems)
        return values


def valid_body(serializer: type[StrictSerializer], request: Request) -> dict[str, Any]:
    """What the body says, once it is known to be right."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


# In `ApiView.scopes`: open to everybody, and to every person who signed in.
OPEN: Final = "open"
PERSON: Final = "person"


class RateLimited(APIView):
    """Counts each call once it is known who calls, and says in the answer what is left."""

    # Calls a minute; without one, that of the key, else that of the settings.
    rate_limit: ClassVar[int | None] = None
    # Of so many seconds instead of a minute.
    rate_window_s: ClassVar[int] = WINDOW_S
    _rate: Rate | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        limit = self.limit_of(request)
        if limit == UNLIMITED:
            return
        match = request.resolver_match
        endpoint = str(match.url_name if match else "")
        self._rate = rate_count(
            subject=rate_subject(request),
            endpoint=endpoint,
            limit=limit,
            window_s=self.rate_window_s,
        )
        if self._rate.is_exceeded:
            raise TooManyRequests(headers={"Retry-After": str(self._rate.reset_s)})

    def limit_of(self, request: Request) -> int:
        return self.rate_limit if self.rate_limit is not None else default_rate_limit(request)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        if self._rate is not None:
            for name, value in self._rate.headers.items():
                response.headers[name] = value
        # DRF lets streamed responses through; its stubs do not say so.
        return super().finalize_response(request, response, *args, **kwargs)  # type: ignore[arg-type]


class ApiView(RateLimited):
    """An endpoint of any API. `scopes` says what each of its methods needs."""

    scopes: ClassVar[Mapping[str, str]] = {}
    authentication_classes = [PrincipalAuthentication]
    parser_classes = [JsonParser]
    content_negotiation_class = JsonAlways
    schema = ApiSchema()
    # No OPTIONS: the description of each API says more.
    metadata_class = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._check_scope(request)
        # Django would take such a body for an empty one.
        if "Transfer-Encoding" in request.headers and not request.headers.get("Content-Length"):
            raise LengthRequired

    @classmethod
    def described(cls) -> tuple[str, type[BaseSerializer[Any]]]:
        """The API that it is of, as in DESCRIBED, and how errors look there."""
        raise NotImplementedError

    def _check_scope(self, request: Request) -> None:
        method = "GET" if request.method == "HEAD" else str(request.method)
        scope = self.scopes.get(method)
        if scope is None and not self._is_offered(method):
            return  # It is answered with 405.
        if scope == OPEN:
            return
        principal = principal_of(request)
        if scope == PERSON:
            person_of(request)
        # A method that was forgotten in `scopes` is for nobody.
        elif scope not in principal.scopes:
            raise NotAllowed(f"This needs the right {scope}.", data={"scope": scope})

    def _is_offered(self, method: str) -> bool:
        return method != "OPTIONS" and hasattr(self, method.lower())

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response.headers["X-Request-ID"] = request_id()
        return super().finalize_response(request, response, *args, **kwargs)
