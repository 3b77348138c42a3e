"""Uploads that survive a broken connection: tus 1.0.0 (https://tus.io/protocols/resumable-upload).

A client announces the length, sends bytes, and after a break asks how far they came. What the
recording is made into is read as JSON from the same address.
"""

import base64
import binascii
import re
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import ASSETS_WRITE
from api.authentication import principal_of, workspace_of
from api.native.assets import AssetSerializer
from api.native.base import OPEN, NativeApi, page_response
from api.raw_bodies import body_length, body_source
from config.errors import (
    LengthDeferred,
    UnsupportedChecksum,
    UnsupportedMediaType,
    UnsupportedTusVersion,
    ValidationFailed,
    stored_text,
)
from jobs.models import AssetState, Ingest, IngestKind
from jobs.receiving.appending import CHECKSUMS, Checksum, upload_append
from jobs.receiving.rows import (
    upload_cancel,
    upload_create,
    upload_get_alive,
    upload_get_for_workspace,
    upload_list,
)

VERSION: Final = "1.0.0"
_OCTETS: Final = "application/offset+octet-stream"
_EXTENSIONS: Final = "creation,creation-with-upload,expiration,checksum,termination"
KINDS: Final = ["tus", "multipart"]
STATES: Final = ["receiving", "waiting", "running", "ready", "failed", "cancelled"]


class UploadErrorSerializer(serializers.Serializer[Ingest]):
    code = serializers.CharField(source="error_code")
    message = serializers.SerializerMethodField()

    def get_message(self, row: Ingest) -> str:
        return stored_text(row.error_code, row.error_message)


class UploadSerializer(serializers.Serializer[Ingest]):
    id = serializers.UUIDField(source="uuid")
    kind = serializers.ChoiceField(choices=KINDS)
    state = serializers.ChoiceField(choices=STATES)
    filename = serializers.CharField()
    size_bytes = serializers.IntegerField()
    received_bytes = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="What is not complete by then is given up.")
    asset = serializers.SerializerMethodField(help_text="Once the state is `ready`.")
    error = serializers.SerializerMethodField(help_text="Of one that failed or has expired.")

    @extend_schema_field(AssetSerializer(allow_null=True))
    def get_asset(self, upload: Ingest) -> dict[str, Any] | None:
        asset = upload.asset
        # It may have been deleted since.
        is_there = asset is not None and asset.state == AssetState.READY
        return dict(AssetSerializer(asset).data) if is_there else None

    @extend_schema_field(UploadErrorSerializer(allow_null=True))
    def get_error(self, upload: Ingest) -> dict[str, Any] | None:
        return dict(UploadErrorSerializer(upload).data) if upload.error_code else None


def _header(name: str, description: str, *, required: bool = True) -> OpenApiParameter:
    return OpenApiParameter(
        name, location=OpenApiParameter.HEADER, description=description, required=required
    )


_RESUMABLE = _header("Tus-Resumable", f"`{VERSION}`")
_CHECKSUM = _header(
    "Upload-Checksum",
    "`sha256` or `sha1`, a space, and the digest of this body in base64.",
    required=False,
)
_OCTET_BODY = {_OCTETS: OpenApiTypes.BINARY}


class TusApi(NativeApi):
    """Addresses that speak tus; whoever reads JSON from them need not."""

    # For more calls than one; small pieces are legal.
    rate_limit = 1000

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # For clients whose network lets only GET and POST through.
        override = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and override in {"PATCH", "DELETE"}:
            request.method = override
        return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        version = request.headers.get("Tus-Resumable")
        is_tus_only = request.method in {"POST", "PATCH"} and self._is_offered(request.method)
        if request.method != "OPTIONS" and version != VERSION and (is_tus_only or version):
            raise UnsupportedTusVersion(headers={"Tus-Version": VERSION})

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        headers = {
            "Tus-Version": VERSION,
            "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
            "Tus-Extension": _EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
        }
        return Response(status=204, headers=headers)

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        response.headers["Tus-Resumable"] = VERSION
        return super().finalize_response(request, response, *args, **kwargs)


class UploadsApi(TusApi):
    scopes = {"GET": ASSETS_WRITE, "POST": ASSETS_WRITE, "OPTIONS": OPEN}

    @extend_schema(
        operation_id="upload_create",
        parameters=[
            _RESUMABLE,
            _header("Upload-Length", "Size of the file in bytes."),
            _header(
                "Upload-Metadata", "`filename`, a space, and the name in base64.", required=False
            ),
            _CHECKSUM,
        ],
        request=_OCTET_BODY,
        responses={201: UploadSerializer},
    )
    def post(self, request: Request) -> Response:
        """Announce a file that follows by tus; `Location` says where to.

        The first bytes may come with it. What the file is made into is read from that address.
        """
        length = body_length(request)
        if length:
            _refuse_other_types(request)
        checksum = _checksum(request)
        if "Upload-Defer-Length" in request.headers:
            raise LengthDeferred
        upload = upload_create(
            workspace=workspace_of(request),
            api_key=principal_of(request).api_key,
            kind=IngestKind.TUS,
            filename=_filename(request),
            size_bytes=_number(request, "Upload-Length"),
        )
        headers = {
            "Location": reverse("native-upload-detail", args=[upload.uuid]),
            **_expires(upload),
        }
        if length:
            with body_source(request, owner=upload.workspace.pk) as source:
                upload = upload_append(
                    workspace=upload.workspace,
                    upload_uuid=upload.uuid,
                    offset=0,
                    source=source,
                    length=length,
                    checksum=checksum,
                )
            headers["Upload-Offset"] = str(upload.received_bytes)
        return Response(UploadSerializer(upload).data, status=201, headers=headers)

    @extend_schema(operation_id="upload_list", responses=UploadSerializer(many=True))
    def get(self, request: Request) -> Response:
        """Uploads in parts, newest first, whatever has become of them."""
        return page_response(self, upload_list(workspace=workspace_of(request)), UploadSerializer)


class UploadApi(TusApi):
    scopes = {
        "GET": ASSETS_WRITE,
        "PATCH": ASSETS_WRITE,
        "DELETE": ASSETS_WRITE,
        "OPTIONS": OPEN,
    }

    @extend_schema(operation_id="upload_read", responses=UploadSerializer)
    def get(self, request: Request, upload_uuid: UUID) -> Response:
        """How far an upload has come, and the asset that was made of it."""
        upload = upload_get_for_workspace(workspace=workspace_of(request), upload_uuid=upload_uuid)
        return Response(UploadSerializer(upload).data)

    def head(self, request: Request, upload_uuid: UUID) -> Response:
        upload = upload_get_alive(workspace=workspace_of(request), upload_uuid=upload_uuid)
        name = base64.b64encode(upload.filename.encode()).decode()
        headers = {
            "Upload-Offset": str(upload.received_bytes),
            "Upload-Length": str(upload.size_bytes),
            "Upload-Metadata": f"filename {name}",
            "Cache-Control": "no-store",
            **_expires(upload),
        }
        return Response(headers=headers)

    @extend_schema(
        operation_id="upload_append",
        parameters=[
            _RESUMABLE,
            _header("Upload-Offset", "How many bytes are there; `HEAD` tells."),
            _CHECKSUM,
        ],
        request=_OCTET_BODY,
        responses={204: None},
    )
    def patch(self, request: Request, upload_uuid: UUID) -> Response:
        """Send the bytes that follow. Those that arrive are kept, even if the connection breaks."""
        _refuse_other_types(request)
        workspace = workspace_of(request)
        with body_source(request, owner=workspace.pk) as source:
            upload = upload_append(
                workspace=workspace,
                upload_uuid=upload_uuid,
                offset=_number(request, "Upload-Offset"),
                source=source,
                length=body_length(request),
                checksum=_checksum(request),
            )
        headers = {"Upload-Offset": str(upload.received_bytes), **_expires(upload)}
        return Response(status=204, headers=headers)

    @extend_schema(operation_id="upload_cancel", responses={204: None})
    def delete(self, request: Request, upload_uuid: UUID) -> Response:
        """Give an upload up; what has arrived of it is thrown away."""
        upload_cancel(workspace=workspace_of(request), upload_uuid=upload_uuid)
        return Response(status=204)


def _expires(upload: Ingest) -> dict[str, str]:
    return {"Upload-Expires": http_date(upload.expires_at.timestamp())}


def _refuse_other_types(request: Request) -> None:
    if request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != _OCTETS:
        raise UnsupportedMediaType(f"Send {_OCTETS}.")


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValidationFailed(fields={name: ["This header must be a number of bytes."]})
    return int(text)


def _checksum(request: Request) -> Checksum | None:
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, digest = text.partition(" ")
    if algorithm not in CHECKSUMS:
        raise UnsupportedChecksum
    return Checksum(algorithm, _base64(digest, "Upload-Checksum"))


def _filename(request: Request) -> str:
    """From metadata such as `filename c29uZy53YXY=,filetype YXVkaW8vd2F2`."""
    values: dict[str, bytes] = {}
    text = request.headers.get("Upload-Metadata", "").strip()
    for pair in text.split(",") if text else []:
        key, _, value = pair.strip().partition(" ")
        if not key or key in values:
            raise _bad_metadata()
        values[key] = _base64(value, "Upload-Metadata")
    try:
        name = values.get("filename", b"").decode()
    except UnicodeDecodeError:
        raise _bad_metadata() from None
    return name


def _base64(text: str, header: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ValidationFailed(fields={header: ["This is not base64."]}) from None


def _bad_metadata() -> ValidationFailed:
    problem = "Send pairs of a name and a text in base64, such as `filename c29uZy53YXY=`."
    return ValidationFailed(fields={"Upload-Metadata": [problem]})
