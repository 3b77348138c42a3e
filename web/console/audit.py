"""Who did what, in all workspaces and outside of them."""

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.models import AuditEvent
from web.console.gate import Operator, console_page
from web.console.lookups import id_of
from web.paging import page_newest_first

_KINDS: Final = ("operator", "onlooker", "user", "key", "system", "anonymous")


@console_page()
def audit(request: HttpRequest, operator: Operator) -> HttpResponse:
    names = ("actor", "action", "workspace", "kind")
    values = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in names}
    rows = AuditEvent.objects.all()
    if values["workspace"]:
        rows = rows.filter(workspace_uuid=id_of(values["workspace"]))
    if values["actor"]:
        rows = rows.filter(actor_label__iexact=values["actor"])
    if values["action"]:
        rows = rows.filter(action__startswith=values["action"])
    if values["kind"]:
        rows = rows.filter(actor_kind=values["kind"])
    page = page_newest_first(rows, request.GET.get("after", ""))
    return render(request, "console/audit.html", {"page": page, "values": values, "kinds": _KINDS})
