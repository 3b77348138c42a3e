import re

import pytest
from django.conf import settings

from accounts import scopes
from accounts.models import Role
from accounts.scopes import KEY_SCOPES, ROLE_SCOPES, key_scopes

EVERY = {value for name, value in vars(scopes).items() if name.isupper() and isinstance(value, str)}


def test_the_table_in_the_documents_is_the_truth():
    text = (settings.BASE_DIR / "docs" / "access.md").read_text()
    header, *lines = re.findall(r"^\| (?:right|`[a-z]+:[a-z]+`) \|.*\|$", text, re.MULTILINE)
    columns = [cell.strip() for cell in header.strip("|").split("|")][1:]
    table: dict[str, set[str]] = {column: set() for column in columns}
    for line in lines:
        right, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for column, cell in zip(columns, cells, strict=True):
            assert cell in {"yes", ""}
            if cell:
                table[column].add(right.strip("`"))
    assert table == {**{str(role): set(of) for role, of in ROLE_SCOPES.items()}, "key": KEY_SCOPES}
    assert {line.split("`")[1] for line in lines} == EVERY


def test_each_role_has_its_rights():
    assert set(ROLE_SCOPES) == set(Role)
    assert ROLE_SCOPES[Role.OWNER] == EVERY
    assert ROLE_SCOPES[Role.OWNER] - ROLE_SCOPES[Role.ADMIN] == {"workspace:own"}


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        (["*"], KEY_SCOPES),
        ([], frozenset()),
        (["jobs:read"], {"jobs:read"}),
        # A row that was written by other hands gives no more than a key may ever have.
        (["keys:write", "workspace:own", "nonsense"], frozenset()),
        (["*", "keys:write"], KEY_SCOPES),
    ],
)
def test_a_key_never_manages_people_keys_or_money(granted: list[str], allowed: frozenset[str]):
    assert key_scopes(granted) == allowed
