"""Access tokens, refresh tokens, and what ends them."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent, Membership, RefreshToken, SignIn, User, Workspace
from accounts.tokens import (
    Tokens,
    access_token_authenticate,
    sign_in_create,
    sign_in_refresh,
    sign_in_revoke,
    sign_ins_clean,
    sign_ins_list,
    sign_ins_revoke,
)
from config.errors import (
    AppError,
    InvalidCredentials,
    InvalidToken,
    NotFound,
    NotMember,
    TokenExpired,
    TokenReused,
    TokenRevoked,
)
from tests.makers import make_member, make_token, make_workspace
from tests.races import together

pytestmark = pytest.mark.django_db

OLD, NEW = "old-secret-0123456789-0123456789-0", "new-secret-0123456789-0123456789-0"


@pytest.fixture
def bob(alice: Workspace) -> User:
    return make_member(alice, "developer")


def signed_in(user: User) -> Tokens:
    workspace = user.memberships.get().workspace
    return sign_in_create(user=user, workspace=workspace, user_agent="", ip="192.0.2.7")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def forge(
    token: str,
    settings: Any,
    *,
    header: dict[str, Any] | None = None,
    secret: str | None = None,
    **claims: Any,
) -> str:
    """The same token with other contents, signed as one pleases; None leaves a claim out."""
    own_header, own_claims = parts(token)
    all_claims = {**own_claims, **claims}
    return jwt.encode(
        {name: value for name, value in all_claims.items() if value is not None},
        secret or settings.JWT_SECRETS[0],
        algorithm="HS256",
        headers={"kid": own_header["kid"], **(header or {})},
    )


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    pieces = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(piece).rstrip(b"=").decode() for piece in pieces)


def test_a_token_leads_to_its_person_workspace_and_role(alice: Workspace, bob: User):
    principal = access_token_authenticate(make_token(bob, alice), ip_address="192.0.2.7")
    assert (principal.user, principal.workspace, principal.role) == (bob, alice, "developer")
    assert principal.sign_in == SignIn.objects.get()
    actor = principal.actor
    assert (actor.kind, actor.uuid, actor.ip_address) == ("user", bob.uuid, "192.0.2.7")


def test_a_token_says_what_it_must(alice: Workspace, bob: User):
    header, claims = parts(make_token(bob, alice))
    assert (header["alg"], len(header["kid"])) == ("HS256", 12)
    assert claims["exp"] - claims["iat"] == 900
    assert (claims["iss"], claims["aud"]) == ("stemwright", "stemwright-api")
    assert (claims["sub"], claims["wsp"]) == (str(bob.uuid), str(alice.uuid))
    assert claims["sid"] == str(SignIn.objects.get().uuid)
    assert parts(make_token(bob, alice))[1]["jti"] != claims["jti"]


def test_a_check_takes_one_query(alice: Workspace, bob: User):
    token = make_token(bob, alice)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        access_token_authenticate(token)
    assert len(queries) == 1


def test_no_token_lives_longer_than_a_quarter_of_an_hour(bob: User, settings: Any):
    settings.ACCESS_TOKEN_SECONDS = 86_400
    tokens = signed_in(bob)
    header, claims = parts(tokens.access_token)
    assert (tokens.expires_in, claims["exp"] - claims["iat"]) == (900, 900)
    settings.ACCESS_TOKEN_SECONDS = 60
    assert signed_in(bob).expires_in == 60


def test_it_expires_to_the_second(alice: Workspace, bob: User):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        token = make_token(bob, alice)
        clock.shift(899)
        assert access_token_authenticate(token).user == bob
        clock.shift(1)
        with pytest.raises(TokenExpired):
            access_token_authenticate(token)


def test_a_server_whose_clock_is_behind_takes_it(alice: Workspace, bob: User):
    with time_machine.travel(1_800_000_000, tick=False) as clock:
        token = make_token(bob, alice)
        clock.shift(-30)
        assert access_token_authenticate(token).user == bob


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another-service"},
        {"iss": "somebody"},
        {"sub": "not-a-uuid"},
        {"sid": "1"},
        {"exp": "soon"},
        *({name: None} for name in ("iss", "aud", "sub", "wsp", "sid", "jti", "iat", "exp")),
    ],
)
def test_it_refuses_claims_that_are_not_ours(
    alice: Workspace, bob: User, settings: Any, claims: dict[str, Any]
):
    with pytest.raises(InvalidToken):
        access_token_authenticate(forge(make_token(bob, alice), settings, **claims))


def test_it_refuses_a_token_for_what_was_never_signed_in(
    alice: Workspace, bob: User, settings: Any, charlie: Workspace
):
    token, other = make_token(bob, alice), make_member(charlie, "owner")
    stranger = parts(make_token(other, charlie))[1]
    for claims in (
        {"sid": str(uuid4())},
        {"sub": str(other.uuid)},
        {"sid": stranger["sid"]},
        {"wsp": str(charlie.uuid)},
    ):
        with pytest.raises(TokenRevoked):
            access_token_authenticate(forge(token, settings, **claims))


def test_it_refuses_every_kind_of_forged_signature(alice: Workspace, bob: User, settings: Any):
    token = make_token(bob, alice)
    header, claims = parts(token)
    head, body, signature = token.split(".")
    other_body = unsigned({}, {**claims, "sub": str(uuid4())}).split(".")[1]
    wide = hmac.digest(settings.JWT_SECRETS[0].encode(), f"{head}.{body}".encode(), hashlib.sha512)
    forged = [
        # Without a signature, in each spelling.
        *(unsigned({**header, "alg": name}, claims) for name in ("none", "None", "NONE", "")),
        unsigned({key: value for key, value in header.items() if key != "alg"}, claims),
        unsigned({**header, "alg": "none"}, claims, base64.urlsafe_b64decode(signature + "==")),
        f"{head}.{body}.",
        # Another body or another key under the right name.
        f"{head}.{other_body}.{signature}",
        forge(token, settings, secret="a-guess-0123456789-0123456789-0123"),
        # Another algorithm, also with our own secret.
        unsigned({**header, "alg": "HS512"}, claims, wide),
        unsigned({**header, "alg": "RS256"}, claims, b"0" * 256),
        # A key of another name, none, one that is no text, a file.
        forge(token, settings, header={"kid": "0123456789ab"}),
        unsigned({"alg": "HS256"}, claims, base64.urlsafe_b64decode(signature + "==")),
        unsigned({**header, "kid": 1}, claims, base64.urlsafe_b64decode(signature + "==")),
        forge(token, settings, header={"kid": "/dev/null"}, secret="\0" * 40),
        # One letter changed.
        f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",
    ]
    for text in forged:
        with pytest.raises(InvalidToken):
            access_token_authenticate(text)
    assert access_token_authenticate(token).user == bob


@pytest.mark.parametrize(
    "text", ["..", "a.b.c", "é.é.é", "." * 2000, "a" * 3000, "\0.\0.\0", "e30.e30.", "W1td.e30.x"]
)
def test_it_refuses_what_is_no_token(text: str):
    with pytest.raises(InvalidToken):
        access_token_authenticate(text)


def test_it_refuses_depths_that_python_cannot_read():
    deep = base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=")
    for text in (f"{deep}.e30.x", f"e30.{deep}.x"):
        with pytest.raises(InvalidToken):
            access_token_authenticate(text)


def test_secrets_are_replaced_without_signing_anybody_out(
    alice: Workspace, bob: User, settings: Any
):
    settings.JWT_SECRETS = [OLD]
    before = make_token(bob, alice)
    settings.JWT_SECRETS = [NEW, OLD]
    after = make_token(bob, alice)
    assert parts(before)[0]["kid"] != parts(after)[0]["kid"]
    for token in (before, after):
        assert access_token_authenticate(token).user == bob
    # The old one under the name of the new one, and the other way round.
    for kid, secret in ((parts(after)[0]["kid"], OLD), (parts(before)[0]["kid"], NEW)):
        with pytest.raises(InvalidToken):
            access_token_authenticate(forge(before, settings, header={"kid": kid}, secret=secret))
    settings.JWT_SECRETS = [NEW]
    with pytest.raises(InvalidToken):
        access_token_authenticate(before)
    assert access_token_authenticate(after).user == bob


def test_roles_are_those_of_this_moment(alice: Workspace, bob: User):
    token = make_token(bob, alice)
    assert "jobs:write" in access_token_authenticate(token).scopes
    Membership.objects.update(role="viewer")
    principal = access_token_authenticate(token)
    assert (principal.role, "jobs:write" in principal.scopes) == ("viewer", False)
    Membership.objects.all().delete()
    with pytest.raises(NotMember):
        access_token_authenticate(token)


@pytest.mark.parametrize("end", ["revoked", "expired", "inactive", "deleted"])
def test_what_ends_a_sign_in_counts_at_once(alice: Workspace, bob: User, end: str):
    token = make_token(bob, alice)
    match end:
        case "revoked":
            sign_in_revoke(user=bob, sign_in_uuid=SignIn.objects.get().uuid)
        case "expired":
            SignIn.objects.update(expires_at=Now())
        case "inactive":
            User.objects.update(is_active=False)
        case "deleted":
            bob.delete()
    with pytest.raises(TokenRevoked):
        access_token_authenticate(token)


def test_a_sign_in_lasts_thirty_days_however_often_it_is_refreshed(bob: User):
    tokens = signed_in(bob)
    sign_in = SignIn.objects.annotate(lasts=F("expires_at") - F("created_at")).get()
    assert abs(sign_in.lasts - timedelta(days=30)) < timedelta(seconds=1)
    sign_in_refresh(refresh_token=tokens.refresh_token, ip=None)
    assert SignIn.objects.get().expires_at == sign_in.expires_at


def test_a_stranger_cannot_sign_in_to_a_workspace(charlie: Workspace, bob: User):
    with pytest.raises(NotMember):
        sign_in_create(user=bob, workspace=charlie, user_agent="", ip=None)
    assert not SignIn.objects.exists()


def test_a_password_that_was_changed_meanwhile_opens_nothing(alice: Workspace, bob: User):
    User.objects.update(password="!")
    with pytest.raises(InvalidCredentials):
        sign_in_create(user=bob, workspace=alice, user_agent="", ip=None)
    assert not SignIn.objects.exists()


def test_one_ends_only_ones_own_sign_ins(alice: Workspace, bob: User):
    make_token(bob, alice)
    other = make_member(alice, "owner")
    with pytest.raises(NotFound):
        sign_in_revoke(user=other, sign_in_uuid=SignIn.objects.get().uuid)
    assert SignIn.objects.get().revoked_at is None


def test_all_sign_ins_of_a_person_end_but_the_one_kept(alice: Workspace, bob: User):
    tokens = [make_token(bob, alice) for _ in range(3)]
    foreign = make_token(make_member(alice, "owner"), alice)
    kept = access_token_authenticate(tokens[1]).sign_in
    assert kept is not None
    assert sign_ins_revoke(user=bob, except_uuid=kept.uuid) == 2
    assert list(sign_ins_list(user=bob)) == [kept]
    assert access_token_authenticate(foreign)
    assert sign_ins_revoke(user=bob) == 1
    assert sign_ins_revoke(user=bob) == 0
    assert AuditEvent.objects.filter(action="sign_in.revoked").count() == 3


def test_old_sign_ins_are_forgotten(bob: User):
    signed_in(bob)
    signed_in(bob)
    first = SignIn.objects.earliest("pk")
    SignIn.objects.filter(pk=first.pk).update(expires_at=Now() - timedelta(days=8))
    sign_ins_clean()
    assert SignIn.objects.get() != first
    assert RefreshToken.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_parallel_refreshes_one_wins_and_the_sign_in_ends():
    workspace = make_workspace(credits=0)
    tokens = signed_in(make_member(workspace, "owner"))
    answers = together(
        8, lambda: sign_in_refresh(refresh_token=tokens.refresh_token, ip="192.0.2.7")
    )
    won = [answer for answer in answers if isinstance(answer, Tokens)]
    assert len(won) == 1
    assert sum(isinstance(answer, TokenReused) for answer in answers) == 1
    assert sum(isinstance(answer, TokenRevoked) for answer in answers) == 6
    # What the winner got is worth nothing any more, and that outlasts the failed calls.
    with pytest.raises(TokenRevoked):
        access_token_authenticate(won[0].access_token)
    with pytest.raises(TokenRevoked):
        sign_in_refresh(refresh_token=won[0].refresh_token, ip=None)
    assert SignIn.objects.get().revoked_at is not None
    event = AuditEvent.objects.get(action="token.reuse_detected")
    assert (event.actor_kind, event.ip_address) == ("anonymous", "192.0.2.7")


@pytest.mark.django_db(transaction=True)
def test_a_sign_out_beside_refreshes_leaves_nothing_open():
    workspace = make_workspace(credits=0)
    user = make_member(workspace, "owner")
    families = [signed_in(user) for _ in range(4)]
    calls: list[Callable[[], object]] = [
        *(lambda f=f: sign_in_refresh(refresh_token=f.refresh_token, ip=None) for f in families),
        lambda: sign_ins_revoke(user=user),
        lambda: sign_ins_revoke(user=user),
    ]
    answers = together(len(calls), *calls)
    assert not sign_ins_list(user=user).exists()
    for answer in answers:
        assert not isinstance(answer, AppError) or isinstance(answer, TokenRevoked)
        if isinstance(answer, Tokens):
            with pytest.raises(TokenRevoked):
                access_token_authenticate(answer.access_token)
    assert AuditEvent.objects.filter(action="sign_in.revoked").count() == 4
