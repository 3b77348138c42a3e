"""What must not be read in a log."""

import re
from collections.abc import MutableMapping
from typing import Any

# Whoever has the link may download: the token is as good as a key until it expires.
_DOWNLOAD_TOKEN = re.compile(r"(/downloads/)[^\s?\"']+")


def mask_download_tokens(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor; comes last before the renderer, so that tracebacks are text."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _DOWNLOAD_TOKEN.sub(r"\1***", value)
    return event
