"""What can go wrong. All are StemwrightError, with `code`, `status`, `fields` and `request_id`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemwright.models import Import, Job, Upload


class StemwrightError(Exception):
    """`code` is stable and made for programs; the text is one sentence for people."""

    code = "error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        data: Mapping[str, Any] | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        # Of the HTTP answer; None where there was none.
        self.status = status
        # What is wrong with which field of the request.
        self.fields = {name: list(problems) for name, problems in (fields or {}).items()}
        self.data = dict(data or {})
        # Tell it to whoever runs the service.
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        # Of an order: under it, the same order again is charged once.
        self.idempotency_key: str | None = None

    def __str__(self) -> str:
        problems = [f"{name}: {' '.join(said)}" for name, said in self.fields.items()]
        return " ".join([self.message, *problems])


class ConnectionFailed(StemwrightError):
    """No answer came: what was sent may have arrived or not."""

    code = "connection_failed"


class BadAnswer(StemwrightError):
    """An answer that is not the service's: another server, or a proxy with a page of its own."""

    code = "bad_answer"


class ApiError(StemwrightError):
    """The service refused."""


class BadRequest(ApiError):
    """400"""


class NotAuthenticated(ApiError):
    """401: no key, or one that is wrong, revoked or expired."""


class PaymentRequired(ApiError):
    """402: not enough credits, or the cap of the key is reached."""


class NotAllowed(ApiError):
    """403: the key lacks a right."""


class NotFound(ApiError):
    """404: not there, or of another workspace."""


class Conflict(ApiError):
    """409: not in this state."""


class Gone(ApiError):
    """410"""


class TooLarge(ApiError):
    """413"""


class Unprocessable(ApiError):
    """422: a recording that cannot be read, an address that cannot be used."""


class TooManyRequests(ApiError):
    """429; `retry_after_s` says how soon it may be tried again."""


class ServerError(ApiError):
    """5xx"""


class ChecksumMismatch(StemwrightError):
    """What arrived is not what the service made."""

    code = "checksum_mismatch"


class WaitTimeout(StemwrightError):
    """It had not ended by then; it goes on."""

    code = "wait_timeout"


class JobFailed(StemwrightError):
    """The job ended without results: it failed or was cancelled. Nothing was charged."""

    def __init__(self, job: Job) -> None:
        self.job = job
        error = job.error
        message = error.message if error else f"The job was {job.status}."
        super().__init__(message, code=error.code if error else job.status)


class UploadFailed(StemwrightError):
    """What was sent or fetched is no recording that can be used."""

    def __init__(self, upload: Upload | Import) -> None:
        self.upload = upload
        error = upload.error
        message = error.message if error else f"The upload was {upload.state}."
        super().__init__(message, code=error.code if error else upload.state)


class InvalidSignature(StemwrightError):
    """A message that the service did not sign, or too long ago."""

    code = "invalid_signature"


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: NotAuthenticated,
    402: PaymentRequired,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Unprocessable,
    429: TooManyRequests,
}


def error_class(status: int) -> type[ApiError]:
    """The class of a status that is an error."""
    return _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
