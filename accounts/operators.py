"""Operators: the people who run the service, and what they write down for one another."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.audit import OPERATOR, Actor, audit_record
from accounts.models import User, Workspace, WorkspaceNote
from config.errors import NotFound, ValidationFailed, filled

_MAX_NOTE = 2000


@transaction.atomic
def operator_set(*, email: str, is_operator: bool, actor: Actor = OPERATOR) -> User:
    """Let a person into the console, or out of it. The second factor is theirs to set up."""
    user = User.objects.select_for_update(no_key=True).filter(email__iexact=email).first()
    if user is None:
        raise NotFound(_("Nobody has signed up with this address."))
    if user.is_staff != is_operator:
        user.is_staff = is_operator
        user.save(update_fields=["is_staff"])
        audit_record(
            actor=actor,
            action="operator.added" if is_operator else "operator.removed",
            target_kind="user",
            target_uuid=user.uuid,
            data={"email": user.email},
        )
    return user


def operator_list() -> QuerySet[User]:
    return User.objects.filter(is_staff=True, is_active=True).order_by("email")


@transaction.atomic
def note_add(*, workspace: Workspace, author: User, text: str, actor: Actor) -> WorkspaceNote:
    text = text.strip()
    if not text or len(text) > _MAX_NOTE or "\x00" in text:
        raise ValidationFailed(
            filled(_("A note is a text of at most %(most)s characters."), most=_MAX_NOTE)
        )
    note = WorkspaceNote.objects.create(workspace=workspace, author=author, text=text)
    # Without a workspace: its members read their own audit trail, and notes are not for them.
    audit_record(
        actor=actor,
        action="note.added",
        target_kind="workspace",
        target_uuid=workspace.uuid,
        data={"note": note.pk},
    )
    return note


def note_list(*, workspace: Workspace) -> QuerySet[WorkspaceNote]:
    return (
        WorkspaceNote.objects.filter(workspace=workspace).select_related("author").order_by("-pk")
    )
