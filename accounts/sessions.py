"""The sessions of browsers (SESSION_ENGINE)."""

from django.contrib.sessions.backends import base, db

_CHARACTERS = set(base.VALID_KEY_CHARS)


class SessionStore(db.SessionStore):
    """Django's, in the database, which cannot be asked for just any cookie: not for a NUL."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key if set(session_key or "") <= _CHARACTERS else None)
