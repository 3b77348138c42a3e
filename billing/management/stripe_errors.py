"""What an operator is told; customers are told less."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from billing.stripe_client import StripeSecretRefused
from config.errors import AppError, PaymentsUnavailable


@contextmanager
def told_to_operators() -> Iterator[None]:
    try:
        yield
    except PaymentsUnavailable as error:
        raise CommandError("Set STRIPE_SECRET_KEY first (docs/billing.md).") from error
    except StripeSecretRefused as error:
        raise CommandError("Stripe refuses STRIPE_SECRET_KEY.") from error
    except AppError as error:
        raise CommandError(error.text) from error
