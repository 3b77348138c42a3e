from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from accounts.here import workspace_enter as enter
from accounts.principal import Principal
from web.views import app_page


@app_page()
def home(request: HttpRequest, principal: Principal) -> HttpResponse:
    return render(request, "app/home.html")


@app_page(methods=["POST"])
def workspace_enter(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    assert principal.user is not None  # noqa: S101 - a page has a person
    enter(
        user=principal.user,
        session=request.session,
        workspace_uuid=request.POST.get("workspace", ""),
    )
    return redirect("app-home")
