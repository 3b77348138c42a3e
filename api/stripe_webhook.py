"""Where Stripe sends its events. They are checked and stored here; a worker handles them."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from api.native.errors import error_body
from billing.stripe_events import event_receive
from config.errors import AppError, TooLarge
from jobs.queue import wake_payments

# Events are a few kilobytes.
_MAX_BYTES = 1_000_000


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    try:
        length = request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > _MAX_BYTES:
            raise TooLarge("The body is too large.")
        # The signature is of the raw bytes: nothing may parse the body before.
        signature = request.headers.get("Stripe-Signature", "")
        if event_receive(body=request.body, signature=signature):
            wake_payments()
    except AppError as error:
        return JsonResponse(error_body(error), status=error.status)
    return JsonResponse({"received": True})
