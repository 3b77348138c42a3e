"""What all endpoints of this API have in common: the envelope, errors, limits on calls."""

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.models import ApiKey
from accounts.principal import Principal
from accounts.rate_limits import UNLIMITED, rate_count
from api.authentication import rate_subject
from api.dialects import DialectApi
from api.sunoapi.dialect import DIALECT
from api.sunoapi.errors import CallsTooFrequent, UnknownTask
from api.views import JsonParser
from config.errors import NotFound, TooManyAttempts, TooManyRequests


class SunoApi(DialectApi):
    dialect = DIALECT
    parser_classes = [JsonParser]

    def get_exception_handler(self) -> Callable[..., Any]:
        return _handle


class OrderApi(SunoApi):
    """An endpoint that charges: so many calls in ten seconds, and what the key itself allows."""

    rate_limit = 20
    rate_window_s = 10

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        try:
            super().initial(request, *args, **kwargs)
        except TooManyAttempts:
            raise
        except TooManyRequests as error:
            raise CallsTooFrequent(headers=error.headers) from None
        _count_for_key(request)


def answer(data: Any, *, message: str = "success") -> Response:
    return Response({"code": 200, "msg": message, "data": data})


def body_of(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """What the body says. Fields that are not known are passed over, as clients expect it here."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def _handle(exception: Exception, context: Mapping[str, Any]) -> Response:
    if isinstance(exception, NotFound):
        exception = UnknownTask()
    return DIALECT.handle(exception, context)


def _count_for_key(request: Request) -> None:
    """What a key may in a minute holds for all its orders together."""
    match request.auth:
        case Principal(api_key=ApiKey(rate_limit_per_minute=int() as limit)) if limit != UNLIMITED:
            rate = rate_count(subject=rate_subject(request), endpoint="sunoapi-orders", limit=limit)
            if rate.is_exceeded:
                raise TooManyRequests(headers={"Retry-After": str(rate.reset_s)})
