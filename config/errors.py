"""The errors that the service shows to its callers.

Services raise them; each API renders them in its own envelope. An error carries a stable code, an
HTTP status, a sentence for people, and data for programs. Text of unknown exceptions never gets
this far: they are logged and shown as `internal`.

Sentences are marked for translation where they are raised, and become words only where they are
shown: on a page in the language of its reader, in an answer to a program in English. What is stored
of an error is `english`, for whoever reads it later is somebody else (`stored_text`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.utils import translation
from django.utils.formats import localize
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext_lazy

# A sentence as it is, or one that is translated once it is shown.
Text = str | Promise
# Of this type: the errors of other services' APIs, which are never translated, override these.
_: Callable[[str], Text] = gettext_lazy


def _fill(text: Text, values: Mapping[str, Any]) -> str:
    return str(text) % {name: localize(value) for name, value in values.items()}


_fill_later: Callable[..., Promise] = lazy(_fill, str)  # type: ignore[assignment]


def filled(text: Text, **values: Any) -> Promise:
    """A sentence with values in it, `filled(_("At most %(n)s days."), n=30)`.

    It is translated when it is shown, and its numbers are written as in that
    language.
    """
    return _fill_later(text, values)


class AppError(Exception):
    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    message: ClassVar[Text] = _("Something went wrong on our side.")

    def __init__(
        self,
        message: Text | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        fields: Mapping[str, Sequence[Text]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.sentence = message or self.message
        self.field_sentences = dict(fields or {})
        self.data = dict(data or {})
        self.headers = dict(headers or {})
        super().__init__(self.sentence)

    @property
    def text(self) -> str:
        """What is wrong, in the language of whoever is answered."""
        return str(self.sentence)

    @property
    def fields(self) -> dict[str, list[str]]:
        """What is wrong with which value, in the language of whoever is answered."""
        return {name: [str(one) for one in texts] for name, texts in self.field_sentences.items()}

    @property
    def english(self) -> str:
        """What is wrong, as it is stored."""
        with translation.override(settings.LANGUAGE_CODE):
            return self.text


def stored_text(code: str, english: str) -> str:
    """A stored sentence in the reader's language; the code's own where it had values in it."""
    if translation.get_language() == settings.LANGUAGE_CODE or not english:
        return english
    translated = translation.gettext(english)
    if translated != english:
        return translated
    kind = _kind_of(code)
    return english if kind is None else str(kind.message)


# For an English sentence from elsewhere that becomes an error of ours.
stored_text_later: Callable[[str, str], Promise] = lazy(stored_text, str)  # type: ignore[assignment]


def _kind_of(code: str, base: type[AppError] = AppError) -> type[AppError] | None:
    """The most general error of this code."""
    if base.code == code:
        return base
    found = (_kind_of(code, kind) for kind in base.__subclasses__())
    return next((kind for kind in found if kind is not None), None)


class ValidationFailed(AppError):
    code, status, message = "validation_failed", 400, _("The request is not valid.")


class TwoCredentials(ValidationFailed):
    code, message = "two_credentials", _("Two different keys or tokens were sent; send one.")


class UnknownStem(ValidationFailed):
    code, message = "unknown_stem", _("No such stem.")


class IncompatibleStems(ValidationFailed):
    code, message = "incompatible_stems", _("No single model makes all of these stems.")


class UnknownModel(ValidationFailed):
    code, message = "unknown_model", _("No such model.")


class RangeOutside(ValidationFailed):
    code, message = "range_outside", _("The range holds nothing of the recording.")


class LengthDeferred(ValidationFailed):
    code, message = "length_deferred", _("Announce the length: Upload-Defer-Length is not offered.")


class UnsupportedChecksum(ValidationFailed):
    code, message = "unsupported_checksum", _("Send a checksum of a kind that OPTIONS announces.")


class WrongPartSize(ValidationFailed):
    code, message = "wrong_part_size", _("This part has another size.")


class WrongParts(ValidationFailed):
    code, message = "wrong_parts", _("List every part once, each with its ETag.")


class UnsupportedFormat(ValidationFailed):
    code, message = "unsupported_format", _("This output format cannot be made.")


class NotAuthenticated(AppError):
    code, status = "not_authenticated", 401
    message = _("Send an API key (X-API-Key: ap_…) or an access token (Authorization: Bearer …).")


class InvalidKey(NotAuthenticated):
    code, message = "invalid_key", _("This API key is not valid.")


class InvalidAuthorization(InvalidKey):
    """The header Authorization is not `Bearer` and one word, nor one word alone."""


class KeyRevoked(NotAuthenticated):
    code, message = "key_revoked", _("This API key was revoked.")


class KeyExpired(NotAuthenticated):
    code, message = "key_expired", _("This API key has expired.")


class InvalidToken(NotAuthenticated):
    code, message = "invalid_token", _("This token is not valid.")


class TokenExpired(NotAuthenticated):
    code, message = "token_expired", _("This access token has expired; refresh it.")


class TokenRevoked(NotAuthenticated):
    code, message = "token_revoked", _("This sign-in has ended; sign in again.")


class TokenReused(NotAuthenticated):
    code = "token_reused"
    message = _("This refresh token was used before; the sign-in has been ended for safety.")


class InvalidCredentials(NotAuthenticated):
    code = "invalid_credentials"
    message = _(
        "The e-mail address, the password or the code is wrong, or the address unconfirmed."
    )


class SecondFactorRequired(NotAuthenticated):
    code = "second_factor_required"
    message = _("Send `code`: a code of your authenticator app, or a recovery code.")


class UnknownPack(ValidationFailed):
    code, message = "unknown_pack", _("There is no such pack of credits.")


class UnknownPlan(ValidationFailed):
    code, message = "unknown_plan", _("There is no such plan.")


class NotForSale(ValidationFailed):
    code, message = "not_for_sale", _("This is not sold any more.")


class InvalidEvent(ValidationFailed):
    code, message = "invalid_event", _("This is not an event for this service.")


class CardDeclined(AppError):
    code, status, message = "card_declined", 402, _("The card was declined.")


class InsufficientCredits(AppError):
    code, status, message = "insufficient_credits", 402, _("Not enough credits.")


class KeyCapReached(AppError):
    code, status = "key_cap_reached", 402
    message = _("The monthly cap of this API key is reached.")


class NotAllowed(AppError):
    code, status, message = "not_allowed", 403, _("You are not allowed to do this.")


class NotMember(NotAllowed):
    code, message = "not_a_member", _("You are not a member of this workspace.")


class InvitationForAnother(NotAllowed):
    code = "invitation_for_another"
    message = _("This invitation is for another address; sign in with that one, and confirm it.")


class NotFound(AppError):
    code, status, message = "not_found", 404, _("There is nothing here.")


class InvitationInvalid(NotFound):
    code = "invitation_invalid"
    message = _("This invitation does not exist, has expired, or was used or withdrawn.")


class MethodNotAllowed(AppError):
    code, status, message = "method_not_allowed", 405, _("This method is not offered here.")


class WrongState(AppError):
    code, status, message = "wrong_state", 409, _("This cannot be done in the present state.")


class OwnerStays(WrongState):
    code = "owner_stays"
    message = _("Ownership changes hands by a transfer only.")


class AlreadyMember(WrongState):
    code, message = "already_member", _("Whoever has this address is a member already.")


class LimitReached(WrongState):
    code, message = "limit_reached", _("There are as many of these as there can be.")


class OffsetConflict(WrongState):
    code = "offset_conflict"
    message = _("The upload goes on elsewhere; ask with HEAD for its Upload-Offset.")


class RecordingGone(WrongState):
    code = "recording_gone"
    message = _("The recording has been deleted; nothing can be made of it any more.")


class NoSavedCard(WrongState):
    code, message = "no_saved_card", _("There is no saved card to charge; buy a pack first.")


class IdempotencyConflict(AppError):
    # 422, not 409: waiting and sending it again will not help (IETF draft, Idempotency-Key).
    code, status = "idempotency_conflict", 422
    message = _("This idempotency key was used with other values.")


class UploadGone(AppError):
    code, status, message = "upload_gone", 410, _("This upload has expired or was cancelled.")


class UnsupportedTusVersion(AppError):
    code, status, message = "unsupported_tus_version", 412, _("Send Tus-Resumable: 1.0.0.")


class ChecksumMismatch(AppError):
    # The status is that of tus.
    code, status, message = (
        "checksum_mismatch",
        460,
        _("The bytes have another checksum; resend them."),
    )


class UploadSizeMismatch(AppError):
    code, status = "upload_size_mismatch", 422
    message = _("The parts do not add up to the announced size; the upload was given up.")


class LengthRequired(AppError):
    code, status = "length_required", 411
    message = _("Send the length of the body as Content-Length; chunks without one are not read.")


class TooLarge(AppError):
    code, status, message = "too_large", 413, _("The file is too large.")


class UnsupportedMediaType(AppError):
    code, status, message = (
        "unsupported_media_type",
        415,
        _("Send application/json; an upload as multipart/form-data."),
    )


class MediaError(AppError):
    """The recording itself is at fault; sending it again will not help."""

    code, status, message = "broken_media", 422, _("The recording cannot be read.")


class EmptyFile(MediaError):
    code, message = "empty_file", _("The file is empty.")


class UnsupportedMedia(MediaError):
    code, message = "unsupported_media", _("This is not a kind of recording that can be read.")


class NoAudioStream(MediaError):
    code, message = "no_audio_stream", _("The file has no audio.")


class NoSpeech(MediaError):
    code, message = "no_speech", _("Nobody speaks in the recording.")


class TooLong(MediaError):
    code, message = "too_long", _("The recording is too long.")


class MediaTooSlow(MediaError):
    code, message = "takes_too_long", _("Decoding the recording takes too long.")


class MediaTooDemanding(MediaError):
    code, message = "media_too_demanding", _("Decoding the recording takes more than it may.")


class AddressRefused(AppError):
    """The same words for every reason: what a name leads to is not told."""

    code, status = "address_not_allowed", 422
    message = _("This address cannot be used; give a public http or https address.")


class TooManyRequests(AppError):
    code, status, message = "too_many_requests", 429, _("Too many requests; wait a little.")


class TooManyAttempts(TooManyRequests):
    code, message = "too_many_attempts", _("Too many failed attempts; wait some minutes.")


class Unavailable(AppError):
    code, status, message = "unavailable", 503, _("This is not available at the moment.")
    # None: it does not help to try again, until the operator has done something.
    retry_after_s: ClassVar[int | None] = 5

    def __init__(self, message: Text | None = None, **values: Any) -> None:
        super().__init__(message, **values)
        if self.retry_after_s is not None:
            self.headers.setdefault("Retry-After", str(self.retry_after_s))


class NoRoom(Unavailable):
    code, message = "no_room", _("There is no room for uploads at the moment; try again later.")


class UploadInterrupted(Unavailable):
    code = "upload_interrupted"
    message = _("The body ended early or came too slowly; go on from the present Upload-Offset.")
    retry_after_s = 1


class ModelUnavailable(Unavailable):
    code, message = "model_unavailable", _("This model is not installed here.")
    retry_after_s = None


class PaymentsUnavailable(Unavailable):
    retry_after_s = None
    code, message = "payments_unavailable", _("Nothing can be bought here: Stripe is not set up.")


class PaymentProviderFailed(Unavailable):
    code = "payment_provider_failed"
    message = _("The payment provider does not answer; try again a little later.")


class PaymentProviderRefused(AppError):
    code, status = "payment_provider_refused", 502
    message = _("The payment provider refused this; it will not help to try again.")
