"""Errors as this API words them: `message` and `error` are the same sentence, for people.

Clients read one or the other, as text. `code` is ours: stable, and made for programs.
"""

from typing import Any, Final

from api.dialects import Dialect, Rendered
from api.musicgpt.schema import ErrorSerializer
from config.errors import (
    AppError,
    LengthRequired,
    ModelUnavailable,
    NotAuthenticated,
    TwoCredentials,
    ValidationFailed,
)

# What is wrong with no field alone.
NO_FIELD: Final = "non_field_errors"
_SEND_A_KEY = "Send your API key as the header Authorization."


def render(error: AppError) -> Rendered:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return Rendered(_status(error), error_body(error), headers)


def error_body(error: AppError) -> dict[str, Any]:
    text = _sentence(error)
    return {"success": False, "message": text, "error": text, "code": error.code}


def _status(error: AppError) -> int:
    match error:
        # Asked for by name, and not to be had here: a wrong parameter.
        case ModelUnavailable():
            return 422
        case TwoCredentials() | LengthRequired():
            return 400
        # A body that could be read, and says something that cannot be done.
        case ValidationFailed() if error.fields or type(error) is not ValidationFailed:
            return 422
    return error.status


def _sentence(error: AppError) -> str:
    if type(error) is NotAuthenticated:
        return _SEND_A_KEY
    problems = [
        problem if name == NO_FIELD else f"{name}: {problem}"
        for name, texts in error.fields.items()
        for problem in texts
    ]
    return " ".join(problems) or error.text


DIALECT: Final = Dialect(
    name="musicgpt",
    title="MusicGPT",
    paths=("/api/public/v1/",),
    render=render,
    error=ErrorSerializer,
)
