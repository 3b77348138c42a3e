"""Signing in without a browser: password for tokens, refresh, sign-out, list of sign-ins."""

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import Actor
from accounts.callers import ip_address
from accounts.credentials import credentials_check
from accounts.models import Role, SignIn, User, Workspace
from accounts.principal import Principal
from accounts.tokens import (
    Tokens,
    sign_in_create,
    sign_in_refresh,
    sign_in_revoke,
    sign_in_revoke_by_token,
    sign_ins_list,
)
from accounts.workspaces import workspace_default_for
from api.authentication import person_of, principal_of
from api.native.base import OPEN, PERSON, NativeApi, StrictSerializer, page_response, valid_body
from config.errors import NotMember


class PasswordSerializer(StrictSerializer):
    email = serializers.CharField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    code = serializers.CharField(
        required=False,
        max_length=64,
        default="",
        help_text="Of an authenticator app, or a recovery code; for accounts with a second factor.",
    )
    workspace = serializers.UUIDField(
        required=False, default=None, help_text="Without it: your own, else the one joined first."
    )


class RefreshTokenSerializer(StrictSerializer):
    refresh_token = serializers.CharField(max_length=200)


class RefreshSerializer(RefreshTokenSerializer):
    workspace = serializers.UUIDField(
        required=False, default=None, help_text="To change to another workspace of yours."
    )


class TokensSerializer(serializers.Serializer[Tokens]):
    access_token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    refresh_token = serializers.CharField(help_text="Good once; each refresh returns the next.")
    token_type = serializers.SerializerMethodField()
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires.")
    workspace = serializers.UUIDField(source="workspace.uuid")

    def get_token_type(self, tokens: Tokens) -> str:
        return "bearer"


class PersonSerializer(serializers.Serializer[User]):
    id = serializers.UUIDField(source="uuid")
    email = serializers.EmailField()


class NamedWorkspaceSerializer(serializers.Serializer[Workspace]):
    id = serializers.UUIDField(source="uuid")
    name = serializers.CharField()


class MeSerializer(serializers.Serializer[Principal]):
    user = PersonSerializer()
    workspace = NamedWorkspaceSerializer()
    role = serializers.ChoiceField(choices=Role.choices)
    scopes = serializers.SerializerMethodField(help_text="What you may do in this workspace.")

    def get_scopes(self, principal: Principal) -> list[str]:
        return sorted(principal.scopes)


class SignInSerializer(serializers.Serializer[SignIn]):
    id = serializers.UUIDField(source="uuid")
    workspace = serializers.UUIDField(source="workspace.uuid")
    user_agent = serializers.CharField()
    ip_address = serializers.IPAddressField(allow_null=True)
    is_current = serializers.SerializerMethodField(help_text="Whether this call belongs to it.")
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(help_text="When it was last refreshed.")
    expires_at = serializers.DateTimeField()

    def get_is_current(self, sign_in: SignIn) -> bool:
        return bool(sign_in == principal_of(self.context["request"]).sign_in)


class TokenApi(NativeApi):
    # Whoever asks has no credential yet; one that is sent along is not looked at.
    authentication_classes = []
    scopes = {"POST": OPEN}
    rate_limit = 30

    @extend_schema(
        operation_id="token_create", request=PasswordSerializer, responses=TokensSerializer, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Sign in with e-mail address and password."""
        values = valid_body(PasswordSerializer, request)
        user = credentials_check(
            # allauth knows Django's request only.
            request=request._request,
            email=values["email"],
            password=values["password"],
            code=values["code"],
        )
        ip = ip_address(request)
        tokens = sign_in_create(
            user=user,
            workspace=_workspace(user, values["workspace"], ip=ip),
            user_agent=_user_agent(request),
            ip=ip,
        )
        return _answer(tokens)


class TokenRefreshApi(NativeApi):
    authentication_classes = []
    scopes = {"POST": OPEN}
    rate_limit = 30

    @extend_schema(
        operation_id="token_refresh", request=RefreshSerializer, responses=TokensSerializer, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Trade a refresh token for new tokens. A second use of one ends the sign-in."""
        values = valid_body(RefreshSerializer, request)
        tokens = sign_in_refresh(
            refresh_token=values["refresh_token"],
            workspace_uuid=values["workspace"],
            ip=ip_address(request),
        )
        return _answer(tokens)


class TokenRevokeApi(NativeApi):
    authentication_classes = []
    scopes = {"POST": OPEN}
    rate_limit = 30

    @extend_schema(
        operation_id="token_revoke", request=RefreshTokenSerializer, responses={204: None}, auth=[]
    )
    def post(self, request: Request) -> Response:
        """Sign out. A token that is not known is no error (RFC 7009)."""
        values = valid_body(RefreshTokenSerializer, request)
        sign_in_revoke_by_token(refresh_token=values["refresh_token"], ip=ip_address(request))
        return Response(status=204)


class MeApi(NativeApi):
    scopes = {"GET": PERSON}

    @extend_schema(operation_id="me_read", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """Who you are, where, and what you may do there."""
        return Response(MeSerializer(principal_of(request)).data)


class SignInsApi(NativeApi):
    scopes = {"GET": PERSON}

    @extend_schema(operation_id="sign_in_list", responses=SignInSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Your sign-ins through the API that can still be used, newest first."""
        return page_response(self, sign_ins_list(user=person_of(request)), SignInSerializer)


class SignInApi(NativeApi):
    scopes = {"DELETE": PERSON}

    @extend_schema(operation_id="sign_in_revoke", responses={204: None})
    def delete(self, request: Request, sign_in_uuid: UUID) -> Response:
        """End one of your sign-ins; its tokens are refused from now on."""
        user = person_of(request)
        sign_in_revoke(user=user, sign_in_uuid=sign_in_uuid, ip=ip_address(request))
        return Response(status=204)


def _workspace(user: User, asked: UUID | None, *, ip: str) -> Workspace:
    if asked is None:
        return workspace_default_for(user=user, actor=Actor.of_user(user, ip_address=ip))
    # One that is not there and one of strangers look the same.
    workspace = Workspace.objects.filter(uuid=asked, memberships__user=user).first()
    if workspace is None:
        raise NotMember
    return workspace


def _user_agent(request: Request) -> str:
    text = request.headers.get("User-Agent", "")
    return "".join(filter(str.isprintable, text))


def _answer(tokens: Tokens) -> Response:
    return Response(TokensSerializer(tokens).data, headers={"Cache-Control": "no-store"})
