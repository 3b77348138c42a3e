"""From the service's JSON to dataclasses, and back for whoever wants JSON."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from stemwright.errors import BadAnswer

Value = TypeVar("Value")


def read(kind: type[Value], body: Any) -> Value:
    """An object of `kind`. What it does not know, since the service is newer, is in its `more`."""
    if not isinstance(body, dict):
        raise BadAnswer(f"The answer is no {kind.__name__}.")
    hints = _hints(cast(Any, kind))
    values: dict[str, Any] = {}
    more = dict(body)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name = name_of(field)
        if name in more and field.name != "more":
            values[field.name] = _value(hints[field.name], more.pop(name))
    values["more"] = more
    try:
        return kind(**values)
    except TypeError as error:
        raise BadAnswer(f"The answer is no {kind.__name__}: {error}.") from None


def name_of(field: dataclasses.Field[Any]) -> str:
    """In JSON: that of some is none in Python."""
    return str(field.metadata.get("name", field.name))


def to_json(value: Any) -> Any:
    """What `json.dumps` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {name_of(field): getattr(value, field.name) for field in dataclasses.fields(value)}
        more = shown.pop("more", {})
        return {name: to_json(one) for name, one in (shown | more).items()}
    if isinstance(value, dict):
        return {name: to_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(cast(Any, kind))


def _value(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if value is None:
        return None
    if origin in (Union, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
        return _value(hint, value)
    if origin is list:
        (inner,) = get_args(hint)
        return [_value(inner, one) for one in value]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read(hint, value)
    if hint is datetime:
        # Python 3.10 does not know the "Z".
        return datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    if hint is date:
        return date.fromisoformat(value)
    return value
