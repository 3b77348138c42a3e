from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.invitations import invitation_accept, invitation_create, invitation_revoke
from accounts.models import Invitation, Membership, Role
from accounts.principal import Principal
from accounts.scopes import (
    MEMBERS_READ,
    MEMBERS_WRITE,
    WORKSPACE_OWN,
    WORKSPACE_READ,
    WORKSPACE_WRITE,
)
from accounts.selectors import invitations_list, members_list, memberships_list
from accounts.workspaces import (
    member_change_role,
    member_remove,
    ownership_transfer,
    workspace_create,
    workspace_leave,
    workspace_name_problem,
    workspace_rename,
)
from api.authentication import person_of, principal_of, workspace_of
from api.native.base import PERSON, NativeApi, StrictSerializer, page_response, valid_body

# The owner's comes by transfer only.
GRANTABLE_ROLES = [(role.value, role.label) for role in Role if role != Role.OWNER]


class WorkspaceNameSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100)

    def validate_name(self, name: str) -> str:
        if problem := workspace_name_problem(name):
            raise serializers.ValidationError(str(problem))
        return name


class OwnWorkspaceSerializer(serializers.Serializer[Membership]):
    id = serializers.UUIDField(source="workspace.uuid")
    name = serializers.CharField(source="workspace.name")
    role = serializers.ChoiceField(choices=Role.choices)
    created_at = serializers.DateTimeField(source="workspace.created_at")


class WorkspaceSerializer(serializers.Serializer[Principal]):
    id = serializers.UUIDField(source="workspace.uuid")
    name = serializers.CharField(source="workspace.name")
    role = serializers.ChoiceField(
        choices=Role.choices, allow_null=True, help_text="Of the person; null for a key."
    )
    scopes = serializers.SerializerMethodField(help_text="What you may do here.")
    created_at = serializers.DateTimeField(source="workspace.created_at")

    def get_scopes(self, principal: Principal) -> list[str]:
        return sorted(principal.scopes)


class MemberSerializer(serializers.Serializer[Membership]):
    id = serializers.UUIDField(source="user.uuid")
    email = serializers.EmailField(source="user.email")
    role = serializers.ChoiceField(choices=Role.choices)
    joined_at = serializers.DateTimeField(source="created_at")


class RoleSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=GRANTABLE_ROLES)


class TransferSerializer(StrictSerializer):
    member = serializers.UUIDField(help_text="The `id` of a member.")


class InvitationInputSerializer(RoleSerializer):
    email = serializers.EmailField(max_length=254)


class InvitationSerializer(serializers.Serializer[Invitation]):
    id = serializers.UUIDField(source="uuid")
    email = serializers.EmailField()
    role = serializers.ChoiceField(choices=GRANTABLE_ROLES)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class TokenSerializer(StrictSerializer):
    token = serializers.CharField(max_length=64, help_text="The last part of the mailed link.")


class WorkspacesApi(NativeApi):
    scopes = {"GET": PERSON, "POST": PERSON}

    @extend_schema(operation_id="workspaces_list", responses=OwnWorkspaceSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The workspaces that you are a member of."""
        rows = memberships_list(user=person_of(request))
        return page_response(self, rows, OwnWorkspaceSerializer)

    @extend_schema(
        operation_id="workspaces_create",
        request=WorkspaceNameSerializer,
        responses={201: OwnWorkspaceSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a workspace of your own. Tokens for it: refresh with its id."""
        user, actor = person_of(request), principal_of(request).actor
        workspace = workspace_create(
            **valid_body(WorkspaceNameSerializer, request), owner=user, actor=actor
        )
        membership = memberships_list(user=user).get(workspace=workspace)
        return Response(OwnWorkspaceSerializer(membership).data, status=status.HTTP_201_CREATED)


class WorkspaceApi(NativeApi):
    scopes = {"GET": WORKSPACE_READ, "PATCH": WORKSPACE_WRITE}

    @extend_schema(operation_id="workspace_read", responses=WorkspaceSerializer)
    def get(self, request: Request) -> Response:
        """The workspace that your key or token is for, and what you may do there."""
        return Response(WorkspaceSerializer(principal_of(request)).data)

    @extend_schema(
        operation_id="workspace_rename",
        request=WorkspaceNameSerializer,
        responses=WorkspaceSerializer,
    )
    def patch(self, request: Request) -> Response:
        """Rename the workspace."""
        principal = principal_of(request)
        values = valid_body(WorkspaceNameSerializer, request)
        renamed = workspace_rename(workspace=principal.workspace, actor=principal.actor, **values)
        principal.workspace.name = renamed.name
        return Response(WorkspaceSerializer(principal).data)


class MembersApi(NativeApi):
    scopes = {"GET": MEMBERS_READ}

    @extend_schema(operation_id="members_list", responses=MemberSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Who belongs to the workspace, and as what; newest first."""
        rows = members_list(workspace=workspace_of(request))
        return page_response(self, rows, MemberSerializer)


class MemberApi(NativeApi):
    scopes = {"PATCH": MEMBERS_WRITE, "DELETE": MEMBERS_WRITE}

    @extend_schema(
        operation_id="members_change_role", request=RoleSerializer, responses=MemberSerializer
    )
    def patch(self, request: Request, user_uuid: UUID) -> Response:
        """Change a member's role. You cannot give rights that you lack."""
        member = member_change_role(
            workspace=workspace_of(request),
            user_uuid=user_uuid,
            role=Role(valid_body(RoleSerializer, request)["role"]),
            actor=principal_of(request).actor,
        )
        return Response(MemberSerializer(member).data)

    @extend_schema(operation_id="members_remove", responses={204: None})
    def delete(self, request: Request, user_uuid: UUID) -> Response:
        """Remove a member; their tokens for the workspace end at once, keys go on."""
        principal = principal_of(request)
        member_remove(workspace=principal.workspace, user_uuid=user_uuid, actor=principal.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class LeaveApi(NativeApi):
    scopes = {"POST": PERSON}

    @extend_schema(operation_id="workspace_leave", request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        """Leave the workspace that your token is for. The owner transfers it first."""
        principal = principal_of(request)
        workspace_leave(
            workspace=principal.workspace, user=person_of(request), actor=principal.actor
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class TransferApi(NativeApi):
    scopes = {"POST": WORKSPACE_OWN}

    @extend_schema(
        operation_id="workspace_transfer", request=TransferSerializer, responses=MemberSerializer
    )
    def post(self, request: Request) -> Response:
        """Make another member the owner. You stay as an admin."""
        member = ownership_transfer(
            workspace=workspace_of(request),
            user_uuid=valid_body(TransferSerializer, request)["member"],
            actor=principal_of(request).actor,
        )
        return Response(MemberSerializer(member).data)


class InvitationsApi(NativeApi):
    scopes = {"GET": MEMBERS_READ, "POST": MEMBERS_WRITE}

    @extend_schema(operation_id="invitations_list", responses=InvitationSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Those that were neither accepted nor revoked; see `expires_at`."""
        rows = invitations_list(workspace=workspace_of(request))
        return page_response(self, rows, InvitationSerializer)

    @extend_schema(
        operation_id="invitations_create",
        request=InvitationInputSerializer,
        responses={201: InvitationSerializer},
    )
    def post(self, request: Request) -> Response:
        """Mail an invitation. Done again, the former link ends and a new one is sent."""
        values = valid_body(InvitationInputSerializer, request)
        invitation = invitation_create(
            workspace=workspace_of(request),
            email=values["email"],
            role=Role(values["role"]),
            invited_by=person_of(request),
            actor=principal_of(request).actor,
        )
        return Response(InvitationSerializer(invitation).data, status=status.HTTP_201_CREATED)


class InvitationApi(NativeApi):
    scopes = {"DELETE": MEMBERS_WRITE}

    @extend_schema(operation_id="invitations_revoke", responses={204: None})
    def delete(self, request: Request, invitation_uuid: UUID) -> Response:
        """Take an invitation back; its link is good for nothing any more."""
        invitation_revoke(
            workspace=workspace_of(request),
            invitation_uuid=invitation_uuid,
            actor=principal_of(request).actor,
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationAcceptApi(NativeApi):
    scopes = {"POST": PERSON}

    @extend_schema(
        operation_id="invitations_accept",
        request=TokenSerializer,
        responses=OwnWorkspaceSerializer,
    )
    def post(self, request: Request) -> Response:
        """Join. Your confirmed address must be the invited one."""
        membership = invitation_accept(
            token=valid_body(TokenSerializer, request)["token"],
            user=person_of(request),
            actor=principal_of(request).actor,
        )
        return Response(OwnWorkspaceSerializer(membership).data)
