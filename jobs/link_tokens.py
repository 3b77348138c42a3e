"""Secrets in links: each opens one thing without a key, for as long as it says itself."""

import time
from typing import Any, Final

from django.conf import settings
from django.core import signing
from django.utils.translation import gettext_lazy as _

from config.errors import NotFound

# Some APIs promise links that hold so long.
LINK_SECONDS_MAX: Final = 14 * 24 * 3600


def token_make(value: Any, *, salt: str, seconds: int | None = None) -> str:
    """A secret for this value; without `seconds` it holds for as long as links usually do."""
    if seconds is None:
        # As is known when it is read: an operator who makes that shorter ends old links, too.
        return signing.dumps(value, salt=salt)
    return signing.dumps({"of": value, "s": max(1, min(seconds, LINK_SECONDS_MAX))}, salt=salt)


def token_read(token: str, *, salt: str) -> tuple[Any, int]:
    """The value, and for how many seconds the token still holds."""
    try:
        value = signing.loads(token, salt=salt, max_age=LINK_SECONDS_MAX)
    except signing.BadSignature:
        raise _nothing_here() from None
    lifetime = settings.DOWNLOAD_URL_SECONDS
    if isinstance(value, dict):
        value, lifetime = value["of"], value["s"]
    made_at = signing.b62_decode(token.split(":")[-2])
    left = made_at + lifetime - int(time.time())
    if left < 0:
        raise _nothing_here()
    return value, max(1, left)


def _nothing_here() -> NotFound:
    # Expired or forged: both are the same for a stranger.
    return NotFound(_("This link is not valid or no longer valid."))
