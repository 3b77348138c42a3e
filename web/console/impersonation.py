"""Looking on as a member: to see what they see, and change nothing (accounts/impersonation.py)."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.impersonation import impersonation_end, impersonation_start
from accounts.selectors import members_list
from config.errors import AppError, NotFound
from web.console.gate import Operator, console_page
from web.console.lookups import reason_of, workspace_get
from web.paging import uuid_of


@console_page(methods=["GET", "HEAD", "POST"], fresh=True)
def start(request: HttpRequest, operator: Operator, workspace_uuid: UUID) -> HttpResponse:
    workspace = workspace_get(workspace_uuid)
    context = {
        "workspace": workspace,
        "members": members_list(workspace=workspace).order_by("pk"),
        "minutes": settings.IMPERSONATION_MINUTES,
        "values": request.POST or request.GET,
    }
    if request.method != "POST":
        return render(request, "console/look_on.html", context)
    member_uuid = uuid_of(request.POST.get("member", ""))
    try:
        if member_uuid is None:
            raise NotFound(_("Choose a member."))
        impersonation_start(
            operator=operator.user,
            session=request.session,
            workspace=workspace,
            member_uuid=member_uuid,
            reason=reason_of(request.POST.dict()),
            actor=operator.actor,
        )
    except AppError as error:
        return render(
            request, "console/look_on.html", {**context, "problem": error.text}, status=error.status
        )
    return redirect("app-home")


@console_page(methods=["POST"])
def end(request: HttpRequest, operator: Operator) -> HttpResponse:
    impersonation_end(session=request.session, actor=operator.actor, cause="by the operator")
    messages.success(request, _("You see the app as yourself again."))
    return redirect("console")
