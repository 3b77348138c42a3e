"""The description (OpenAPI) of each API, made of its views; nothing of one is in another's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import patched_settings

from config.errors import NotFound

# Makes one at a time: its settings are patched for the whole process meanwhile.
_LOCK = Lock()

_BEARER = {"bearer": {"type": "http", "scheme": "bearer"}}
_TOKEN = {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}}
_KEY = {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}


@dataclass(frozen=True)
class Described:
    """An API as its readers see it; `security` holds what lets a caller in, each by itself."""

    title: str
    about: str
    prefix: str = ""
    security: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


DESCRIBED: Mapping[str, Described] = {
    "native": Described(
        "Stemwright",
        "Takes recordings apart. Amounts ending in `_mcr` are integer milli-credits.",
        prefix="v1/",
        security={**_KEY, **_BEARER},
    ),
    "neuralspace": Described(
        "NeuralSpace, as Stemwright answers it",
        "Voice extraction: upload a file, order, ask for the task. The token is sent bare.",
        security=_TOKEN,
    ),
    "audiopod": Described(
        "AudioPod, as Stemwright answers it",
        "Speaker extraction, stems, noise reduction, wallet and webhooks.",
        security={**_KEY, **_BEARER},
    ),
    "musicapi": Described(
        "MusicAPI, as Stemwright answers it",
        "Sonic: vocals of a range, stems, tempo, notes and WAV of clips.",
        security=_BEARER,
    ),
    "musicgpt": Described(
        "MusicGPT, as Stemwright answers it",
        "Extraction of stems with pre-processing. The key is sent bare.",
        security=_TOKEN,
    ),
    "sunoapi": Described(
        "SunoAPI, as Stemwright answers it",
        "Vocal removal and splits, with callbacks. Errors are a `code` in a body with status 200.",
        security=_BEARER,
    ),
}


@cache
def _made(name: str) -> dict[str, Any]:
    return _make(name)


def _make(name: str) -> dict[str, Any]:
    described = DESCRIBED[name]
    patches = {
        "TITLE": described.title,
        "DESCRIPTION": described.about,
        # What comes after it groups the calls.
        "SCHEMA_PATH_PREFIX": r"/(v1|api/public/v1|api/v1|api)",
        "APPEND_COMPONENTS": {"securitySchemes": dict(described.security)},
    }
    urls = import_module(f"api.{name}.urls")
    with patched_settings(patches):
        generator = SchemaGenerator(  # type: ignore[no-untyped-call]
            patterns=[path(described.prefix, include(urls))]
        )
        schema: dict[str, Any] = generator.get_schema(  # type: ignore[no-untyped-call]
            request=None, public=True
        )
    return schema


def description(name: str, *, anew: bool = False) -> dict[str, Any]:
    """The whole description of an API. Made once a process, within a second or so."""
    if name not in DESCRIBED:
        raise NotFound("There is no such API.")
    with _LOCK:
        return _make(name) if anew else _made(name)
