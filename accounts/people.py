"""What a person is called, and where they live."""

from typing import Final

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import User
from accounts.time_zones import time_zone_of
from config.errors import ValidationFailed

NAME_MAX: Final = 150


def full_name(user: User) -> str:
    return str(user.get_full_name())


def person_rename(*, user: User, name: str, actor: Actor) -> User:
    """The whole name is kept as one: not everybody's has two parts."""
    before = full_name(user)
    if name != before:
        user.first_name, user.last_name = name[:NAME_MAX], ""
        with transaction.atomic():
            user.save(update_fields=["first_name", "last_name"])
            audit_record(
                actor=actor,
                action="user.renamed",
                target_kind="user",
                target_uuid=user.uuid,
                data={"before": before, "after": full_name(user)},
            )
    return user


def person_time_zone_set(*, user: User, name: str) -> None:
    """In which zone the person is shown times; empty: in that of the browser."""
    if name and time_zone_of(name) is None:
        raise ValidationFailed(fields={"time_zone": [_("There is no such time zone.")]})
    user.time_zone = name
    user.save(update_fields=["time_zone"])
