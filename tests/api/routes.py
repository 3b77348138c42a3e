"""All addresses of the service, so that tests cover those that are added later."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

# Routes that need no key.
OPEN = {
    "native-auth-token",
    "native-auth-refresh",
    "native-auth-revoke",
    "native-download",
    "native-timeline-download",
    "native-archive-download",
    "native-upload-part",
    "native-billing-packs",
    "native-catalog",
    "native-openapi",
    "native-docs",
    "references",
    "outside-docs",
    "outside-openapi",
}


@dataclass(frozen=True)
class Route:
    name: str
    pattern: str
    parameters: tuple[str, ...]
    view: Any

    @property
    def ids(self) -> set[str]:
        return set(re.findall(r"<uuid:(\w+)>", self.pattern))

    @property
    def methods(self) -> list[str]:
        known = ["get", "head", "post", "put", "patch", "delete"]
        view = self.view.view_class
        return [
            method
            for method in known
            # DRF answers HEAD where there is GET.
            if hasattr(view, "get" if method == "head" else method)
        ]

    def path(self, ids: Mapping[str, object]) -> str:
        """Fails for an id that the test has not heard of."""
        return reverse(self.name, kwargs={name: ids[name] for name in self.parameters})


def routes() -> list[Route]:
    return list(_walk(get_resolver(), "", ()))


def native_routes() -> list[Route]:
    return [route for route in routes() if route.pattern.startswith("v1/")]


def _walk(resolver: URLResolver, prefix: str, outer: tuple[str, ...]) -> Iterator[Route]:
    for item in resolver.url_patterns:
        pattern = prefix + str(item.pattern)
        parameters = (*outer, *item.pattern.regex.groupindex)
        if isinstance(item, URLResolver):
            yield from _walk(item, pattern, parameters)
        else:
            assert isinstance(item, URLPattern)
            yield Route(item.name or "", pattern, parameters, item.callback)
