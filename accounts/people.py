"""What a person is called."""

from typing import Final

from django.db import transaction

from accounts.audit import Actor, audit_record
from accounts.models import User

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
