"""Fields of requests whose texts come in several shapes."""

import json
from collections.abc import Mapping
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_NAMES_AT_MOST = 64


def _is_text(name: Any) -> bool:
    # A JSON text inside of a text may hold half of a surrogate pair, which no error could repeat.
    return isinstance(name, str) and name.strip().isprintable()


@extend_schema_field(OpenApiTypes.STR)
class NamesField(serializers.Field[list[str], Any, Any, Any]):
    """A list of known names, as the text of a JSON list, with commas between, or as a list.

    What comes out is in our words, each once. Case does not matter.
    """

    default_error_messages = {
        "not_names": 'Send a JSON list of names, such as ["{first}"].',
        "unknown": "There is no '{name}'; there are {known}.",
    }

    def __init__(self, *, known: Mapping[str, str], **options: Any) -> None:
        super().__init__(**options)
        self.known = known
        self._by_lower = {name.lower(): name for name in known}

    def to_internal_value(self, data: Any) -> list[str]:
        names = self._listed(data)
        if len(names) > _NAMES_AT_MOST or not all(map(_is_text, names)):
            self.fail("not_names", first=next(iter(self.known)))
        return list(dict.fromkeys(self._ours(name) for name in names))

    def to_representation(self, value: list[str]) -> list[str]:
        return value

    def _listed(self, data: Any) -> list[Any]:
        if isinstance(data, str) and data.lstrip().startswith(("[", '"')):
            try:
                data = json.loads(data)
            except (ValueError, RecursionError):
                self.fail("not_names", first=next(iter(self.known)))
        if isinstance(data, str):
            return [name for name in data.split(",") if name.strip()]
        if not isinstance(data, list):
            self.fail("not_names", first=next(iter(self.known)))
        return data

    def _ours(self, text: str) -> str:
        name = self._by_lower.get(text.strip().lower())
        if name is None:
            self.fail("unknown", name=text[:100], known=", ".join(self.known))
        return self.known[name]


class MillisecondsField(serializers.FloatField):
    """A moment of the recording; what comes out is in seconds."""

    def to_internal_value(self, data: Any) -> float:
        return super().to_internal_value(data) / 1000


class PlainText(serializers.CharField):
    """Text, and nothing else that JSON has."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)
