"""Typed readers of environment variables. A secret may also come from the file NAME_FILE."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path


class EnvError(Exception):
    """A setting is missing or cannot be read; the message names it."""


def text(name: str, default: str | None = None) -> str:
    file = os.environ.get(f"{name}_FILE")
    value = Path(file).read_text().strip() if file else os.environ.get(name, default)
    if value is None or (default is None and not value.strip()):
        raise EnvError(f"Set the environment variable {name} (or {name}_FILE).")
    return value


def boolean(name: str, *, default: bool) -> bool:
    # Only these two words: "false", "0" or "no" taken for True has cost others dearly.
    match os.environ.get(name, str(default)):
        case "True":
            return True
        case "False":
            return False
        case other:
            raise EnvError(f"{name} must be True or False, not {other!r}.")


def integer(name: str, default: int) -> int:
    value = os.environ.get(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise EnvError(f"{name} must be a whole number, not {value!r}.") from None


def words(name: str, default: str | None) -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def integers(name: str) -> list[int]:
    try:
        return [int(word) for word in words(name, "")]
    except ValueError:
        raise EnvError(f"{name} must be whole numbers, separated by commas.") from None


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(word) for word in words(name, "")]
    except ValueError:
        raise EnvError(f"{name} must be networks such as 10.0.0.0/8.") from None
