"""What the service takes for granted of an S3 server: 21 strict checks.

A check that expects a refusal says so: a server that lets it pass proves nothing.
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
import time_machine
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.servers.s3 import RealBucket

MIB = 1024 * 1024
Check = Callable[[RealBucket], None]


@dataclass(frozen=True)
class Checked:
    check: Check
    # Passes on moto for a wrong reason, or fails there.
    needs_strict_server: bool


CHECKS: dict[str, Checked] = {}


def _check(*, strict: bool = False) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        CHECKS[check.__name__] = Checked(check, strict)
        return check

    return register


def _put(bucket: RealBucket, key: str, body: bytes = b"0123456789", **values: Any) -> Any:
    return bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body, **values)


def _refused(call: Callable[..., Any], *codes: str, **values: Any) -> None:
    with pytest.raises(ClientError) as caught:
        call(**values)
    assert caught.value.response["Error"]["Code"] in codes


def _signed(bucket: RealBucket, key: str, method: str = "get_object", **values: Any) -> str:
    parameters = {"Bucket": bucket.name, "Key": key, **values}
    url: str = bucket.client.generate_presigned_url(method, Params=parameters, ExpiresIn=600)
    return url


def _http(method: str, url: str, **values: Any) -> httpx.Response:
    return httpx.request(method, url, trust_env=False, timeout=30, **values)


@_check()
def put_get_head_delete(bucket: RealBucket) -> None:
    place = {"Bucket": bucket.name, "Key": "a/ü b.wav"}
    _put(bucket, place["Key"], ContentType="audio/wav")
    assert bucket.client.get_object(**place)["Body"].read() == b"0123456789"
    head = bucket.client.head_object(**place)
    assert (head["ContentLength"], head["ContentType"]) == (10, "audio/wav")
    bucket.client.delete_object(**place)
    _refused(bucket.client.head_object, "404", **place)
    assert bucket.keys() == []


@_check()
def lists_in_pages(bucket: RealBucket) -> None:
    expected = [f"p/{number:02}" for number in range(25)]
    for key in (*expected, "other"):
        _put(bucket, key)
    pages = bucket.client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket.name, Prefix="p/", PaginationConfig={"PageSize": 10}
    )
    found = [[item["Key"] for item in page["Contents"]] for page in pages]
    assert [len(page) for page in found] == [10, 10, 5]
    assert sum(found, []) == expected


@_check()
def reads_a_range(bucket: RealBucket) -> None:
    _put(bucket, "a")
    place = {"Bucket": bucket.name, "Key": "a"}
    answer = bucket.client.get_object(**place, Range="bytes=3-5")
    assert (answer["Body"].read(), answer["ContentRange"]) == (b"345", "bytes 3-5/10")
    assert bucket.client.get_object(**place, Range="bytes=-2")["Body"].read() == b"89"
    _refused(bucket.client.get_object, "InvalidRange", **place, Range="bytes=10-")


@_check()
def signed_get_works(bucket: RealBucket) -> None:
    _put(bucket, "a")
    response = _http("GET", _signed(bucket, "a"), headers={"Range": "bytes=1-2"})
    assert (response.status_code, response.content) == (206, b"12")


@_check(strict=True)
def expired_url_is_refused(bucket: RealBucket) -> None:
    _put(bucket, "a")
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=601)):
        expired = _signed(bucket, "a")
    assert _http("GET", expired).status_code == 403
    with time_machine.travel(datetime.now(UTC) - timedelta(seconds=300)):
        assert _http("GET", _signed(bucket, "a")).status_code == 200


@_check(strict=True)
def tampered_url_is_refused(bucket: RealBucket) -> None:
    _put(bucket, "a")
    _put(bucket, "b")
    url = _signed(bucket, "a")
    for tampered in (
        url.replace(f"{bucket.name}/a?", f"{bucket.name}/b?"),
        url.replace("X-Amz-Expires=600", "X-Amz-Expires=60000"),
        url + "&response-content-type=text/html",
    ):
        assert tampered != url
        assert _http("GET", tampered).status_code == 403
    assert _http("GET", url).status_code == 200


@_check(strict=True)
def unsigned_requests_are_refused(bucket: RealBucket) -> None:
    _put(bucket, "a")
    stranger = bucket.server.client(
        config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"})
    )
    place = {"Bucket": bucket.name, "Key": "a"}
    _refused(stranger.get_object, "AccessDenied", **place)
    _refused(stranger.put_object, "AccessDenied", **place, Body=b"x")
    _refused(stranger.list_objects_v2, "AccessDenied", Bucket=bucket.name)
    assert bucket.client.get_object(**place)["Body"].read() == b"0123456789"


@_check(strict=True)
def wrong_secret_is_refused(bucket: RealBucket) -> None:
    _put(bucket, "a")
    thief = bucket.server.client(aws_secret_access_key="wrong")
    place = {"Bucket": bucket.name, "Key": "a"}
    _refused(thief.get_object, "SignatureDoesNotMatch", **place)
    _refused(thief.delete_object, "SignatureDoesNotMatch", **place)
    assert bucket.keys() == ["a"]


@_check(strict=True)
def signed_content_type_is_enforced(bucket: RealBucket) -> None:
    url = _signed(bucket, "a", "put_object", ContentType="audio/wav")
    wrong = _http("PUT", url, content=b"x", headers={"Content-Type": "text/html"})
    assert wrong.status_code == 403
    assert bucket.keys() == []
    right = _http("PUT", url, content=b"x", headers={"Content-Type": "audio/wav"})
    assert right.status_code == 200


@_check(strict=True)
def post_policy_limits_the_size(bucket: RealBucket) -> None:
    form = bucket.client.generate_presigned_post(
        bucket.name, "a", Conditions=[["content-length-range", 1, 10]], ExpiresIn=600
    )

    def post(content: bytes) -> int:
        files = {"file": content}
        return _http("POST", form["url"], data=form["fields"], files=files).status_code

    assert post(b"x" * 11) in {400, 403, 413}
    assert bucket.keys() == []
    assert post(b"x" * 10) in {200, 201, 204}
    assert bucket.keys() == ["a"]


def _begin(bucket: RealBucket, key: str) -> dict[str, str]:
    place = {"Bucket": bucket.name, "Key": key}
    return {**place, "UploadId": bucket.client.create_multipart_upload(**place)["UploadId"]}


def _send(bucket: RealBucket, upload: dict[str, str], *bodies: bytes) -> dict[str, Any]:
    sent = enumerate(bodies, 1)
    etags = {
        number: bucket.client.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        for number, body in sent
    }
    return {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in etags.items()]}


@_check()
def upload_in_parts_is_put_together(bucket: RealBucket) -> None:
    upload = _begin(bucket, "a")
    parts = _send(bucket, upload, b"a" * 5 * MIB, b"b")
    assert bucket.keys() == ["a (unfinished)"]
    bucket.client.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert bucket.keys() == ["a"]
    body = bucket.client.get_object(Bucket=bucket.name, Key="a")["Body"].read()
    assert body == b"a" * 5 * MIB + b"b"


@_check()
def small_part_is_refused(bucket: RealBucket) -> None:
    upload = _begin(bucket, "a")
    parts = _send(bucket, upload, b"a" * (5 * MIB - 1), b"b")
    complete = bucket.client.complete_multipart_upload
    _refused(complete, "EntityTooSmall", **upload, MultipartUpload=parts)


@_check(strict=True)
def abort_frees_the_parts(bucket: RealBucket) -> None:
    upload = _begin(bucket, "a")
    parts = _send(bucket, upload, b"a")
    bucket.client.abort_multipart_upload(**upload)
    assert bucket.keys() == []
    _refused(bucket.client.upload_part, "NoSuchUpload", **upload, PartNumber=2, Body=b"b")
    # Ceph calls it an error of its own.
    complete = bucket.client.complete_multipart_upload
    _refused(complete, "NoSuchUpload", "InternalError", **upload, MultipartUpload=parts)
    assert bucket.keys() == []


@_check(strict=True)
def checksum_is_echoed(bucket: RealBucket) -> None:
    checksum = b64encode(sha256(b"0123456789").digest()).decode()
    assert _put(bucket, "a", ChecksumSHA256=checksum)["ChecksumSHA256"] == checksum


@_check()
def overwriting_can_be_refused(bucket: RealBucket) -> None:
    _put(bucket, "a", IfNoneMatch="*")
    put = bucket.client.put_object
    values = {"Bucket": bucket.name, "Key": "a", "Body": b"other", "IfNoneMatch": "*"}
    _refused(put, "PreconditionFailed", "412", **values)
    assert bucket.client.get_object(Bucket=bucket.name, Key="a")["Body"].read() == b"0123456789"


@_check(strict=True)
def signed_headers_override(bucket: RealBucket) -> None:
    _put(bucket, "a", ContentType="text/html")
    disposition = "attachment; filename*=utf-8''A%20%22b%22%20%C3%BC.wav"
    values = {"ResponseContentType": "audio/wav", "ResponseContentDisposition": disposition}
    for method, call in (("GET", "get_object"), ("HEAD", "head_object")):
        response = _http(method, _signed(bucket, "a", call, **values))
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "audio/wav"
        assert response.headers["Content-Disposition"] == disposition


@_check()
def deletes_many_at_once(bucket: RealBucket) -> None:
    keys = [f"p/{number}" for number in range(30)]
    for key in (*keys, "kept"):
        _put(bucket, key)
    victims = {"Objects": [{"Key": key} for key in (*keys, "never there")], "Quiet": True}
    answer = bucket.client.delete_objects(Bucket=bucket.name, Delete=victims)
    assert answer.get("Errors", []) == []
    assert bucket.keys() == ["kept"]


@_check()
def deleted_versions_leave_nothing(bucket: RealBucket) -> None:
    bucket.client.put_bucket_versioning(
        Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    place = {"Bucket": bucket.name, "Key": "a"}
    versions = [_put(bucket, "a", body)["VersionId"] for body in (b"1", b"2")]
    versions.append(bucket.client.delete_object(**place)["VersionId"])
    assert bucket.keys() == ["a"] * 3
    assert bucket.client.get_object(**place, VersionId=versions[0])["Body"].read() == b"1"
    for version in versions:
        bucket.client.delete_object(**place, VersionId=version)
    assert bucket.keys() == []


@_check()
def lifecycle_rule_is_kept(bucket: RealBucket) -> None:
    rule = {
        "ID": "abort",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    bucket.client.put_bucket_lifecycle_configuration(
        Bucket=bucket.name, LifecycleConfiguration={"Rules": [rule]}
    )
    (found,) = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert found["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert (found["ID"], found["Status"]) == ("abort", "Enabled")


@_check(strict=True)
def cors_is_answered(bucket: RealBucket) -> None:
    rule = {
        "AllowedOrigins": ["https://example.org"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
    }
    bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": [rule]})

    def ask(origin: str) -> httpx.Response:
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        return _http("OPTIONS", f"{bucket.server.url}/{bucket.name}/a", headers=headers)

    allowed = ask("https://example.org")
    assert allowed.status_code == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://example.org"
    assert "PUT" in allowed.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Origin" not in ask("https://evil.example").headers


@_check()
def copies(bucket: RealBucket) -> None:
    _put(bucket, "a b")
    source = {"Bucket": bucket.name, "Key": "a b"}
    bucket.client.copy_object(Bucket=bucket.name, Key="c", CopySource=source)
    assert bucket.client.get_object(Bucket=bucket.name, Key="c")["Body"].read() == b"0123456789"
    assert bucket.keys() == ["a b", "c"]
