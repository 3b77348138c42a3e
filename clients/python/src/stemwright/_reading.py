"""From the service's JSON to dataclasses, and back for whoever wants JSON."""

from __future__ import annotations

import dataclasses
from datetime import datetime
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
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in body and field.name != "more":
            values[field.name] = _value(hints[field.name], body[field.name])
    values["more"] = {name: value for name, value in body.items() if name not in values}
    try:
        return kind(**values)
    except TypeError as error:
        raise BadAnswer(f"The answer is no {kind.__name__}: {error}.") from None


def to_json(value: Any) -> Any:
    """What `json.dumps` takes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        more = shown.pop("more", {})
        return {name: to_json(one) for name, one in (shown | more).items()}
    if isinstance(value, dict):
        return {name: to_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


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
    return value
