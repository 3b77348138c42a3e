"""Feature flags: who has what others do not have yet."""

import re
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.flags import flag_delete, flag_get, flag_list, flag_save
from accounts.models import Workspace
from config.errors import NotFound, ValidationFailed, filled
from jobs.switches import switches
from web.console.gate import Operator, console_page
from web.console.lookups import reason_of
from web.paging import uuid_of

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@console_page(methods=["GET", "HEAD", "POST"])
def flags(request: HttpRequest, operator: Operator) -> HttpResponse:
    if request.method == "POST":
        name = request.POST.get("name", "").strip()
        if not _NAME.fullmatch(name):
            raise ValidationFailed(_("A flag's name is of small letters, digits and hyphens."))
        return redirect("console-flag", name)
    found = list(flag_list())
    known = {flag.name for flag in found}
    context = {
        "flags": found,
        "switches": [(name, service) for name, service in switches().items() if name not in known],
    }
    return render(request, "console/flags.html", context)


@console_page(methods=["GET", "HEAD", "POST"])
def flag(request: HttpRequest, operator: Operator, name: str) -> HttpResponse:
    try:
        found = flag_get(name=name)
    except NotFound:
        found = None
    if request.method != "POST":
        context = {"name": name, "flag": found, "switched": switches().get(name)}
        return render(request, "console/flag.html", context)
    reason = reason_of(request.POST.dict())
    if "delete" in request.POST:
        flag_delete(name=name, reason=reason, actor=operator.actor)
        messages.success(request, _("The flag is gone: nobody has it."))
        return redirect("console-flags")
    if not _NAME.fullmatch(name):
        raise ValidationFailed(_("A flag's name is of small letters, digits and hyphens."))
    percent = request.POST.get("percent", "").strip()
    flag_save(
        name=name,
        note=request.POST.get("note", "").strip()[:500],
        percent=int(percent) if percent.isdecimal() and len(percent) < 4 else -1,
        workspaces=_workspaces(request.POST.get("workspaces", "")),
        reason=reason,
        actor=operator.actor,
    )
    messages.success(request, _("The flag was set."))
    return redirect("console-flags")


def _workspaces(text: str) -> list[Workspace]:
    uuids = {word: uuid_of(word) for word in text.replace(",", " ").split()}
    found = list(Workspace.objects.filter(uuid__in=[uuid for uuid in uuids.values() if uuid]))
    missing = set(uuids) - {str(row.uuid) for row in found}
    if missing:
        raise ValidationFailed(filled(_("There is no workspace %(id)s."), id=min(missing)))
    return found
