"""The form of an API key: `ap_` + id (8) + secret (32) + checksum (6), all in base 62.

The checksum lets a typing error or a random string be refused without asking the database, and
lets secret scanners tell a key from noise. The secret has 190 bits, so a fast keyed hash is enough.
"""

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

PREFIX = "ap_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 8, 32, 6
_FORM = re.compile(
    f"{PREFIX}[{_ALPHABET}]{{{_ID_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH}}}", re.ASCII
)


@dataclass(frozen=True)
class Key:
    key_id: str
    secret: str

    def __str__(self) -> str:
        body = PREFIX + self.key_id + self.secret
        return body + _checksum(body)


def key_make() -> Key:
    return Key(_random(_ID_LENGTH), _random(_SECRET_LENGTH))


def key_parse(text: str) -> Key | None:
    """Take a key apart; None for anything that cannot be one."""
    if not _FORM.fullmatch(text):
        return None
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    if not hmac.compare_digest(_checksum(body), checksum):
        return None
    start = len(PREFIX)
    return Key(body[start : start + _ID_LENGTH], body[start + _ID_LENGTH :])


def secret_hash(secret: str, *, pepper: str) -> bytes:
    return hmac.digest(pepper.encode(), secret.encode(), "sha256")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
