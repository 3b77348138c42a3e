"""Switches: what some workspaces have before others.

`flag_is_on` is asked at every turn, so the answers are kept for some seconds in each process: a
change takes that long to reach everybody.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.audit import Actor, audit_record
from accounts.models import Flag, Workspace
from config.errors import NotFound, ValidationFailed

KEPT_S: Final = 10.0


@dataclass(frozen=True)
class _State:
    percent: int
    workspaces: frozenset[int]


_states: dict[str, _State] = {}
_read_at = -KEPT_S


def flag_is_on(*, workspace: Workspace, name: str) -> bool:
    """Whether this workspace has it; nobody has what no flag is named."""
    state = _states_now().get(name)
    if state is None:
        return False
    return workspace.pk in state.workspaces or _place(name, workspace.uuid) < state.percent


def flag_list() -> QuerySet[Flag]:
    return Flag.objects.prefetch_related("workspaces").order_by("name")


def flag_get(*, name: str) -> Flag:
    flag = flag_list().filter(name=name).first()
    if flag is None:
        raise NotFound(_("There is no such flag."))
    return flag


@transaction.atomic
def flag_save(
    *,
    name: str,
    note: str,
    percent: int,
    workspaces: Sequence[Workspace],
    reason: str,
    actor: Actor,
) -> Flag:
    """Make a flag, or set it anew."""
    if not 0 <= percent <= 100:
        raise ValidationFailed(_("A share is between 0 and 100 percent."))
    flag, _is_new = Flag.objects.select_for_update().get_or_create(name=name)
    before = _told(flag)
    flag.note, flag.percent = note, percent
    flag.save(update_fields=["note", "percent"])
    flag.workspaces.set(workspaces)
    after = _told(flag)
    _record(actor, "flag.set", flag.name, before=before, after=after, reason=reason)
    return flag


@transaction.atomic
def flag_delete(*, name: str, reason: str, actor: Actor) -> None:
    flag = flag_get(name=name)
    before = _told(flag)
    flag.delete()
    _record(actor, "flag.deleted", name, before=before, reason=reason)


def flags_forget() -> None:
    """Have the next question read the table: of a process that just changed it, and of tests."""
    global _read_at
    _read_at = -KEPT_S


def _states_now() -> dict[str, _State]:
    global _states, _read_at
    now = time.monotonic()
    if now - _read_at >= KEPT_S:
        _states = {
            flag.name: _State(flag.percent, frozenset(row.pk for row in flag.workspaces.all()))
            for flag in flag_list()
        }
        _read_at = now
    return _states


def _place(name: str, workspace_uuid: UUID) -> int:
    """Where the workspace stands among all, 0 to 99: another place for each flag, always the
    same, so that a growing share takes nothing away."""
    digest = hashlib.sha256(f"{name}:{workspace_uuid}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100


def _told(flag: Flag) -> dict[str, Any]:
    names = sorted(str(uuid) for uuid in flag.workspaces.values_list("uuid", flat=True))
    return {"note": flag.note, "percent": flag.percent, "workspaces": names}


def _record(actor: Actor, action: str, name: str, **data: Any) -> None:
    transaction.on_commit(flags_forget)
    audit_record(actor=actor, action=action, target_kind="flag", data={"flag": name, **data})
