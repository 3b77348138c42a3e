from pathlib import PurePosixPath

_MAX_CHARS = 255
# Parts of words and of emoji, though invisible.
_JOINERS = "\u200c\u200d"


def plain_filename(text: str) -> str:
    """The name alone, of characters that can be shown and stored, and go into a header."""
    # Backslashes divide folders elsewhere.
    name = PurePosixPath(text.replace("\\", "/")).name
    return "".join(c for c in name if c.isprintable() or c in _JOINERS)[:_MAX_CHARS]
