"""What docs/webhooks.md tells customers to do works, and says what the service does."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings

from jobs.models import CallbackSecret
from jobs.native_messages import RETRY_PAUSES_S
from jobs.webhook_events import EVENT_TYPES
from jobs.webhook_signing import secrets_at, signed_headers, signing_secret_make

TEXT = Path(settings.BASE_DIR, "docs", "webhooks.md").read_text()
VERIFIERS = [
    code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "def verify" in code
]


@pytest.mark.parametrize("code", VERIFIERS, ids=["library", "plain"])
def test_the_examples_verify_what_is_sent_and_nothing_else(code: str):
    names: dict[str, Any] = {}
    exec(code, names)
    verify = names["verify"]
    (secret, kept), (old, old_kept) = signing_secret_make(), signing_secret_make()
    now = datetime.now(UTC)
    until = datetime(9999, 1, 1, tzinfo=UTC)
    signer = CallbackSecret(secret=kept, old_secret=old_kept, old_secret_until=until)

    def headers(at: datetime) -> dict[str, str]:
        secrets = secrets_at(signer, at)
        return signed_headers(secrets, message_uuid=uuid4(), at=at, content=b'{"a":1}')

    assert verify(b'{"a":1}', headers(now), secret) == {"a": 1}
    assert verify(b'{"a":1}', headers(now), old) == {"a": 1}
    assert verify(b'{"a":2}', headers(now), secret) is None
    assert verify(b'{"a":1}', headers(now), signing_secret_make()[0]) is None
    assert verify(b'{"a":1}', {**headers(now), "webhook-id": str(uuid4())}, secret) is None
    old_time = datetime.fromtimestamp(time.time() - 400, UTC)
    assert verify(b'{"a":1}', headers(old_time), secret) is None


def test_the_tables_are_the_truth():
    events = dict(re.findall(r"^\| `(\w+\.\w+)` \| (.*) \|$", TEXT, re.M))
    assert events.pop("webhook.test")
    assert events == EVENT_TYPES
    found = re.search(r"^\| after \| at once \| (.*) \|$", TEXT, re.M)
    assert found
    units = {"s": 1, "min": 60, "h": 3600}
    pauses = [cell.split() for cell in found[1].split(" | ")]
    assert tuple(int(number) * units[unit] for number, unit in pauses) == RETRY_PAUSES_S
