"""Uploads in numbered parts, for programs: each part goes to a signed link of its own."""

from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.callers import ip_address
from accounts.rate_limits import UNLIMITED
from accounts.scopes import ASSETS_WRITE
from api.authentication import principal_of, workspace_of
from api.native.base import OPEN, NativeApi, StrictSerializer, valid_body
from api.native.uploads import UploadSerializer
from api.raw_bodies import body_length, body_source
from config.errors import LengthRequired
from jobs.receiving.multipart import (
    MAX_PARTS,
    PartLink,
    SentPart,
    multipart_complete,
    multipart_create,
    part_links,
    part_store,
    plan_of,
)

# Signing takes time; further links come by further calls.
_LINKS_AT_ONCE = 100


class PartLinkSerializer(serializers.Serializer[PartLink]):
    number = serializers.IntegerField()
    size_bytes = serializers.IntegerField()
    url = serializers.CharField(help_text="Takes this part by PUT, without a key, for an hour.")


class PartLinksSerializer(serializers.Serializer[Any]):
    parts = PartLinkSerializer(many=True)


class MultipartUploadSerializer(UploadSerializer):
    part_size = serializers.IntegerField(help_text="Of all parts but the last.")
    n_parts = serializers.IntegerField()
    parts = PartLinkSerializer(many=True, help_text=f"The first {_LINKS_AT_ONCE} at most.")


class MultipartUploadsApi(NativeApi):
    scopes = {"POST": ASSETS_WRITE}

    class NewMultipartUploadSerializer(StrictSerializer):
        filename = serializers.CharField(max_length=1000)
        size_bytes = serializers.IntegerField(min_value=0, max_value=10**15)

    @extend_schema(
        operation_id="multipart_create",
        request=NewMultipartUploadSerializer,
        responses={201: MultipartUploadSerializer},
    )
    def post(self, request: Request) -> Response:
        """Announce a file that follows in parts; they may be sent side by side, in any order.

        PUT each to its link. The answer has an `ETag`, which the completion names.
        """
        upload = multipart_create(
            workspace=workspace_of(request),
            api_key=principal_of(request).api_key,
            **valid_body(self.NewMultipartUploadSerializer, request),
        )
        plan = plan_of(upload)
        numbers = range(1, min(plan.n_parts, _LINKS_AT_ONCE) + 1)
        body = {
            **UploadSerializer(upload).data,
            "part_size": plan.part_size,
            "n_parts": plan.n_parts,
            "parts": _links(request, upload.uuid, numbers),
        }
        return Response(body, status=201)


class PartLinksApi(NativeApi):
    scopes = {"POST": ASSETS_WRITE}

    class PartNumbersSerializer(StrictSerializer):
        numbers = serializers.ListField(
            child=serializers.IntegerField(min_value=1),
            min_length=1,
            max_length=_LINKS_AT_ONCE,
        )

    @extend_schema(
        operation_id="multipart_parts", request=PartNumbersSerializer, responses=PartLinksSerializer
    )
    def post(self, request: Request, upload_uuid: UUID) -> Response:
        """Links for parts, by their numbers: more of them, or new ones for those that expired."""
        numbers = valid_body(self.PartNumbersSerializer, request)["numbers"]
        return Response({"parts": _links(request, upload_uuid, numbers)})


class MultipartCompleteApi(NativeApi):
    scopes = {"POST": ASSETS_WRITE}

    class SentPartsSerializer(StrictSerializer):
        class PartSerializer(StrictSerializer):
            number = serializers.IntegerField(min_value=1)
            etag = serializers.CharField(max_length=200)

        parts = PartSerializer(many=True, max_length=MAX_PARTS)  # type: ignore[call-arg]

    @extend_schema(
        operation_id="multipart_complete",
        request=SentPartsSerializer,
        responses={202: UploadSerializer},
    )
    def post(self, request: Request, upload_uuid: UUID) -> Response:
        """Say that all parts are there. The asset is made next; saying it again does no harm."""
        parts = valid_body(self.SentPartsSerializer, request)["parts"]
        upload = multipart_complete(
            workspace=workspace_of(request),
            upload_uuid=upload_uuid,
            parts=[SentPart(**part) for part in parts],
        )
        return Response(UploadSerializer(upload).data, status=202)


class UploadPartApi(NativeApi):
    # The link itself is the secret, as with links that a bucket signs.
    authentication_classes = []
    scopes = {"PUT": OPEN}
    # Nothing can be guessed, and each part can be sent again only while its upload is open.
    rate_limit = UNLIMITED

    @extend_schema(
        operation_id="upload_part",
        auth=[],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={200: OpenApiResponse(description="`ETag` names the part. No body.")},
    )
    def put(self, request: Request, token: str) -> Response:
        """Send a part to the link that was given for it."""
        if not request.META.get("CONTENT_LENGTH"):
            raise LengthRequired
        with body_source(request, owner=ip_address(request)) as source:
            etag = part_store(token=token, source=source, length=body_length(request))
        return Response(headers={"ETag": f'"{etag}"'})


def _links(request: Request, upload_uuid: UUID, numbers: Any) -> list[dict[str, Any]]:
    links = part_links(
        workspace=workspace_of(request),
        upload_uuid=upload_uuid,
        numbers=list(numbers),
        own_url=lambda token: str(
            request.build_absolute_uri(reverse("native-upload-part", args=[token]))
        ),
    )
    return [dict(PartLinkSerializer(link).data) for link in links]
