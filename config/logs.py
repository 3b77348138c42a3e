"""What must not be read in a log."""

import re
from collections.abc import MutableMapping
from typing import Any

# Whoever has such a link may download, upload, set a password, confirm an address or see an
# invitation. Such an address may stand in the query of another, where its slashes are escaped.
_PATHS = (
    "/downloads/|/upload-parts/|(?<!workspace)/invitations/|/password/reset/key/|/confirm-email/"
)
_TOKENS = (
    re.compile(f"({_PATHS.replace('/', '(?:/|%2f)')})[^\\s?&\"']+", re.IGNORECASE),
    # An address that storage has signed, or that somebody gave us to fetch from another's storage.
    re.compile(
        r"([?&](?:x-amz-(?:signature|credential|security-token)|signature|sig|token)=)[^\s&\"']+",
        re.IGNORECASE,
    ),
    # Secrets of webhooks and keys of the API, by their form; the id of a key stays.
    re.compile(r"(\bwhsec_)[A-Za-z0-9+/=_-]+"),
    re.compile(r"(\bap_[A-Za-z0-9]{8})[A-Za-z0-9]{38}"),
)


def mask_tokens(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor; comes last before the renderer, so that tracebacks are text."""
    for name, value in event.items():
        if isinstance(value, str):
            for token in _TOKENS:
                value = token.sub(r"\1***", value)
            event[name] = value
    return event
