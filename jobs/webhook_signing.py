"""Secrets of webhooks, and the signatures that they make (Standard Webhooks)."""

import base64
import secrets as random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now
from standardwebhooks import Webhook

from accounts.models import Workspace
from accounts.secrets import secret_decrypt, secret_encrypt
from jobs.models import CallbackSecret
from jobs.models.webhooks import SigningSecrets

_PREFIX = "whsec_"
_BYTES = 32


def signing_secret_make() -> tuple[str, str]:
    """A new secret: as its owner sees it, and as it is kept."""
    text = _PREFIX + base64.b64encode(random.token_bytes(_BYTES)).decode()
    return text, secret_encrypt(text)


def callback_secret_get(*, workspace: Workspace) -> CallbackSecret:
    """What signs messages to the addresses that single jobs name; made when first needed."""
    try:
        return workspace.callback_secret
    except CallbackSecret.DoesNotExist:
        values = {"secret": signing_secret_make()[1]}
        return CallbackSecret.objects.get_or_create(workspace=workspace, defaults=values)[0]


def rolled(kept: str, *, overlap: timedelta) -> dict[str, Any]:
    """The values of an UPDATE that puts a new secret beside the one of now."""
    return {
        "old_secret": F("secret"),
        "old_secret_until": Now() + overlap,
        "secret": kept,
    }


def secrets_at(signer: SigningSecrets, at: datetime) -> list[str]:
    """What signs at this moment, newest first. Raises SecretUnreadable."""
    kept = [signer.secret]
    if signer.old_secret_until is not None and at < signer.old_secret_until:
        kept.append(signer.old_secret)
    return [secret_decrypt(secret) for secret in kept]


def signed_headers(
    secrets: Sequence[str], *, message_uuid: UUID, at: datetime, content: bytes
) -> dict[str, str]:
    """The headers of Standard Webhooks that prove where a message comes from."""
    signatures = [
        Webhook(secret).sign(str(message_uuid), at, content.decode()) for secret in secrets
    ]
    return {
        "webhook-id": str(message_uuid),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
