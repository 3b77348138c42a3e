"""Sending events: signed, and as badly as a network can."""

import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

from tests.fakes.stripe.objects import Json

# Takes a body and its Stripe-Signature, returns the HTTP status.
Post = Callable[[bytes, str], int]


def sign(body: bytes, secret: str, *, at: int | None = None) -> str:
    timestamp = int(time.time()) if at is None else at
    mac = hmac.new(secret.encode(), b"%d.%s" % (timestamp, body), hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


class Sender:
    def __init__(self, post: Post, *, secret: str) -> None:
        self.post = post
        self.secret = secret

    def send(self, event: Json, *, at: int | None = None, **changes: Any) -> int:
        """One delivery; `at` is when it claims to be signed, `changes` are to the event."""
        body = json.dumps({**event, **changes}).encode()
        return self.post(body, sign(body, self.secret, at=at))

    def send_stale(self, event: Json) -> int:
        return self.send(event, at=int(time.time()) - 301)

    def send_forged(self, event: Json) -> int:
        body = json.dumps(event).encode()
        return self.post(body, sign(body, "whsec_of_somebody_else"))

    def send_shuffled(self, events: Iterable[Json], *, times: int, seed: int) -> list[int]:
        """Each event `times` times, in an order that only the seed knows."""
        deliveries = [event for event in events for _ in range(times)]
        random.Random(seed).shuffle(deliveries)
        return [self.send(event) for event in deliveries]

    def send_until_taken(self, event: Json, *, tries: int = 20) -> int:
        """As Stripe does: again, until the answer is a good one. Returns how often it took."""
        for number in range(1, tries + 1):
            if 200 <= self.send(event) < 300:
                return number
        raise AssertionError("the event was never taken")
