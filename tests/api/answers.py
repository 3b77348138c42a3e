from typing import Any


def content(response: Any) -> bytes:
    """All of a file that is sent as it is read."""
    return b"".join(response.streaming_content)
