"""What a link opens for people without an account: the player and, if it says so, the files."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts.callers import ip_address
from config.errors import AppError, NotAllowed, NotFound, TooManyAttempts
from jobs.archives import archive_token
from jobs.listening import is_playable, listening_file, listening_get, playing_of
from jobs.models import Asset, Job, Listening, Share
from jobs.naming import job_title
from jobs.shares import ShareState, share_get, share_job, share_password_is, share_use
from jobs.storage import download_token
from jobs.stored_files import file_send
from web.app.player import error_json, playing_json

# The password is asked for again after that.
_ENTERED_S: Final = 12 * 3600
_COOKIE: Final = "share"
_SALT: Final = "web.public.shares"
_LINK_SECONDS: Final = 60
_STATUSES: Final = {
    ShareState.EXPIRED: 410,
    ShareState.REVOKED: 410,
    ShareState.GONE: 410,
}
Answer = TypeVar("Answer", bound=HttpResponseBase)
Opened = Callable[..., HttpResponseBase]


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def share(request: HttpRequest, token: str) -> HttpResponseBase:
    try:
        found, state = share_get(token=token)
    except NotFound:
        return _closed(request, "unknown", 404)
    if state != ShareState.OPEN:
        return _closed(request, state, _STATUSES[state])
    if found.password and not _is_entered(request, found):
        return _ask(request, found, token)
    if request.method == "POST":
        # Sent twice: it is open already.
        return redirect("share", token=token)
    job = share_job(found)
    outputs: list[Asset] = job.outputs  # type: ignore[attr-defined]
    # What found who speaks, and made no file, is heard in the recording.
    if not outputs and not is_playable(job):
        return _closed(request, "gone", 410)
    if request.method == "GET":
        share_use(found)
    context = {
        "share": found,
        "token": token,
        "title": job_title(job) or _("Recording"),
        "duration_s": job.n_samples / job.recording.sample_rate,
        "files": outputs if found.may_download else [],
        "manifest_url": reverse("share-player", args=[token]),
    }
    return _unlisted(render(request, "public/share.html", context))


def opened(view: Opened) -> Opened:
    """A part of what a link opens; called with the request, the link and its job."""

    @require_safe
    @wraps(view)
    def check(request: HttpRequest, token: str, **values: Any) -> HttpResponseBase:
        try:
            found, state = share_get(token=token)
            if state != ShareState.OPEN:
                raise NotFound(_("This link is no longer valid."))
            if found.password and not _is_entered(request, found):
                raise NotAllowed(_("Enter the password of this link first."))
            response = view(request, found, share_job(found), token=token, **values)
        except AppError as error:
            response = error_json(error)
        return _unlisted(response)

    return check


@never_cache
@opened
def manifest(request: HttpRequest, found: Share, job: Job, *, token: str) -> HttpResponseBase:
    def url(listening: Listening, part: str) -> str:
        return reverse("share-player-file", args=[token, listening.uuid, part])

    return JsonResponse(playing_json(playing_of(job), url))


@opened
def file(
    request: HttpRequest,
    found: Share,
    job: Job,
    *,
    token: str,
    listening_uuid: UUID,
    part: str,
) -> HttpResponseBase:
    listening = listening_get(job=job, listening_uuid=listening_uuid)
    return file_send(request, listening_file(listening, part), seconds=_LINK_SECONDS)


@never_cache
@opened
def download(
    request: HttpRequest, found: Share, job: Job, *, token: str, asset_uuid: UUID
) -> HttpResponseBase:
    """Leads to the file, which is sent as to anybody with a link of its own."""
    _check_downloads(found)
    outputs: list[Asset] = job.outputs  # type: ignore[attr-defined]
    if asset_uuid not in {asset.uuid for asset in outputs}:
        raise NotFound(_("This file is no longer kept."))
    secret = download_token(str(asset_uuid), seconds=_LINK_SECONDS)
    return HttpResponseRedirect(reverse("native-download", args=[secret]))


@never_cache
@opened
def archive(request: HttpRequest, found: Share, job: Job, *, token: str) -> HttpResponseBase:
    _check_downloads(found)
    secret = archive_token(job, seconds=_LINK_SECONDS)
    return HttpResponseRedirect(reverse("native-archive-download", args=[secret]))


def _check_downloads(found: Share) -> None:
    if not found.may_download:
        raise NotAllowed(_("This link is for listening only."))


def _ask(request: HttpRequest, found: Share, token: str) -> HttpResponse:
    """For the password; until it is right, nothing is told of what is behind."""
    problem = ""
    status = 200
    if request.method == "POST":
        try:
            is_right = share_password_is(
                found, request.POST.get("password", ""), ip_address=ip_address(request)
            )
        except TooManyAttempts as error:
            problem, status = error.text, error.status
        else:
            if is_right:
                return _enter(found, token)
            problem = _("This is not the password.")
    context = {"problem": problem}
    return _unlisted(render(request, "public/share_password.html", context, status=status))


def _enter(found: Share, token: str) -> HttpResponse:
    response = redirect("share", token=token)
    response.set_cookie(
        _COOKIE,
        signing.dumps(_mark(found), salt=_SALT),
        max_age=_ENTERED_S,
        # Each link has its own.
        path=reverse("share", args=[token]),
        httponly=True,
        samesite="Lax",
        secure=settings.SESSION_COOKIE_SECURE,
    )
    return response


def _is_entered(request: HttpRequest, found: Share) -> bool:
    try:
        mark = signing.loads(request.COOKIES.get(_COOKIE, ""), salt=_SALT, max_age=_ENTERED_S)
    except signing.BadSignature:
        return False
    return bool(mark == _mark(found))


def _mark(found: Share) -> str:
    """Of this link and this password."""
    return salted_hmac(_SALT, f"{found.uuid}:{found.password}").hexdigest()


def _closed(request: HttpRequest, why: str, status: int) -> HttpResponse:
    return _unlisted(render(request, "public/share_closed.html", {"why": str(why)}, status=status))


def _unlisted(response: Answer) -> Answer:
    """No search engine shows it, and no other site learns its address."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
