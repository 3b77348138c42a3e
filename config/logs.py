"""What must not be read in a log."""

import re
from collections.abc import MutableMapping
from typing import Any

# Whoever has such a link may download, set a password, confirm an address or see an invitation.
# Such an address may stand in the query of another, where its slashes are escaped.
_PATHS = "/downloads/|(?<!workspace)/invitations/|/password/reset/key/|/confirm-email/"
_TOKEN = re.compile(f"({_PATHS.replace('/', '(?:/|%2f)')})[^\\s?&\"']+", re.IGNORECASE)


def mask_tokens(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor; comes last before the renderer, so that tracebacks are text."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _TOKEN.sub(r"\1***", value)
    return event
