"""The errors that the service shows to its callers.

Services raise them; each API renders them in its own envelope. An error carries a stable code, an
HTTP status, a sentence for people, and data for programs. Text of unknown exceptions never gets
this far: they are logged and shown as `internal`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    message: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self,
        message: str | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        fields: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.text = message or self.message
        self.data = dict(data or {})
        self.fields = dict(fields or {})
        self.headers = dict(headers or {})
        super().__init__(self.text)


class ValidationFailed(AppError):
    code, status, message = "validation_failed", 400, "The request is not valid."


class TwoCredentials(ValidationFailed):
    code, message = "two_credentials", "Two different keys or tokens were sent; send one."


class UnknownStem(ValidationFailed):
    code, message = "unknown_stem", "No such stem."


class IncompatibleStems(ValidationFailed):
    code, message = "incompatible_stems", "No single model makes all of these stems."


class UnknownModel(ValidationFailed):
    code, message = "unknown_model", "No such model."


class RangeOutside(ValidationFailed):
    code, message = "range_outside", "The range holds nothing of the recording."


class LengthDeferred(ValidationFailed):
    code, message = "length_deferred", "Announce the length: Upload-Defer-Length is not offered."


class UnsupportedChecksum(ValidationFailed):
    code, message = "unsupported_checksum", "Send a checksum of a kind that OPTIONS announces."


class WrongPartSize(ValidationFailed):
    code, message = "wrong_part_size", "This part has another size."


class WrongParts(ValidationFailed):
    code, message = "wrong_parts", "List every part once, each with its ETag."


class UnsupportedFormat(ValidationFailed):
    code, message = "unsupported_format", "This output format cannot be made."


class NotAuthenticated(AppError):
    code, status = "not_authenticated", 401
    message = "Send an API key (X-API-Key: ap_…) or an access token (Authorization: Bearer …)."


class InvalidKey(NotAuthenticated):
    code, message = "invalid_key", "This API key is not valid."


class InvalidAuthorization(InvalidKey):
    """The header Authorization is not `Bearer` and one word, nor one word alone."""


class KeyRevoked(NotAuthenticated):
    code, message = "key_revoked", "This API key was revoked."


class KeyExpired(NotAuthenticated):
    code, message = "key_expired", "This API key has expired."


class InvalidToken(NotAuthenticated):
    code, message = "invalid_token", "This token is not valid."


class TokenExpired(NotAuthenticated):
    code, message = "token_expired", "This access token has expired; refresh it."


class TokenRevoked(NotAuthenticated):
    code, message = "token_revoked", "This sign-in has ended; sign in again."


class TokenReused(NotAuthenticated):
    code = "token_reused"
    message = "This refresh token was used before; the sign-in has been ended for safety."


class InvalidCredentials(NotAuthenticated):
    code = "invalid_credentials"
    message = "The e-mail address, the password or the code is wrong, or the address unconfirmed."


class SecondFactorRequired(NotAuthenticated):
    code = "second_factor_required"
    message = "Send `code`: a code of your authenticator app, or a recovery code."


class UnknownPack(ValidationFailed):
    code, message = "unknown_pack", "There is no such pack of credits."


class UnknownPlan(ValidationFailed):
    code, message = "unknown_plan", "There is no such plan."


class NotForSale(ValidationFailed):
    code, message = "not_for_sale", "This is not sold any more."


class InvalidEvent(ValidationFailed):
    code, message = "invalid_event", "This is not an event for this service."


class CardDeclined(AppError):
    code, status, message = "card_declined", 402, "The card was declined."


class InsufficientCredits(AppError):
    code, status, message = "insufficient_credits", 402, "Not enough credits."


class KeyCapReached(AppError):
    code, status = "key_cap_reached", 402
    message = "The monthly cap of this API key is reached."


class NotAllowed(AppError):
    code, status, message = "not_allowed", 403, "You are not allowed to do this."


class NotMember(NotAllowed):
    code, message = "not_a_member", "You are not a member of this workspace."


class InvitationForAnother(NotAllowed):
    code = "invitation_for_another"
    message = "This invitation is for another address; sign in with that one, and confirm it."


class NotFound(AppError):
    code, status, message = "not_found", 404, "There is nothing here."


class InvitationInvalid(NotFound):
    code = "invitation_invalid"
    message = "This invitation does not exist, has expired, or was used or withdrawn."


class MethodNotAllowed(AppError):
    code, status, message = "method_not_allowed", 405, "This method is not offered here."


class WrongState(AppError):
    code, status, message = "wrong_state", 409, "This cannot be done in the present state."


class OwnerStays(WrongState):
    code = "owner_stays"
    message = "Ownership changes hands by a transfer only."


class AlreadyMember(WrongState):
    code, message = "already_member", "Whoever has this address is a member already."


class LimitReached(WrongState):
    code, message = "limit_reached", "There are as many of these as there can be."


class OffsetConflict(WrongState):
    code = "offset_conflict"
    message = "The upload goes on elsewhere; ask with HEAD for its Upload-Offset."


class RecordingGone(WrongState):
    code = "recording_gone"
    message = "The recording has been deleted; nothing can be made of it any more."


class NoSavedCard(WrongState):
    code, message = "no_saved_card", "There is no saved card to charge; buy a pack first."


class IdempotencyConflict(AppError):
    # 422, not 409: waiting and sending it again will not help (IETF draft, Idempotency-Key).
    code, status = "idempotency_conflict", 422
    message = "This idempotency key was used with other values."


class UploadGone(AppError):
    code, status, message = "upload_gone", 410, "This upload has expired or was cancelled."


class UnsupportedTusVersion(AppError):
    code, status, message = "unsupported_tus_version", 412, "Send Tus-Resumable: 1.0.0."


class ChecksumMismatch(AppError):
    # The status is that of tus.
    code, status, message = (
        "checksum_mismatch",
        460,
        "The bytes have another checksum; resend them.",
    )


class UploadSizeMismatch(AppError):
    code, status = "upload_size_mismatch", 422
    message = "The parts do not add up to the announced size; the upload was given up."


class LengthRequired(AppError):
    code, status = "length_required", 411
    message = "Send the length of the body as Content-Length; chunks without one are not read."


class TooLarge(AppError):
    code, status, message = "too_large", 413, "The file is too large."


class UnsupportedMediaType(AppError):
    code, status, message = (
        "unsupported_media_type",
        415,
        "Send application/json; an upload as multipart/form-data.",
    )


class MediaError(AppError):
    """The recording itself is at fault; sending it again will not help."""

    code, status, message = "broken_media", 422, "The recording cannot be read."


class EmptyFile(MediaError):
    code, message = "empty_file", "The file is empty."


class UnsupportedMedia(MediaError):
    code, message = "unsupported_media", "This is not a kind of recording that can be read."


class NoAudioStream(MediaError):
    code, message = "no_audio_stream", "The file has no audio."


class NoSpeech(MediaError):
    code, message = "no_speech", "Nobody speaks in the recording."


class TooLong(MediaError):
    code, message = "too_long", "The recording is too long."


class MediaTooSlow(MediaError):
    code, message = "takes_too_long", "Decoding the recording takes too long."


class MediaTooDemanding(MediaError):
    code, message = "media_too_demanding", "Decoding the recording takes more than it may."


class AddressRefused(AppError):
    """The same words for every reason: what a name leads to is not told."""

    code, status = "address_not_allowed", 422
    message = "This address cannot be used; give a public http or https address."


class TooManyRequests(AppError):
    code, status, message = "too_many_requests", 429, "Too many requests; wait a little."


class TooManyAttempts(TooManyRequests):
    code, message = "too_many_attempts", "Too many failed attempts; wait some minutes."


class Unavailable(AppError):
    code, status, message = "unavailable", 503, "This is not available at the moment."
    # None: it does not help to try again, until the operator has done something.
    retry_after_s: ClassVar[int | None] = 5

    def __init__(self, message: str | None = None, **values: Any) -> None:
        super().__init__(message, **values)
        if self.retry_after_s is not None:
            self.headers.setdefault("Retry-After", str(self.retry_after_s))


class NoRoom(Unavailable):
    code, message = "no_room", "There is no room for uploads at the moment; try again later."


class UploadInterrupted(Unavailable):
    code = "upload_interrupted"
    message = "The body ended early or came too slowly; go on from the present Upload-Offset."
    retry_after_s = 1


class ModelUnavailable(Unavailable):
    code, message = "model_unavailable", "This model is not installed here."
    retry_after_s = None


class PaymentsUnavailable(Unavailable):
    retry_after_s = None
    code, message = "payments_unavailable", "Nothing can be bought here: Stripe is not set up."


class PaymentProviderFailed(Unavailable):
    code = "payment_provider_failed"
    message = "The payment provider does not answer; try again a little later."


class PaymentProviderRefused(AppError):
    code, status = "payment_provider_refused", 502
    message = "The payment provider refused this; it will not help to try again."
