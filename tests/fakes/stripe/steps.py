"""Steps that several tests take."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from accounts.models import Workspace
from billing.checkout import checkout_pack, checkout_plan
from billing.models import Payment
from billing.selectors import wallet_get
from billing.stripe_events import events_process
from tests.fakes.stripe import FakeStripe, Sender


def available(workspace: Workspace) -> int:
    """Whole credits that can be spent."""
    return wallet_get(workspace=workspace).available_mcr // 1000


def open_pack(
    stripe: FakeStripe, workspace: Workspace, code: str = "starter"
) -> tuple[str, Payment]:
    """A checkout that nobody paid yet: its session, and our row."""
    checkout = checkout_pack(workspace=workspace, code=code)
    return stripe.session_at(checkout.url), checkout.payment


def buy_pack(
    stripe: FakeStripe, workspace: Workspace, code: str = "starter"
) -> tuple[str, Payment]:
    """A paid pack of which no event has arrived: its payment intent, and our row."""
    session, payment = open_pack(stripe, workspace, code)
    return str(stripe.pay(session)["id"]), payment


def subscribe(stripe: FakeStripe, workspace: Workspace, code: str = "hobby") -> tuple[str, Payment]:
    """A paid plan of which no event has arrived: its subscription, and our row."""
    checkout = checkout_plan(workspace=workspace, code=code)
    return str(stripe.pay(stripe.session_at(checkout.url))["id"]), checkout.payment


def settle(stripe: FakeStripe, sender: Sender) -> None:
    """Deliver everything that happened since the last time, and let a worker handle it."""
    events, stripe.events = stripe.events, []
    assert {sender.send(event) for event in events} <= {200}
    while events_process():
        pass


def work_in_parallel(threads: int) -> None:
    def work(_: int) -> None:
        try:
            while events_process():
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
