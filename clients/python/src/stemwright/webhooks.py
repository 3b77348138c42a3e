"""Webhooks: who is told what, and whether a message is the service's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from stemwright._http import Http, json_of
from stemwright._reading import read
from stemwright.errors import InvalidSignature
from stemwright.models import Delivery, Webhook


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> dict[str, Any]:
    """The message of a webhook or a `callback_url`, if the service signed it within five minutes.

    Parameters
    ----------
    body
        As it came, before anything has parsed it.
    headers
        All of the request's, or `webhook-id`, `webhook-timestamp` and `webhook-signature`.
    secret
        `whsec_…`

    Raises
    ------
    InvalidSignature
        Answer with 400 and do nothing.
    ValueError
        The secret is none.
    """
    try:
        verifier = Verifier(secret)
    except Exception as error:
        # Base64 has errors of its own, an empty secret another one of the library's.
        raise ValueError("This is no secret: it begins with whsec_.") from error
    try:
        message = verifier.verify(body, dict(headers))
    except (WebhookVerificationError, ValueError) as error:
        raise InvalidSignature("The service did not sign this message.") from error
    if not isinstance(message, dict):
        raise InvalidSignature("This is no message of the service.")
    return message


class Webhooks:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, url: str, *, events: Sequence[str] = (), description: str = "") -> Webhook:
        """Have an address told. Without `events`, of all. Keep the `secret`: it is shown now."""
        body = {"url": url, "events": list(events), "description": description}
        return read(Webhook, json_of(self._http.call("POST", "/v1/webhooks", json=body)))

    def get(self, webhook_id: str) -> Webhook:
        return self._http.get(Webhook, f"/v1/webhooks/{webhook_id}")

    def list(self, *, limit: int | None = None) -> Iterator[Webhook]:
        """Newest first; reads page after page."""
        return self._http.pages(Webhook, "/v1/webhooks", limit=limit)

    def update(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        is_enabled: bool | None = None,
    ) -> Webhook:
        """What is left out stays as it is."""
        changes: dict[str, Any] = {
            "url": url,
            "events": None if events is None else list(events),
            "description": description,
            "is_enabled": is_enabled,
        }
        body = {name: value for name, value in changes.items() if value is not None}
        path = f"/v1/webhooks/{webhook_id}"
        answer = self._http.call("PATCH", path, json=body, is_repeatable=True)
        return read(Webhook, json_of(answer))

    def delete(self, webhook_id: str) -> None:
        self._http.call("DELETE", f"/v1/webhooks/{webhook_id}")

    def roll(self, webhook_id: str, *, overlap_hours: int = 24) -> Webhook:
        """A new `secret`; the former one signs beside it for `overlap_hours`."""
        path = f"/v1/webhooks/{webhook_id}/roll"
        answer = self._http.call("POST", path, json={"overlap_hours": overlap_hours})
        return read(Webhook, json_of(answer))

    def test(self, webhook_id: str) -> Delivery:
        """Have `webhook.test` sent."""
        return read(Delivery, json_of(self._http.call("POST", f"/v1/webhooks/{webhook_id}/test")))

    def deliveries(
        self,
        *,
        webhook_id: str | None = None,
        state: str | None = None,
        job_id: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Delivery]:
        """What was or is to be sent: to one webhook, or to all and to `callback_url`s."""
        path = f"/v1/webhooks/{webhook_id}/deliveries" if webhook_id else "/v1/deliveries"
        return self._http.pages(Delivery, path, limit=limit, state=state, job=job_id)

    def delivery(self, delivery_id: str) -> Delivery:
        """With its body and the log of its tries."""
        return self._http.get(Delivery, f"/v1/deliveries/{delivery_id}")

    def resend(self, delivery_id: str) -> Delivery:
        path = f"/v1/deliveries/{delivery_id}/resend"
        return read(Delivery, json_of(self._http.call("POST", path)))

    def callback_secret(self) -> str:
        """What signs the messages to the `callback_url` of jobs."""
        return str(json_of(self._http.call("GET", "/v1/webhooks/callback-secret"))["secret"])

    def roll_callback_secret(self, *, overlap_hours: int = 24) -> str:
        """A new one; the former one signs beside it for `overlap_hours`."""
        path = "/v1/webhooks/callback-secret/roll"
        answer = self._http.call("POST", path, json={"overlap_hours": overlap_hours})
        return str(json_of(answer)["secret"])
