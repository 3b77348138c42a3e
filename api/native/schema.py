"""What the generated description of the native API says beyond its serializers."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from api.authentication import PrincipalAuthentication
from api.native.errors import ErrorSerializer


class NativeSchema(AutoSchema):
    def get_summary(self) -> str:
        return self.get_description().partition("\n")[0]

    def get_auth(self) -> list[dict[str, list[str]]]:
        auth: list[dict[str, list[str]]] = super().get_auth()
        # A key may be sent where none is needed: it tells whose prices are meant.
        is_open = getattr(self.view, "scopes", {}).get(self.method) == "open"
        return [{}, *auth] if is_open and auth else auth

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            # Every error has the same envelope, whatever its status.
            component: ResolvedComponent = self.resolve_serializer(ErrorSerializer, "response")
            operation["responses"]["default"] = {
                "description": "Any error: `error.code` says which.",
                "content": {"application/json": {"schema": component.ref}},
            }
        return operation


class PrincipalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = PrincipalAuthentication
    # Either will do. Both headers take both kinds of credential.
    name = ["apiKey", "bearer"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            {"type": "http", "scheme": "bearer"},
        ]
