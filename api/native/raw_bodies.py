"""Bodies that are neither JSON nor forms: read as they come, never as a whole."""

import re
from typing import Any

from django.conf import settings
from rest_framework.request import Request

from config.errors import ValidationFailed


def body_length(request: Request) -> int:
    """As the server told; bodies of unknown length were refused before."""
    text = str(request.META.get("CONTENT_LENGTH") or "0")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValidationFailed(fields={"Content-Length": ["This must be a number of bytes."]})
    return int(text)


def body_source(request: Request) -> Any:
    """Something to read from, which fails when nothing comes for too long.

    gunicorn sets no limit of its own: a client whose network is gone would hold a thread for ever.
    """
    connection = request.META.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(settings.UPLOAD_IDLE_SECONDS)
    return request._request
