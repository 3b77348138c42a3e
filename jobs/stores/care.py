"""A bucket as an operator has to see to it: made, set up, and looked over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from botocore.exceptions import ClientError

from jobs.stores import StorageFailed
from jobs.stores.bucket import BucketStore, storage_errors

# By these names our rules are told from those of others, which are left alone.
_RULE: Final = "stemwright-abort-uploads"
_CORS: Final = "stemwright-browsers"
_ABORT_AFTER_DAYS: Final = 7
# What servers say of a configuration that nobody has made.
_NONE = {
    "NoSuchLifecycleConfiguration",
    "NoSuchCORSConfiguration",
    "NoSuchKey",
    "404",
    "ObjectLockConfigurationNotFoundError",
    "NoSuchObjectLockConfiguration",
    "NoSuchBucketObjectLockConfiguration",
}
_DENIED = {"AccessDenied", "403", "AllAccessDisabled"}


@dataclass(frozen=True)
class Finding:
    is_good: bool
    text: str


def bucket_setup(store: BucketStore, *, site_url: str) -> Iterator[str]:
    """Make the bucket if it is missing and give it the rules that it needs; says what it did."""
    with storage_errors():
        yield _create(store)
        _put_lifecycle(store)
        yield f"Uploads that nobody completes are given up after {_ABORT_AFTER_DAYS} days."
        _put_cors(store, _origin(site_url))
        yield f"Browsers on {_origin(site_url)} may send parts and read files."


def bucket_check(store: BucketStore, *, site_url: str) -> Iterator[Finding]:
    """Look whether the bucket is what the service needs; leaves nothing behind."""
    try:
        with storage_errors():
            store.client.head_bucket(Bucket=store.name)
    except FileNotFoundError:
        yield Finding(False, f"There is no bucket {store.name}: run storage_setup.")
        return
    except OSError as error:
        yield Finding(False, f"The bucket {store.name} cannot be reached: {error}.")
        return
    try:
        store.probe()
        store.has(f"readyz/{uuid4()}")
    except OSError as error:
        yield Finding(False, f"The bucket {store.name} cannot be used: {error}.")
        return
    yield Finding(True, "Files can be written, read, listed and deleted, versions included.")
    yield _privacy(store)
    yield _versioning(store)
    yield from _object_lock(store)
    yield _lifecycle(store)
    yield _cors(store, _origin(site_url))


def _create(store: BucketStore) -> str:
    try:
        store.client.head_bucket(Bucket=store.name)
        return f"The bucket {store.name} is there."
    except ClientError as error:
        if _code(error) not in {"404", "NoSuchBucket"}:
            raise
    region = store.client.meta.region_name
    # AWS names its first region by leaving it out. Other servers have regions of their own, and
    # take the one that they have.
    is_named = store.client.meta.endpoint_url.endswith(".amazonaws.com") and region != "us-east-1"
    place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if is_named else {}
    store.client.create_bucket(Bucket=store.name, **place)
    return f"The bucket {store.name} was made."


def _put_lifecycle(store: BucketStore) -> None:
    rule = {
        "ID": _RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_AFTER_DAYS},
    }
    others = [other for other in _lifecycle_rules(store) if other.get("ID") != _RULE]
    store.client.put_bucket_lifecycle_configuration(
        Bucket=store.name, LifecycleConfiguration={"Rules": [*others, rule]}
    )


def _put_cors(store: BucketStore, origin: str) -> None:
    rule = {
        "ID": _CORS,
        "AllowedOrigins": [origin],
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Accept-Ranges", "Content-Range", "Content-Length"],
        "MaxAgeSeconds": 3600,
    }
    others = [other for other in _cors_rules(store) if other.get("ID") != _CORS]
    store.client.put_bucket_cors(
        Bucket=store.name, CORSConfiguration={"CORSRules": [*others, rule]}
    )


def _lifecycle_rules(store: BucketStore) -> list[dict[str, Any]]:
    found = _configuration(store.client.get_bucket_lifecycle_configuration, store)
    return list(found.get("Rules", []))


def _cors_rules(store: BucketStore) -> list[dict[str, Any]]:
    return list(_configuration(store.client.get_bucket_cors, store).get("CORSRules", []))


def _configuration(call: Any, store: BucketStore) -> dict[str, Any]:
    """What was configured; empty if nothing was."""
    try:
        return dict(call(Bucket=store.name))
    except ClientError as error:
        if _code(error) not in _NONE:
            raise
        return {}


def _privacy(store: BucketStore) -> Finding:
    stranger = store.stranger()
    with store.small_object() as place:
        calls = {
            "read files": lambda: stranger.get_object(**place),
            "list files": lambda: stranger.list_objects_v2(Bucket=store.name, MaxKeys=1),
        }
        open_for = [what for what, call in calls.items() if not _is_denied(call)]
    if open_for:
        return Finding(False, f"Strangers can {' and '.join(open_for)}: make the bucket private.")
    return Finding(True, "Requests without a signature are refused.")


def _is_denied(call: Any) -> bool:
    try:
        call()
    except ClientError as error:
        return _code(error) in _DENIED
    return False


def _versioning(store: BucketStore) -> Finding:
    def look() -> Finding:
        status = store.client.get_bucket_versioning(Bucket=store.name).get("Status")
        if status == "Enabled":
            return Finding(True, "Versions are kept; a deletion removes all of a file's versions.")
        if status == "Suspended":
            return Finding(True, "Versions are no longer kept; older ones are deleted with files.")
        return Finding(True, "Versions are not kept.")

    return _unless_denied(look, "versioning")


def _object_lock(store: BucketStore) -> Iterator[Finding]:
    def look() -> Finding | None:
        found = _configuration(store.client.get_object_lock_configuration, store)
        if found.get("ObjectLockConfiguration", {}).get("Rule"):
            text = "Files are locked for a time: deletions fail until it is over. Remove the lock."
            return Finding(False, text)
        return None

    try:
        finding = look()
    except ClientError:
        # Servers without such locks say so in many ways; without the right to look, deletions
        # that are refused show it.
        return
    if finding is not None:
        yield finding


def _lifecycle(store: BucketStore) -> Finding:
    def look() -> Finding:
        days = [
            rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
            for rule in _lifecycle_rules(store)
            if rule["Status"] == "Enabled" and "AbortIncompleteMultipartUpload" in rule
        ]
        if not days:
            text = "Uploads that nobody completes are kept for ever: run storage_setup."
            return Finding(False, text)
        return Finding(True, f"Uploads that nobody completes are given up after {min(days)} days.")

    return _unless_denied(look, "lifecycle")


def _cors(store: BucketStore, origin: str) -> Finding:
    def look() -> Finding:
        for rule in _cors_rules(store):
            if {origin, "*"} & set(rule["AllowedOrigins"]) and "PUT" in rule["AllowedMethods"]:
                return Finding(True, f"Browsers on {origin} may send parts and read files.")
        return Finding(
            False, f"Browsers on {origin} may not send or read files: run storage_setup."
        )

    return _unless_denied(look, "CORS")


def _unless_denied(look: Any, what: str) -> Finding:
    try:
        return look()  # type: ignore[no-any-return]
    except ClientError as error:
        if _code(error) in _DENIED:
            # As it should be: the service's key needs no such right.
            return Finding(True, f"The rules on {what} cannot be seen with this key.")
        raise StorageFailed(f"storage refused {error.operation_name}: {_code(error)}") from error


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
