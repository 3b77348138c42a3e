"""The side bar of the app: pages by section, those that the reader may see."""

from dataclasses import dataclass
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.principal import Principal
from accounts.scopes import (
    AUDIT_READ,
    BILLING_READ,
    CREDITS_READ,
    JOBS_READ,
    JOBS_WRITE,
    KEYS_READ,
    MEMBERS_READ,
    WEBHOOKS_READ,
)


@dataclass(frozen=True)
class Entry:
    """A link: the name of the address, what it says, its icon, and the right that it needs."""

    name: str
    label: str | Promise
    icon: str
    scope: str | None = None


SECTIONS: tuple[tuple[str | Promise, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("app-home", _("Overview"), "house"),
            Entry("job-new", _("New job"), "plus", JOBS_WRITE),
            Entry("jobs", _("Jobs"), "audio-lines", JOBS_READ),
        ),
    ),
    (
        _("Developers"),
        (
            Entry("keys", _("API keys"), "key-round", KEYS_READ),
            Entry("webhooks", _("Webhooks"), "webhook", WEBHOOKS_READ),
            Entry("docs", _("Documentation"), "book-open"),
        ),
    ),
    (
        _("Money"),
        (
            Entry("usage", _("Usage"), "chart-no-axes-column", CREDITS_READ),
            Entry("credits", _("Credits"), "wallet", CREDITS_READ),
            Entry("invoices", _("Invoices"), "receipt", BILLING_READ),
        ),
    ),
    (
        _("Workspace"),
        (
            Entry("team", _("Team"), "users", MEMBERS_READ),
            Entry("audit", _("Audit log"), "activity", AUDIT_READ),
            Entry("settings", _("Settings"), "settings"),
        ),
    ),
)


def sections_of(principal: Principal, path: str) -> list[dict[str, Any]]:
    """What there is for this reader, and where they are."""
    sections = []
    for title, entries in SECTIONS:
        links = [
            {"entry": entry, "url": url, "is_here": _is_here(url, path)}
            for entry in entries
            if (entry.scope is None or entry.scope in principal.scopes)
            and (url := _url(entry)) is not None
        ]
        if links:
            sections.append({"title": title, "links": links})
    return sections


def _url(entry: Entry) -> str | None:
    try:
        return reverse(entry.name)
    except NoReverseMatch:
        # A page that does not exist yet.
        return None


def _is_here(url: str, path: str) -> bool:
    if url == reverse("app-home"):
        return path == url
    return path == url or path.startswith(url.rstrip("/") + "/")
