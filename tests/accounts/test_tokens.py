"""Access tokens, refresh tokens, and what ends them."""

from typing import Any

import pytest

from accounts.tokens import access_token_authenticate
from tests.makers import make_member, make_token

pytestmark = pytest.mark.django_db


def test_a_token_leads_to_its_person_workspace_and_role(alice: Any):
    user = make_member(alice, "developer")
    principal = access_token_authenticate(make_token(user, alice))
    assert (principal.user, principal.workspace, principal.role) == (user, alice, "developer")
