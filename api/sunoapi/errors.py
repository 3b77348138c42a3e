"""Errors in the words of this API: `code` and `msg` of a body, whose HTTP status says little."""

from collections.abc import Iterable

from api.dialects import Rendered
from config.errors import (
    AddressRefused,
    AppError,
    InsufficientCredits,
    KeyCapReached,
    LimitReached,
    MediaError,
    ModelUnavailable,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
    TooManyRequests,
    ValidationFailed,
    WrongState,
)

# As the API documents them.
CODES = (200, 400, 401, 404, 405, 409, 413, 429, 430, 455, 500)
INSUFFICIENT_CREDITS = 429
# Of reasons why a recording could not be fetched (jobs/outbound.py); not one is our fault.
_OF_ADDRESSES = {"timeout", "connection_failed", "tls_failed", "too_many_redirects", "bad_answer"}


class UnknownTask(ValidationFailed):
    """Their 404 means an address or a method; an id that is not known is a wrong parameter."""

    code = "unknown_task"
    message = "There is no such task or audio; send a taskId and an audioId that you were given."


class CallsTooFrequent(TooManyRequests):
    code = "calls_too_frequent"
    message = "Your call frequency is too high. Please try again later."


class RecordExists(WrongState):
    code, message = "record_exists", "The WAV record of this audio already exists."


def render(error: AppError) -> Rendered:
    code = code_of(error)
    # Their documents give 200 for every body; 401 alone is what clients look for in the status.
    status = 401 if code == 401 else 200
    return Rendered(status, {"code": code, "msg": message_of(error), "data": None})


def code_of(error: AppError) -> int:
    match error:
        case CallsTooFrequent():
            return 430
        case RecordExists():
            return 409
        # "Rate limit exceeded"
        case TooManyRequests() | LimitReached():
            return 405
        case NotAuthenticated() | NotAllowed():
            return 401
        # A mode or stem that cannot be had here is a wrong parameter, not maintenance.
        case ModelUnavailable():
            return 400
    match error.status:
        case 402:
            return INSUFFICIENT_CREDITS
        # "Invalid request method or path"
        case 404 | 405:
            return 404
        case 413:
            return 413
        # "System maintenance"
        case 503:
            return 455
        case status:
            return 400 if status < 500 else 500


def message_of(error: AppError) -> str:
    problems = [f"{name}: {problem}" for name, all_ in error.fields.items() for problem in all_]
    return " ".join([error.text, *problems])


def failure_code(error_code: str) -> int:
    """What a task that failed is told by, from the code of its job."""
    if error_code in {InsufficientCredits.code, KeyCapReached.code}:
        return INSUFFICIENT_CREDITS
    return 400 if error_code in _OF_CALLERS else 500


def _codes(kinds: Iterable[type[AppError]]) -> set[str]:
    found: set[str] = set()
    for kind in kinds:
        found |= {kind.code} | _codes(kind.__subclasses__())
    return found


# Empty: it was cancelled.
_OF_CALLERS = {"", "import_cancelled"} | _OF_ADDRESSES
_OF_CALLERS |= _codes([ValidationFailed, MediaError, TooLarge, AddressRefused])
