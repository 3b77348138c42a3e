"""Registration by a mailed code, tokens, and the person behind them."""

from typing import Any

from allauth.account.models import EmailAddress
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.audit import Actor
from accounts.callers import ip_address
from accounts.credentials import credentials_check
from accounts.models import Role, User
from accounts.passwords import password_change, password_reset_ask, password_reset_finish
from accounts.people import NAME_MAX, full_name, person_rename
from accounts.principal import Principal
from accounts.registration import registration_begin, registration_finish
from accounts.scopes import WORKSPACE_READ
from accounts.tokens import Tokens, sign_in_create, sign_in_refresh
from accounts.workspaces import workspace_default_for
from api.audiopod.base import AudiopodApi, body_of
from api.audiopod.errors import InvalidCode
from api.authentication import person_of, principal_of
from api.views import OPEN, PERSON

_NO_STORE = {"Cache-Control": "no-store"}
_RATE = 30


class AudiopodRegistrationSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    full_name = serializers.CharField(
        max_length=NAME_MAX, required=False, allow_blank=True, default=""
    )


class AudiopodVerificationSerializer(serializers.Serializer[Any]):
    email = serializers.CharField(max_length=254)
    verification_code = serializers.CharField(max_length=32)


class AudiopodPasswordSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=254, help_text="The e-mail address.")
    password = serializers.CharField(max_length=1024, trim_whitespace=False)
    code = serializers.CharField(
        required=False, max_length=64, default="", help_text="Of a second factor, if there is one."
    )


class AudiopodRefreshSerializer(serializers.Serializer[Any]):
    refresh_token = serializers.CharField(max_length=200)


class AudiopodForgotSerializer(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)


class AudiopodResetSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, help_text="What the mailed link ends with.")
    new_password = serializers.CharField(max_length=1024, trim_whitespace=False)


class AudiopodChangePasswordSerializer(serializers.Serializer[Any]):
    current_password = serializers.CharField(max_length=1024, trim_whitespace=False)
    new_password = serializers.CharField(max_length=1024, trim_whitespace=False)


class AudiopodProfileSerializer(serializers.Serializer[Any]):
    full_name = serializers.CharField(max_length=NAME_MAX, allow_blank=True)


class AudiopodUserSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    email = serializers.CharField(allow_null=True)
    full_name = serializers.CharField()
    is_verified = serializers.BooleanField()


class AudiopodTokensSerializer(serializers.Serializer[Any]):
    user = AudiopodUserSerializer()
    access_token = serializers.CharField()
    refresh_token = serializers.CharField(help_text="Good once.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()


class AudiopodMessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


class OpenAuthApi(AudiopodApi):
    # Whoever asks has no credential yet; one that is sent along is not looked at.
    authentication_classes = []
    scopes = {"POST": OPEN}
    rate_limit = _RATE


class InitiateRegistrationApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_registration_begin",
        request=AudiopodRegistrationSerializer,
        responses=AudiopodMessageSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Have a code mailed. The answer does not tell whether the address has an account."""
        values = body_of(AudiopodRegistrationSerializer, request)
        # allauth knows Django's request only.
        registration_begin(request=request._request, **values)
        text = "Verification code sent to your email. Please check your inbox."
        return Response({"message": text})


class VerifyRegistrationApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_registration_finish",
        request=AudiopodVerificationSerializer,
        responses=AudiopodTokensSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Trade the code for an account, a workspace and tokens."""
        values = body_of(AudiopodVerificationSerializer, request)
        user = registration_finish(
            request=request._request, email=values["email"], code=values["verification_code"]
        )
        if user is None:
            raise InvalidCode
        return _tokens(_signed_in(user, request), user)


class TokenApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_token",
        request={
            "application/x-www-form-urlencoded": AudiopodPasswordSerializer,
            "application/json": AudiopodPasswordSerializer,
        },
        responses=AudiopodTokensSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Sign in with e-mail address and password."""
        values = body_of(AudiopodPasswordSerializer, request)
        user = credentials_check(
            request=request._request,
            email=values["username"],
            password=values["password"],
            code=values["code"],
        )
        return _tokens(_signed_in(user, request), user)


class RefreshApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_token_refresh",
        request=AudiopodRefreshSerializer,
        responses=AudiopodTokensSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Trade a refresh token for new tokens. A second use of one ends the sign-in."""
        values = body_of(AudiopodRefreshSerializer, request)
        tokens = sign_in_refresh(refresh_token=values["refresh_token"], ip=ip_address(request))
        return _tokens(tokens, tokens.user)


class ForgotPasswordApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_password_forgot",
        request=AudiopodForgotSerializer,
        responses=AudiopodMessageSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Have a link mailed that sets another password."""
        values = body_of(AudiopodForgotSerializer, request)
        password_reset_ask(request=request._request, email=values["email"])
        text = "If the email exists, a password reset link has been sent."
        return Response({"message": text})


class ResetPasswordApi(OpenAuthApi):
    @extend_schema(
        operation_id="audiopod_password_reset",
        request=AudiopodResetSerializer,
        responses=AudiopodMessageSerializer,
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Set another password; all sign-ins end."""
        values = body_of(AudiopodResetSerializer, request)
        password_reset_finish(request=request._request, **values)
        return Response({"message": "Password has been reset successfully."})


class ChangePasswordApi(AudiopodApi):
    scopes = {"POST": PERSON}
    rate_limit = _RATE

    @extend_schema(
        operation_id="audiopod_password_change",
        request=AudiopodChangePasswordSerializer,
        responses=AudiopodMessageSerializer,
    )
    def post(self, request: Request) -> Response:
        """Change your password; all sign-ins end, this one too."""
        user = person_of(request)
        values = body_of(AudiopodChangePasswordSerializer, request)
        password_change(request=request._request, user=user, **values)
        return Response({"message": "Password changed successfully."})


class MeApi(AudiopodApi):
    # Their client asks with a key: it learns whose workspace it works for.
    scopes = {"GET": WORKSPACE_READ, "PATCH": PERSON}

    @extend_schema(operation_id="audiopod_me", responses=AudiopodUserSerializer)
    def get(self, request: Request) -> Response:
        """Who you are; for a key, who owns its workspace."""
        return Response(_of_principal(principal_of(request)))

    @extend_schema(
        operation_id="audiopod_me_update",
        request=AudiopodProfileSerializer,
        responses=AudiopodUserSerializer,
    )
    def patch(self, request: Request) -> Response:
        """Change your name."""
        user = person_of(request)
        values = body_of(AudiopodProfileSerializer, request)
        actor = principal_of(request).actor
        return Response(_user(person_rename(user=user, name=values["full_name"], actor=actor)))


def _signed_in(user: User, request: Request) -> Tokens:
    ip = ip_address(request)
    agent = "".join(filter(str.isprintable, request.headers.get("User-Agent", "")))
    workspace = workspace_default_for(user=user, actor=Actor.of_user(user, ip_address=ip))
    return sign_in_create(user=user, workspace=workspace, user_agent=agent, ip=ip)


def _tokens(tokens: Tokens, user: User) -> Response:
    body = {
        "user": _user(user),
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_type": "bearer",
        "expires_in": tokens.expires_in,
    }
    return Response(body, headers=_NO_STORE)


def _of_principal(principal: Principal) -> dict[str, Any]:
    if principal.user is not None:
        return _user(principal.user)
    owners = principal.workspace.memberships.filter(role=Role.OWNER).select_related("user")
    owner = owners.first()
    if owner is not None:
        return _user(owner.user)
    # A workspace that only keys reach stands for itself.
    workspace = principal.workspace
    return {
        "id": str(workspace.uuid),
        "email": None,
        "full_name": workspace.name,
        "is_verified": False,
    }


def _user(user: User) -> dict[str, Any]:
    confirmed = EmailAddress.objects.filter(user=user, email=user.email.lower(), verified=True)
    return {
        "id": str(user.uuid),
        "email": user.email,
        "full_name": full_name(user),
        "is_verified": bool(confirmed.exists()),
    }
