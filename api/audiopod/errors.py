"""AudioPod's error bodies: `detail` for most, `error_code` where the input or the work failed."""

from typing import Any

from rest_framework import serializers

from api.audiopod.money import cents_text
from api.dialects import Rendered
from billing.pricing import MCR_PER_CREDIT
from config import errors
from config.errors import AppError

# Which recordings are taken, as the body of a refusal lists them.
_CONTENT_TYPES = ("audio/*", "video/*")
_EXTENSIONS = (
    *(".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".webm", ".wma", ".spx"),
    *(".mp4", ".avi", ".mov", ".mkv"),
)
_NOT_A_RECORDING = (errors.EmptyFile, errors.UnsupportedMedia, errors.NoAudioStream)
# Asked for, and not to be had here: their client would repeat a 503 three times.
_NOT_HERE = (errors.ModelUnavailable, errors.AddressRefused)
_TEXTS: dict[int, str] = {
    429: "Rate limit exceeded. Try again later.",
    500: "Internal server error",
}


class JobNotFound(errors.NotFound):
    message = "Job not found or access denied"


class InsufficientBalance(errors.InsufficientCredits):
    """As the wallet puts it, in cents; `data` has `required_cents` and `available_cents`."""

    code = "insufficient_api_balance"


class InvalidCode(errors.ValidationFailed):
    code, message = "invalid_verification_code", "Invalid or expired verification code"


class AudiopodErrorSerializer(serializers.Serializer[Any]):
    """Either `detail` alone, or a code with a message, or what a wallet lacks."""

    detail = serializers.CharField(required=False)
    error_code = serializers.CharField(required=False)
    message = serializers.CharField(required=False)
    details = serializers.DictField(required=False)
    error = serializers.CharField(required=False)
    required_cents = serializers.IntegerField(required=False)
    available_cents = serializers.IntegerField(required=False)


def render(error: AppError) -> Rendered:
    match error:
        case InsufficientBalance():
            return Rendered(402, _wallet_body(error))
        case errors.InsufficientCredits():
            return Rendered(402, {"detail": _credits_text(error)})
        case _ if isinstance(error, _NOT_A_RECORDING):
            return Rendered(400, _format_body(error))
        case errors.MediaError():
            return Rendered(422, _processing_body(error))
        case errors.ValidationFailed() | errors.IdempotencyConflict():
            return Rendered(error.status, _parameter_body(error))
        case _ if isinstance(error, _NOT_HERE):
            return Rendered(400, _parameter_body(error))
        case errors.KeyRevoked() | errors.KeyExpired():
            return Rendered(403, {"detail": error.text})
        case errors.NotAuthenticated():
            return Rendered(
                401,
                {"detail": error.text, "error_code": error.code},
                {"WWW-Authenticate": "Bearer"},
            )
        case _:
            return Rendered(error.status, {"detail": _TEXTS.get(error.status, error.text)})


def _wallet_body(error: AppError) -> dict[str, Any]:
    required, available = error.data["required_cents"], error.data["available_cents"]
    text = f"Required: {cents_text(required)}, Available: {cents_text(available)}"
    return {
        "error": error.code,
        "message": f"Insufficient balance. {text}",
        "required_cents": required,
        "available_cents": available,
    }


def _credits_text(error: AppError) -> str:
    # Whole credits: what is lacking must not look as if it were there.
    required = -(-int(error.data["required_mcr"]) // MCR_PER_CREDIT)
    available = int(error.data["available_mcr"]) // MCR_PER_CREDIT
    return f"Insufficient credits for processing. Required: {required}, Available: {available}"


def _format_body(error: AppError) -> dict[str, Any]:
    return {
        "error_code": "INVALID_AUDIO_FORMAT",
        "message": "Invalid file type. Must be audio or video file.",
        "details": {
            "content_type": error.data.get("content_type"),
            "extension": error.data.get("extension"),
            "supported_formats": list(_CONTENT_TYPES),
            "supported_extensions": list(_EXTENSIONS),
            "reason": error.text,
        },
    }


def _processing_body(error: AppError) -> dict[str, Any]:
    return {
        "error_code": "PROCESSING_FAILED",
        "message": error.data.get("failed", "Failed to process the audio"),
        "details": {"reason": error.text},
    }


def _parameter_body(error: AppError) -> dict[str, Any]:
    problems = [
        f"{name}: {sentence}" for name, sentences in error.fields.items() for sentence in sentences
    ]
    return {
        "error_code": error.code if isinstance(error, InvalidCode) else "INVALID_PARAMETER",
        "message": " ".join(problems) or error.text,
        "details": {"reason": error.code, "fields": error.fields},
    }
