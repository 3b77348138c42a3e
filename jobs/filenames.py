from pathlib import PurePath, PurePosixPath

_MAX_CHARS = 255
# Parts of words and of emoji, though invisible.
_JOINERS = "\u200c\u200d"


def plain_filename(text: str) -> str:
    """The name alone, of characters that can be shown and stored, and go into a header."""
    # Backslashes divide folders elsewhere.
    name = PurePosixPath(text.replace("\\", "/")).name
    return "".join(c for c in name if c.isprintable() or c in _JOINERS)[:_MAX_CHARS]


def speaker_filename(recording: str, *, title: str, kind: str, suffix: str) -> str:
    """What the track or clip of a speaker is called when it is downloaded."""
    return recording[:150] + _speaker_tail(title, kind, suffix)


def speaker_filename_retitled(filename: str, *, old: str, new: str, kind: str) -> str:
    """The same after the speaker was renamed; the name of the recording need not be known."""
    suffix = PurePath(filename).suffix
    stem = filename.removesuffix(_speaker_tail(old, kind, suffix))
    return stem + _speaker_tail(new, kind, suffix)


def _speaker_tail(title: str, kind: str, suffix: str) -> str:
    # Slashes divide folders.
    title = title.replace("/", "_").replace("\\", "_")
    return f" ({title}{', sample' if kind == 'clip' else ''}){suffix}"
