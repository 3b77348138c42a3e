"""Files in a bucket: what the settings make of the environment."""

import os
from typing import Any
from urllib.parse import urlsplit

from config import env

_ADDRESSINGS = ("auto", "path", "virtual")


def bucket_storage(
    *,
    bucket: str,
    endpoint: str = "",
    region: str = "",
    access_key: str = "",
    secret_key: str = "",
    addressing: str = "auto",
    encryption: str = "",
    kms_key: str = "",
) -> dict[str, Any]:
    """An entry of STORAGES: django-storages on a private bucket."""
    # Half a second, that processes without a bucket need not spend.
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": endpoint or None,
            # A signature names a region, whether or not the server has such a thing.
            "region_name": region or ("us-east-1" if endpoint else None),
            # Without keys: those of AWS's own chain (variables, profile, the machine's role).
            "access_key": access_key or None,
            "secret_key": secret_key or None,
            # Nothing is public, and nothing has an ACL: the bucket's policy alone decides.
            "default_acl": None,
            "querystring_auth": True,
            # Keys are ours, and unique: never renamed.
            "file_overwrite": True,
            "object_parameters": _encryption(encryption, kms_key),
            "client_config": Config(
                signature_version="s3v4",
                s3={"addressing_style": _addressing(addressing, endpoint)},
                connect_timeout=5,
                read_timeout=60,
                # Few: what fails for longer is tried again as a whole, later.
                retries={"mode": "standard", "total_max_attempts": 3},
                # Servers other than AWS's may not know the newer checksums. Bodies are hashed by
                # the signature all the same.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
            "transfer_config": TransferConfig(
                multipart_threshold=32 * 1024**2,
                multipart_chunksize=16 * 1024**2,
                max_concurrency=4,
            ),
        },
    }


def bucket_origin(storage: dict[str, Any], public_endpoint: str = "") -> str:
    """Where signed addresses lead; pages must be allowed to read and send there."""
    options = storage["OPTIONS"]
    region = options["region_name"] or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    # AWS's first region has no name in addresses.
    of_aws = "https://s3.amazonaws.com" if region == "us-east-1" else _of_region(region)
    parts = urlsplit(public_endpoint or options["endpoint_url"] or of_aws)
    is_virtual = options["client_config"].s3["addressing_style"] == "virtual"
    host = f"{options['bucket_name']}.{parts.netloc}" if is_virtual else parts.netloc
    return f"{parts.scheme}://{host}"


def bucket_storage_from_environment(bucket: str) -> dict[str, Any]:
    access_key = env.text("STEMWRIGHT_S3_ACCESS_KEY", "")
    secret_key = env.text("STEMWRIGHT_S3_SECRET_KEY", "")
    if bool(access_key) != bool(secret_key):
        raise env.EnvError(
            "Set both STEMWRIGHT_S3_ACCESS_KEY and STEMWRIGHT_S3_SECRET_KEY, or neither."
        )
    addressing = env.text("STEMWRIGHT_S3_ADDRESSING", "auto")
    if addressing not in _ADDRESSINGS:
        raise env.EnvError(f"STEMWRIGHT_S3_ADDRESSING must be one of {', '.join(_ADDRESSINGS)}.")
    return bucket_storage(
        bucket=bucket,
        endpoint=env.text("STEMWRIGHT_S3_ENDPOINT", ""),
        region=env.text("STEMWRIGHT_S3_REGION", ""),
        access_key=access_key,
        secret_key=secret_key,
        addressing=addressing,
        encryption=env.text("STEMWRIGHT_S3_ENCRYPTION", ""),
        kms_key=env.text("STEMWRIGHT_S3_KMS_KEY", ""),
    )


def _of_region(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com"


def _addressing(addressing: str, endpoint: str) -> str:
    if addressing != "auto":
        return addressing
    # With "auto", boto3 would sign addresses of AWS's first region, which sends those of others on;
    # the signature does not survive that. Servers of one's own seldom have a name for each bucket.
    return "path" if endpoint else "virtual"


def _encryption(encryption: str, kms_key: str) -> dict[str, str]:
    """Parameters of each write. Without any, the bucket's own default holds."""
    if encryption not in ("", "AES256", "aws:kms") or (kms_key and encryption != "aws:kms"):
        raise env.EnvError(
            "STEMWRIGHT_S3_ENCRYPTION must be empty, AES256 or aws:kms; STEMWRIGHT_S3_KMS_KEY goes "
            "with aws:kms only."
        )
    parameters = {"ServerSideEncryption": encryption, "SSEKMSKeyId": kms_key}
    return {name: value for name, value in parameters.items() if value}
