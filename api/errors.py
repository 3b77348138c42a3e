"""Whatever goes wrong in a view as an AppError, which each API renders in its own words."""

import errno
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, UnreadablePostError
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions

from config import errors
from jobs.storage import StorageFailed

log = structlog.get_logger(__name__)


def app_error(exception: Exception) -> errors.AppError:
    """The error that callers are told of; what is our own fault is logged."""
    error = _as_app_error(exception)
    if error.status == 500:
        log.error("request_failed", code=error.code, exc_info=exception)
    elif error.status > 500:
        # Of a refusal that is meant, such as a shop that is closed, its place tells nothing.
        cause = None if error is exception else exception
        log.warning("request_refused", code=error.code, status=error.status, exc_info=cause)
    return error


def request_id() -> str:
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _as_app_error(exception: Exception) -> errors.AppError:
    match exception:
        case errors.AppError():
            return exception
        case exceptions.ValidationError():
            return errors.ValidationFailed(fields=_fields(exception.detail))
        case RequestDataTooBig():
            return errors.TooLarge(_("The body is too large."))
        case UnreadablePostError():
            return errors.UploadInterrupted(
                _("The body ended early or came too slowly; resend it.")
            )
        case StorageFailed():
            return errors.Unavailable(_("Storage does not answer; try again a little later."))
        case OSError(errno=errno.ENOSPC):
            return errors.NoRoom()
        # What remains of Django's own limits: the number of fields and of files.
        case exceptions.ParseError() | SuspiciousOperation():
            return errors.ValidationFailed(_("The body is not what its content type says."))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.NotAuthenticated()
        case exceptions.PermissionDenied() | PermissionDenied():
            return errors.NotAllowed()
        case exceptions.MethodNotAllowed():
            return errors.MethodNotAllowed()
        case exceptions.UnsupportedMediaType():
            return errors.UnsupportedMediaType()
        case exceptions.NotFound() | Http404():
            return errors.NotFound()
        case exceptions.NotAcceptable():
            return errors.ValidationFailed(_("Only JSON is offered here."))
        case _:
            return errors.AppError()


def _fields(detail: Any, name: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested messages: {"stems": {0: ["…"]}} becomes {"stems.0": ["…"]}."""
    if isinstance(detail, dict):
        flat: dict[str, list[str]] = {}
        for key, value in detail.items():
            flat |= _fields(value, f"{name}.{key}" if name else str(key))
        return flat
    return {name: [str(message) for message in detail]}
