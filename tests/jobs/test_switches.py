"""Services that an operator switches off are not ordered, nor offered."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.audit import OPERATOR
from accounts.flags import flag_save, flags_forget
from accounts.models import Flag, Workspace
from config.errors import Unavailable
from jobs.catalog import service_offers
from jobs.models import Job
from jobs.services import job_cancel, job_retry
from jobs.switches import switches
from tests.makers import make_asset, make_job
from web.presets import presets

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_flags() -> Iterator[None]:
    flags_forget()
    yield
    flags_forget()


def switch_off(*workspaces: Workspace, percent: int = 0) -> None:
    flag_save(
        name="off-separation",
        note="",
        percent=percent,
        workspaces=workspaces,
        reason="Trouble",
        actor=OPERATOR,
    )
    flags_forget()


def can_order(workspace: Workspace) -> bool:
    (offer,) = (one for one in service_offers(workspace=workspace) if one.name == "separation")
    of_preset = {preset.service for preset in presets(workspace=workspace)}
    assert ("separation" in of_preset) is offer.available
    return offer.available


def test_one_workspace_or_all_cannot_order_it(alice: Any, charlie: Any, tmp_path: Path):
    asset, other = make_asset(alice, tmp_path), make_asset(charlie, tmp_path)
    job = make_job(alice, asset)
    switch_off(alice)
    assert (can_order(alice), can_order(charlie)) == (False, True)
    with pytest.raises(Unavailable, match="switched off"):
        make_job(alice, asset)
    make_job(charlie, other)
    # Nor by the way of one that is tried again.
    job_cancel(workspace=alice, job_uuid=job.uuid)
    with pytest.raises(Unavailable, match="switched off"):
        job_retry(workspace=alice, api_key=None, job_uuid=job.uuid)
    switch_off(percent=100)
    assert (can_order(alice), can_order(charlie)) == (False, False)
    with pytest.raises(Unavailable, match="switched off"):
        make_job(charlie, other)
    Flag.objects.all().delete()
    flags_forget()
    assert can_order(alice)
    make_job(alice, asset)
    assert Job.objects.count() == 3


def test_each_service_has_its_switch():
    assert switches()["off-speaker-extraction"] == "speaker_extraction"
