"""The side bar of the console."""

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _

from web.navigation import Entry

_ENTRIES = (
    Entry("console", _("Search and health"), "search"),
    Entry("console-jobs", _("Jobs"), "audio-lines"),
    Entry("console-queues", _("Queues and workers"), "server"),
    Entry("console-models", _("Models"), "cpu"),
    Entry("console-webhooks", _("Webhooks"), "webhook"),
    Entry("console-books", _("Books"), "receipt"),
    Entry("console-approvals", _("Approvals"), "users"),
    Entry("console-prices", _("Plans and prices"), "wallet"),
    Entry("console-flags", _("Feature flags"), "flag"),
    Entry("console-audit", _("Audit log"), "activity"),
    Entry("admin:index", _("Database"), "database"),
)


def console_links(request: HttpRequest) -> list[dict[str, object]]:
    links = []
    for entry in _ENTRIES:
        try:
            url = reverse(entry.name)
        except NoReverseMatch:
            continue
        is_here = request.path == url if entry.name == "console" else request.path.startswith(url)
        links.append({"entry": entry, "url": url, "is_here": is_here})
    return links
