"""A stateful stand-in for Stripe, spoken to by the real stripe-python over HTTP on loopback.

`server` is HTTP (keys, versions, idempotency, faults), `objects` the shapes of the pinned API
version, `endpoints` what the API does, `world` what people, banks and time do, `webhooks` how
events are sent. docs/adr/0007 says what it cannot prove.
"""

from tests.fakes.stripe.webhooks import Sender
from tests.fakes.stripe.world import FakeStripe

__all__ = ["FakeStripe", "Sender"]
