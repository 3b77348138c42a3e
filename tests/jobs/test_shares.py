"""A link opens what it says, for as long as it says, and only to those who have it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.audit import OPERATOR
from accounts.models import AuditEvent
from config.errors import LimitReached, NotFound, TooManyAttempts, ValidationFailed, WrongState
from jobs import shares
from jobs.models import Job, Share
from jobs.services import job_delete
from jobs.shares import (
    ShareState,
    share_create,
    share_get,
    share_job,
    share_list,
    share_password_is,
    share_revoke,
    share_use,
)
from tests.makers import make_asset, make_done_job, make_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_beats", "fake_separation")]


@pytest.fixture
def job(alice: Any, tmp_path: Path) -> Job:
    return make_done_job(alice, tmp_path)


def make_share(job: Job, **values: Any) -> tuple[Share, str]:
    return share_create(workspace=job.workspace, job_uuid=job.uuid, actor=OPERATOR, **values)


def test_a_link_opens_its_job_until_it_is_revoked(job: Job):
    share, token = make_share(job)
    assert share_get(token=token) == (share, ShareState.OPEN)
    assert share_job(share) == job
    assert share.token_end == token[-4:]
    assert token not in str(Share.objects.values())
    for _ in range(2):
        share_use(share)
    assert [(row.uses, row.last_used_at is not None) for row in share_list(job=job)] == [(2, True)]
    for _ in range(2):
        share_revoke(workspace=job.workspace, share_uuid=share.uuid, actor=OPERATOR)
    assert share_get(token=token)[1] == ShareState.REVOKED
    assert not share_list(job=job).exists()
    written = AuditEvent.objects.filter(target_uuid=share.uuid).order_by("pk")
    assert [row.action for row in written] == ["share.created", "share.revoked"]
    assert written[0].data == {"job": str(job.uuid)}


def test_it_ends_by_itself_and_with_the_job(job: Job):
    _, lasting = make_share(job)
    share, token = make_share(job, days=7)
    assert share.expires_at is not None
    assert timedelta(days=6.9) < share.expires_at - share.created_at < timedelta(days=7.1)
    Share.objects.filter(pk=share.pk).update(expires_at=Now() - timedelta(seconds=1))
    assert share_get(token=token)[1] == ShareState.EXPIRED
    assert share_get(token=lasting)[1] == ShareState.OPEN
    job_delete(workspace=job.workspace, job_uuid=job.uuid)
    assert share_get(token=lasting)[1] == ShareState.GONE
    with pytest.raises(NotFound):
        make_share(job)


def test_nobody_else_makes_or_ends_one(job: Job, charlie: Any):
    share, token = make_share(job)
    with pytest.raises(NotFound):
        share_create(workspace=charlie, job_uuid=job.uuid, actor=OPERATOR)
    with pytest.raises(NotFound):
        share_revoke(workspace=charlie, share_uuid=share.uuid, actor=OPERATOR)
    for wrong in ("", "x", token[:-1], token.swapcase()):
        with pytest.raises(NotFound):
            share_get(token=wrong)
    assert share_get(token=token)[1] == ShareState.OPEN


def test_what_has_not_succeeded_is_not_shared(alice: Any, tmp_path: Path):
    job = make_job(alice, make_asset(alice, tmp_path))
    with pytest.raises(WrongState):
        make_share(job)


@pytest.mark.parametrize("values", [{"days": 0}, {"days": 366}, {"password": "x" * 201}])
def test_values_that_cannot_be(job: Job, values: dict[str, Any]):
    with pytest.raises(ValidationFailed) as caught:
        make_share(job, **values)
    assert list(caught.value.fields) == list(values)
    assert not Share.objects.exists()


def test_there_are_not_too_many(job: Job, monkeypatch: Any):
    monkeypatch.setattr(shares, "_OF_A_JOB", 2)
    first, _ = make_share(job)
    make_share(job)
    with pytest.raises(LimitReached):
        make_share(job)
    share_revoke(workspace=job.workspace, share_uuid=first.uuid, actor=OPERATOR)
    make_share(job)


def test_passwords_are_not_guessed(job: Job, monkeypatch: Any):
    monkeypatch.setattr(shares, "_TRIES", 3)
    monkeypatch.setattr(shares, "_TRIES_OF_ALL", 5)
    share, _ = make_share(job, password="spring in the air")
    assert "spring" not in share.password
    assert share_password_is(share, "spring in the air", ip_address="192.0.2.1")
    assert not share_password_is(share, "", ip_address="192.0.2.1")
    assert not share_password_is(share, "autumn", ip_address="192.0.2.1")
    with pytest.raises(TooManyAttempts) as caught:
        share_password_is(share, "spring in the air", ip_address="192.0.2.1")
    assert 0 < int(caught.value.headers["Retry-After"]) <= 600
    # Another address has tries of its own, but not without end.
    assert share_password_is(share, "spring in the air", ip_address="2001:db8::1")
    assert not share_password_is(share, "autumn", ip_address="192.0.2.3")
    with pytest.raises(TooManyAttempts):
        share_password_is(share, "winter", ip_address="192.0.2.4")
    # Another link is none of that's business.
    other, _ = make_share(job, password="spring")
    assert share_password_is(other, "spring", ip_address="192.0.2.1")
