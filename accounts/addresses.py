"""E-mail addresses: which we take, and whose they are."""

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from accounts.audit import SYSTEM, audit_record
from accounts.models import User
from config.errors import Text, filled

_LONGEST = 254


def address_problem(email: str) -> Text | None:
    """Why we do not take an address; None if we do. Ask for the lower-case form, which we keep.

    It can be longer than what was typed, and allauth would cut it down to what the column holds.
    """
    if len(email) > _LONGEST:
        return filled(_("Enter an address of at most %(most)s characters."), most=_LONGEST)
    if not email.rpartition("@")[0].isascii():
        # Only few servers take mail for such, and none can be told of it without SMTPUTF8.
        return _("Enter an address with plain letters before the @.")
    return None


def address_release(*, email: str, owner: User) -> None:
    """Take an address from those who never confirmed it, for the one who has.

    Anybody can sign up with anybody's address. Without the confirmation nobody gets into such an
    account, but it holds the address, which no two can.
    """
    with transaction.atomic():
        confirmed = EmailAddress.objects.filter(email=email.lower(), verified=True)
        others = User.objects.annotate(lower=Lower("email")).filter(lower=email.lower())
        others = others.exclude(pk=owner.pk).exclude(pk__in=confirmed.values("user"))
        for other in others.select_for_update(of=("self",)):
            EmailAddress.objects.filter(user=other, email=email.lower(), verified=False).delete()
            # One that nobody can have (RFC 2606).
            released = f"{other.uuid}@released.invalid"
            User.objects.filter(pk=other.pk).update(email=released)
            audit_record(
                actor=SYSTEM,
                action="user.email_released",
                target_kind="user",
                target_uuid=other.uuid,
                data={"email": email, "owner": str(owner.uuid)},
            )
