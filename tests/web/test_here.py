"""Who is there is found out once."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/app/", "/app/keys", "/account/email/"])
def test_memberships_are_read_once_a_page(signed_in: Client, path: str):
    with CaptureQueriesContext(connection) as captured:
        response = signed_in.get(path)
    assert response.status_code == 200
    assert b"Studio" in response.content
    read = [one for one in captured.captured_queries if '"accounts_membership"' in one["sql"]]
    assert len([one for one in read if '"user_id"' in one["sql"]]) == 1, read
