"""What the descriptions of all APIs say beyond their serializers."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from api.descriptions import DESCRIBED


class ApiSchema(AutoSchema):
    """The first line of a docstring is the summary, and all errors of an API look alike.

    A view says by `described()` which API it is of, and which serializer shows its errors.
    """

    view: Any

    def get_summary(self) -> str:
        return self.get_description().partition("\n")[0]

    def get_auth(self) -> list[dict[str, list[str]]]:
        if not self.view.authentication_classes:
            return []
        api, _ = self.view.described()
        auth: list[dict[str, list[str]]] = [{name: []} for name in DESCRIBED[api].security]
        # A key may be sent where none is needed: it tells whose prices are meant.
        is_open = getattr(self.view, "scopes", {}).get(self.method) == "open"
        return [{}, *auth] if is_open else auth

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            _, error = self.view.described()
            component: ResolvedComponent = self.resolve_serializer(error, "response")
            # One without fields is no component.
            schema = component.ref if component else {"type": "object"}
            operation["responses"]["default"] = {
                "description": "Any error.",
                "content": {"application/json": {"schema": schema}},
            }
        return operation
