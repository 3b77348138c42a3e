"""Credits for somebody new, to try the service with: once a person, if the settings give any."""

from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save, pre_save
from django.dispatch import receiver

from accounts.audit import SYSTEM
from accounts.models import User
from accounts.workspaces import workspace_default_for
from billing.ledger import credits_grant
from billing.pricing import MCR_PER_CREDIT

SOURCE = "welcome"


# Of the model: whichever way an address was confirmed, on pages or through the API.
@receiver(pre_save, sender=EmailAddress)
def on_address_changes(instance: Any, **kwargs: Any) -> None:
    """See whether it is the first, as long as it is not written: of two at once, both are.

    Saved again it is not. Else who gave the workspace away would get credits in another.
    """
    is_due = instance.verified and settings.WELCOME_CREDITS > 0
    instance.is_welcome = is_due and not _has_confirmed(instance.user)


@receiver(post_save, sender=EmailAddress)
def on_address_changed(instance: Any, **kwargs: Any) -> None:
    if instance.is_welcome:
        welcome_grant(user=instance.user)


@transaction.atomic
def welcome_grant(*, user: User) -> None:
    """Once a workspace, by its key; that it is once a person is up to who calls."""
    credits_grant(
        workspace=workspace_default_for(user=user, actor=SYSTEM),
        amount_mcr=settings.WELCOME_CREDITS * MCR_PER_CREDIT,
        source=SOURCE,
        idempotency_key=f"{SOURCE}:{user.uuid}",
        reason="Welcome",
    )


def _has_confirmed(user: User) -> bool:
    return bool(EmailAddress.objects.filter(user=user, verified=True).exists())
