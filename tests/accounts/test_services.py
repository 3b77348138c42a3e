from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.models import ApiKey, User
from accounts.services import api_key_authenticate, api_key_create, api_key_revoke
from config.errors import InvalidKey, NotFound
from tests.makers import make_key, make_workspace

pytestmark = pytest.mark.django_db


def test_a_key_leads_to_its_workspace():
    workspace = make_workspace()
    make_workspace("Bob's")
    assert api_key_authenticate(make_key(workspace)).workspace == workspace


def test_it_keeps_no_secret():
    text = make_key(make_workspace())
    row = ApiKey.objects.get()
    assert text[11:43] not in str(vars(row))
    assert bytes(row.secret_hash) != text[11:43].encode()


def test_it_refuses_a_key_that_was_never_made():
    stranger = make_key(make_workspace())
    ApiKey.objects.all().delete()
    with pytest.raises(InvalidKey):
        api_key_authenticate(stranger)


def test_it_refuses_the_right_id_with_another_secret():
    first, second = make_key(make_workspace()), make_key(make_workspace())
    ApiKey.objects.filter(key_id=first[3:11]).delete()
    ApiKey.objects.filter(key_id=second[3:11]).update(key_id=first[3:11])
    with pytest.raises(InvalidKey):
        api_key_authenticate(first)


def test_a_revoked_key_is_refused_at_once():
    workspace = make_workspace()
    row, text = api_key_create(workspace=workspace, name="k")
    api_key_revoke(workspace=workspace, key_uuid=str(row.uuid))
    with pytest.raises(InvalidKey):
        api_key_authenticate(text)


def test_a_key_of_another_workspace_cannot_be_revoked():
    row, text = api_key_create(workspace=make_workspace(), name="k")
    with pytest.raises(NotFound):
        api_key_revoke(workspace=make_workspace("Bob's"), key_uuid=str(row.uuid))
    assert api_key_authenticate(text) == row


def test_an_expired_key_is_refused():
    workspace = make_workspace()
    now = datetime.now(UTC)
    _, late = api_key_create(workspace=workspace, name="k", expires_at=now - timedelta(hours=1))
    _, fresh = api_key_create(workspace=workspace, name="k", expires_at=now + timedelta(hours=1))
    assert api_key_authenticate(fresh).workspace == workspace
    with pytest.raises(InvalidKey):
        api_key_authenticate(late)


def test_it_notes_the_use_but_not_every_time():
    text = make_key(make_workspace())
    api_key_authenticate(text)
    first = ApiKey.objects.get().last_used_at
    api_key_authenticate(text)
    assert first is not None
    assert ApiKey.objects.get().last_used_at == first


def test_one_address_is_one_user_in_any_case():
    User.objects.create_user("alice@example.org", "correct horse")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Alice@example.org", "correct horse")
    assert User.objects.get().check_password("correct horse")
