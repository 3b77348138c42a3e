"""Webhooks: set up, received, and verified."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook as Signer
from stemwright import Client, InvalidSignature, verify

from jobs.delivering import messages_deliver
from tests.fakes.receiver import receiver

SECRET = "whsec_c2VjcmV0IG9mIGEgdGVzdCwgMzIgYnl0ZXMgbG9uZw=="
BODY = b'{"type": "job.succeeded", "data": {"id": "7"}}'


def signed(secret: str = SECRET, *, body: bytes = BODY, age_s: int = 0) -> dict[str, str]:
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    return {
        "Webhook-Id": "m1",
        "Webhook-Timestamp": str(int(when.timestamp())),
        "Webhook-Signature": Signer(secret).sign("m1", when, body.decode()),
    }


def test_a_signed_message_is_read():
    assert verify(BODY, signed(), SECRET) == json.loads(BODY)
    # While a secret is being replaced, both sign.
    both = signed()
    other = signed("whsec_b3RoZXI=")["Webhook-Signature"]
    both["Webhook-Signature"] = f"{other} {both['Webhook-Signature']}"
    assert verify(BODY, both, SECRET)["type"] == "job.succeeded"


@pytest.mark.parametrize(
    "signing",
    [
        dict,
        lambda: signed("whsec_b3RoZXI="),
        lambda: signed(age_s=301),
        lambda: signed(age_s=-310),
        lambda: signed(body=b"[]"),
        lambda: {**signed(), "Webhook-Signature": "nonsense"},
        lambda: {**signed(), "Webhook-Timestamp": "soon"},
    ],
)
def test_any_other_is_refused(signing: Callable[[], dict[str, str]]):
    # Signed now, not when the tests were collected.
    with pytest.raises(InvalidSignature):
        verify(BODY, signing(), SECRET)


def test_what_is_no_message_is_refused():
    with pytest.raises(InvalidSignature):
        verify(b"[]", signed(body=b"[]"), SECRET)
    with pytest.raises(ValueError, match="secret"):
        verify(BODY, signed(), "whsec_")


def test_a_webhook_is_set_up_and_its_message_arrives(client: Client, settings: Any):
    with receiver(settings) as server:
        webhook = client.webhooks.create(f"{server.url}/hook", events=["job.succeeded"])
        assert webhook.secret is not None
        assert [one.id for one in client.webhooks.list()] == [webhook.id]
        sent = client.webhooks.test(webhook.id)
        assert (sent.event, sent.state) == ("webhook.test", "pending")
        messages_deliver()
        (received,) = server.received
        assert verify(received.content, received.headers, webhook.secret)["type"] == "webhook.test"
        (delivered,) = client.webhooks.deliveries(webhook_id=webhook.id, state="delivered")
        detail = client.webhooks.delivery(delivered.id)
        assert detail.log is not None
        assert [one.status_code for one in detail.log] == [200]
        rolled = client.webhooks.roll(webhook.id, overlap_hours=1)
        assert rolled.secret not in (None, webhook.secret)
        assert client.webhooks.resend(delivered.id).id == delivered.id
        messages_deliver()
        again = server.received[-1]
        for secret in (webhook.secret, str(rolled.secret)):
            assert verify(again.content, again.headers, secret)["type"] == "webhook.test"
    changed = client.webhooks.update(webhook.id, is_enabled=False, description="mine")
    assert (changed.is_enabled, changed.description) == (False, "mine")
    assert client.webhooks.get(webhook.id).events == ["job.succeeded"]
    client.webhooks.delete(webhook.id)
    assert list(client.webhooks.list()) == []


def test_the_secret_of_callbacks(client: Client):
    secret = client.webhooks.callback_secret()
    assert client.webhooks.callback_secret() == secret
    rolled = client.webhooks.roll_callback_secret(overlap_hours=0)
    assert rolled.startswith("whsec_")
    assert rolled != secret
