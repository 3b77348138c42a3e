"""The operator's console."""

from django.urls import path

from web.console import (
    adjustments,
    audit,
    books,
    flags,
    home,
    impersonation,
    jobs,
    models,
    offers,
    prices,
    queues,
    webhooks,
    workspaces,
)
from web.console.database import site

_WORKSPACE = "workspaces/<uuid:workspace_uuid>"

urlpatterns = [
    path("", home.home, name="console"),
    path(_WORKSPACE, workspaces.workspace, name="console-workspace"),
    path(f"{_WORKSPACE}/notes", workspaces.note_add, name="console-note"),
    path(f"{_WORKSPACE}/adjust", adjustments.adjust, name="console-adjust"),
    path(f"{_WORKSPACE}/look-on", impersonation.start, name="console-impersonate"),
    path("impersonation/end", impersonation.end, name="console-impersonation-end"),
    path("approvals", adjustments.approvals, name="console-approvals"),
    path("approvals/<uuid:adjustment_uuid>", adjustments.decide, name="console-approval"),
    path("jobs", jobs.job_list, name="console-jobs"),
    path("jobs/<uuid:job_uuid>", jobs.job, name="console-job"),
    path("jobs/<uuid:job_uuid>/act", jobs.act, name="console-job-act"),
    path("queues", queues.queues, name="console-queues"),
    path("queues/act", queues.act, name="console-queues-act"),
    path("models", models.models, name="console-models"),
    path("webhooks", webhooks.webhooks, name="console-webhooks"),
    path("webhooks/resend", webhooks.resend, name="console-webhook-resend"),
    path("webhooks/enable", webhooks.enable, name="console-webhook-enable"),
    path("books", books.books, name="console-books"),
    path("books/check", books.check, name="console-books-check"),
    path("prices", prices.prices, name="console-prices"),
    path("prices/new", prices.price_new, name="console-price-new"),
    path("prices/packs/<slug:code>", offers.offer, {"kind": "packs"}, name="console-pack"),
    path("prices/plans/<slug:code>", offers.offer, {"kind": "plans"}, name="console-plan"),
    path("flags", flags.flags, name="console-flags"),
    path("flags/<slug:name>", flags.flag, name="console-flag"),
    path("audit", audit.audit, name="console-audit"),
    path("db/", site.urls),
]
