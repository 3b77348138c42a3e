"""The header by which a caller makes sure that an order that is sent twice is one job."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from config.errors import ValidationFailed

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="Any text of yours, at most 200 characters. The same order again under the same "
    "key is the same job; another order under it is refused with `idempotency_conflict`.",
)


def idempotency_key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not key_check(key):
        problem = "Send 1 to 200 printable characters."
        raise ValidationFailed(fields={"Idempotency-Key": [problem]})
    return key


def key_check(key: str) -> bool:
    return 0 < len(key) <= 200 and key.isprintable()
