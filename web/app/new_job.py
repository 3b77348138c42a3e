"""Where recordings come in and what is made of them is chosen."""

from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from csp.decorators import csp_update
from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from accounts.models import Workspace
from accounts.principal import Principal
from accounts.scopes import CREDITS_READ, JOBS_WRITE
from billing.limits import limits_get
from billing.models import Price
from billing.pricing import Rate, price_mcr
from billing.selectors import prices_list, wallet_get
from config.errors import AppError, IdempotencyConflict
from jobs.models import Asset
from jobs.receiving.bodies import body_place
from jobs.selectors import asset_get_for_workspace
from jobs.services import asset_create, job_create
from web.app.new_job_form import NewJobForm
from web.app.new_job_texts import texts
from web.presets import Preset, presets
from web.views import app_page

# Rows of a page; whoever has more orders by the API.
_RECORDINGS_AT_MOST: Final = 200


# The token is looked at where the body may be refused in words: before that, it is read.
@csrf_exempt
# The length of a file is read by the browser, which plays it from where it lies.
@csp_update({"media-src": ["blob:"]})
@app_page(JOBS_WRITE, methods=("GET", "HEAD", "POST"))
def new_job(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    offers = presets(workspace=principal.workspace)
    if request.method != "POST":
        return _page(request, principal, offers, _form_of_query(request, offers))
    with body_place(request.META, owner=principal.workspace.pk):
        try:
            # Reads the body, which may be too large.
            request.POST  # noqa: B018
        except AppError as error:
            form = NewJobForm(presets=offers, data={})
            form.errors.clear()
            form.add_error("file", error.text)
            return _page(request, principal, offers, form, status=error.status)
        return _ordered(request, principal=principal, offers=offers)


@csrf_protect
def _ordered(
    request: HttpRequest, *, principal: Principal, offers: list[Preset]
) -> HttpResponseBase:
    form = NewJobForm(request.POST, request.FILES, presets=offers)
    if not form.is_valid():
        return _page(request, principal, offers, form, status=400)
    try:
        job = job_create(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            order=form.order(asset_uuid=_asset_uuid(form, principal.workspace)),
            idempotency_key=_key(request),
        )
    except IdempotencyConflict:
        messages.info(request, _("This form was sent before: its job is among these."))
        return redirect("jobs")
    except AppError as error:
        form.refuse(error)
        return _page(request, principal, offers, form, status=error.status)
    messages.success(request, _("The job has been ordered."))
    return redirect("job", job.uuid)


def _asset_uuid(form: NewJobForm, workspace: Workspace) -> UUID | None:
    upload: TemporaryUploadedFile | None = form.cleaned_data["file"]
    if upload is None:
        asset_uuid: UUID | None = form.cleaned_data["asset"]
        return asset_uuid
    path = Path(upload.temporary_file_path())
    try:
        return asset_create(workspace=workspace, filename=upload.name or "", path=path).uuid
    except AppError as error:
        error.field_sentences.setdefault("file", [error.sentence])
        raise


def _key(request: HttpRequest) -> str:
    """A form that is sent twice orders once."""
    try:
        return f"page:{UUID(request.POST.get('key', ''))}"
    except ValueError:
        return f"page:{uuid4()}"


def _form_of_query(request: HttpRequest, offers: list[Preset]) -> NewJobForm:
    """`?preset=` names a preset, `?service=` the first of a service."""
    code, service = request.GET.get("preset"), request.GET.get("service")
    wanted = [offer for offer in offers if code == offer.code or service == offer.service]
    first = next(iter(wanted or offers), None)
    return NewJobForm(presets=offers, initial={"preset": first.code if first else ""})


def _page(
    request: HttpRequest,
    principal: Principal,
    offers: list[Preset],
    form: NewJobForm,
    *,
    status: int = 200,
) -> HttpResponse:
    prices = {price.service: price for price in prices_list(workspace=principal.workspace)}
    asset = _asset(request, principal.workspace)
    chosen = form["preset"].value()
    context = {
        "form": form,
        "presets": [
            {
                "preset": offer,
                "is_chosen": offer.code == chosen,
                "minute_mcr": _minute_mcr(prices.get(offer.service), len(offer.stems)),
            }
            for offer in offers
        ],
        "key": uuid4(),
        "asset": asset,
        "max_gigabytes": settings.UPLOAD_MAX_BYTES / 1024**3,
        "max_hours": settings.RECORDING_MAX_SECONDS / 3600,
        "uploads_days": limits_get(workspace=principal.workspace).uploads_days,
        "script": _script(principal, prices, asset),
    }
    return render(request, "app/new_job.html", context, status=status)


def _asset(request: HttpRequest, workspace: Workspace) -> Asset | None:
    """`?asset=` names a recording that is here already."""
    try:
        asset_uuid = UUID(request.GET.get("asset") or request.POST.get("asset", ""))
    except (ValueError, AppError):
        return None
    return asset_get_for_workspace(workspace=workspace, asset_uuid=asset_uuid)


def _minute_mcr(price: Price | None, n_stems: int) -> int | None:
    """What a minute costs; None where that does not say it."""
    if price is None or price.unit == "per_call":
        return None
    rate = Rate(price.unit, price.amount_mcr, price.quantity)
    return price_mcr(rate=rate, n_samples=60, sample_rate=1, n_stems=max(1, n_stems))


def _script(principal: Principal, prices: dict[str, Price], asset: Asset | None) -> dict[str, Any]:
    """What static/js/upload knows."""
    may_see = CREDITS_READ in principal.scopes
    wallet = wallet_get(workspace=principal.workspace) if may_see else None
    return {
        "workspace": str(principal.workspace.uuid),
        "max_bytes": settings.UPLOAD_MAX_BYTES,
        "max_seconds": settings.RECORDING_MAX_SECONDS,
        "max_recordings": _RECORDINGS_AT_MOST,
        "chunk_bytes": settings.UPLOAD_SLICE_BYTES,
        "preview_seconds": settings.PREVIEW_MAX_SECONDS,
        "available_mcr": wallet.available_mcr if wallet else None,
        "prices": {
            name: {"unit": price.unit, "amount": price.amount_mcr, "quantity": price.quantity}
            for name, price in prices.items()
        },
        "asset": _asset_values(asset),
        "jobs_url": reverse("jobs"),
        "credits_url": reverse("credits"),
        "texts": texts(),
    }


def _asset_values(asset: Asset | None) -> dict[str, Any] | None:
    if asset is None:
        return None
    return {
        "id": str(asset.uuid),
        "filename": asset.filename,
        "size_bytes": asset.size_bytes,
        "duration_s": asset.duration_s,
    }
