"""Unfold's admin: the rows themselves, to be read. Whatever changes something goes through the
console's pages or the services, which keep the rules; so nothing here is added, changed or deleted.
"""

from typing import Any, Final

from csp.decorators import csp_update
from django.db import models
from django.http import HttpRequest, HttpResponseBase
from django.urls import path
from django.views.generic import RedirectView
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from accounts.models import ApiKey, AuditEvent, Flag, Membership, User, Workspace, WorkspaceNote
from billing.models import (
    Account,
    Entry,
    Hold,
    Lot,
    Pack,
    Payment,
    PendingAdjustment,
    Plan,
    Price,
    StripeEvent,
    Subscription,
    Transaction,
)
from jobs.models import (
    Asset,
    Ingest,
    Job,
    JobEvent,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from web.console.gate import console_way_in

# Unfold's Alpine makes functions of its attributes, and its pages have style attributes. Scripts
# come from here all the same, none is inline, and no other origin is asked for anything.
_POLICY: Final = {
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}
# Of what never leaves the database: hashes, encrypted secrets, and what was sent with them.
_HIDDEN: Final = {
    "password",
    "secret",
    "old_secret",
    "secret_hash",
    "token_hash",
    "callback_secret",
    "response",
}
# Django's name of a page, and that of ours.
_ELSEWHERE: Final = {
    "login": "account_login",
    "logout": "account_logout",
    "password_change": "account_change_password",
    "password_change_done": "account_change_password",
}


class ConsoleSite(UnfoldAdminSite):  # type: ignore[misc]
    """Behind the gate of the console; signing in and out are the application's own."""

    site_title = site_header = "Stemwright"
    index_title = "Database"
    enable_nav_sidebar = True

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        @csp_update(_POLICY)
        def gated(request: HttpRequest, *args: Any, **values: Any) -> HttpResponseBase:
            elsewhere = console_way_in(request)
            if elsewhere is not None:
                return elsewhere
            response: HttpResponseBase = inner(request, *args, **values)
            return response

        return gated

    def has_permission(self, request: HttpRequest) -> bool:
        # The gate was passed; whoever comes in sees all of it.
        return bool(request.user.is_active and request.user.is_staff)

    def get_urls(self) -> list[Any]:
        # The application has its own pages for these, with its own rules.
        urls = [url for url in super().get_urls() if getattr(url, "name", None) not in _ELSEWHERE]
        return [
            *(
                path(f"{name}/", RedirectView.as_view(pattern_name=page), name=name)
                for name, page in _ELSEWHERE.items()
            ),
            *urls,
        ]


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """All that is in a row, but for secrets; nothing to change it with."""

    show_full_result_count = False
    list_per_page = 50
    actions = None

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [
            field.name
            for field in self.model._meta.get_fields()
            if isinstance(field, models.Field) and field.concrete and field.name not in _HIDDEN
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_fields(request, obj)

    def get_list_display(self, request: HttpRequest) -> list[str]:
        relations = (models.ManyToManyField, models.JSONField, models.TextField)
        names = [
            field.name
            for field in self.model._meta.get_fields()
            if isinstance(field, models.Field)
            and field.concrete
            and not isinstance(field, relations)
            and field.name not in _HIDDEN
        ]
        return names[:8]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        names = {field.name for field in self.model._meta.get_fields()}
        # Whole ids: parts of them would read the whole table.
        return [f"{name}__exact" for name in ("uuid", "email", "stripe_id") if name in names]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


_SHOWN: Final[tuple[type[models.Model], ...]] = (
    User,
    Workspace,
    Membership,
    ApiKey,
    AuditEvent,
    Flag,
    WorkspaceNote,
    Account,
    Transaction,
    Entry,
    Hold,
    Lot,
    Pack,
    Plan,
    Price,
    Payment,
    PendingAdjustment,
    Subscription,
    StripeEvent,
    Job,
    JobEvent,
    Asset,
    Ingest,
    WebhookEndpoint,
    WebhookMessage,
    WebhookAttempt,
)

site = ConsoleSite(name="admin")
for model in _SHOWN:
    site.register(model, ReadOnlyAdmin)
