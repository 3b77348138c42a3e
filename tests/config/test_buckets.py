import os
import subprocess
import sys
from typing import Any

import boto3
import pytest
from django.conf import settings as configured

from config.buckets import bucket_origin, bucket_storage

KEYS = {"STEMWRIGHT_S3_ACCESS_KEY": "a", "STEMWRIGHT_S3_SECRET_KEY": "b"}


def start(expression: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A process that reads the settings from an environment."""
    return subprocess.run(
        [sys.executable, "-c", f"from config import settings; print({expression})"],
        cwd=configured.BASE_DIR,
        env={**os.environ, "DATABASE_URL": "postgresql://unused/unused", **environ},
        capture_output=True,
        text=True,
    )


def test_without_a_bucket_files_are_on_disk():
    backend = "settings.STORAGES['default']['BACKEND'], settings._bucket_origins"
    expected = "django.core.files.storage.FileSystemStorage []"
    assert start(backend, STEMWRIGHT_S3_BUCKET="").stdout.strip() == expected


def test_the_environment_names_the_bucket():
    done = start(
        "*sorted(settings.STORAGES['default']['OPTIONS'].items())[:-2], settings._bucket_origins",
        STEMWRIGHT_S3_BUCKET="songs",
        STEMWRIGHT_S3_ENDPOINT="https://inner.example:9000",
        STEMWRIGHT_S3_PUBLIC_ENDPOINT="https://files.example",
        STEMWRIGHT_S3_ENCRYPTION="AES256",
        **KEYS,
    )
    for part in (
        "('access_key', 'a')",
        "('bucket_name', 'songs')",
        "('default_acl', None)",
        "('endpoint_url', 'https://inner.example:9000')",
        "('object_parameters', {'ServerSideEncryption': 'AES256'})",
        "['https://files.example']",
    ):
        assert part in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        {"STEMWRIGHT_S3_ACCESS_KEY": "a"},
        {"STEMWRIGHT_S3_SECRET_KEY": "b"},
        {"STEMWRIGHT_S3_ADDRESSING": "dns"},
        {"STEMWRIGHT_S3_ENCRYPTION": "rot13"},
        {"STEMWRIGHT_S3_ENCRYPTION": "AES256", "STEMWRIGHT_S3_KMS_KEY": "k"},
    ],
)
def test_it_does_not_start_with_half_a_setting(wrong: dict[str, str]):
    done = start("0", STEMWRIGHT_S3_BUCKET="songs", **wrong)
    assert done.returncode != 0
    assert (
        f"EnvError: {'Set both' if len(KEYS.keys() & wrong) else next(iter(wrong))}" in done.stderr
    )


@pytest.mark.parametrize(
    ("values", "origin"),
    [
        ({}, "https://songs.s3.amazonaws.com"),
        ({"region": "eu-central-1"}, "https://songs.s3.eu-central-1.amazonaws.com"),
        (
            {"region": "eu-central-1", "addressing": "path"},
            "https://s3.eu-central-1.amazonaws.com",
        ),
        ({"endpoint": "https://s3.example:9000"}, "https://s3.example:9000"),
        (
            {"endpoint": "https://s3.example", "addressing": "virtual"},
            "https://songs.s3.example",
        ),
    ],
)
def test_pages_may_read_where_signed_addresses_lead(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], origin: str
):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    storage = bucket_storage(bucket="songs", access_key="a", secret_key="b", **values)
    assert bucket_origin(storage) == origin
    options = storage["OPTIONS"]
    client = boto3.Session("a", "b").client(
        "s3",
        region_name=options["region_name"],
        endpoint_url=options["endpoint_url"],
        config=options["client_config"],
    )
    url = client.generate_presigned_url("get_object", Params={"Bucket": "songs", "Key": "k"})
    assert url.startswith((f"{origin}/k?", f"{origin}/songs/k?"))


def test_waits_are_bounded_and_tries_few():
    config = bucket_storage(bucket="songs")["OPTIONS"]["client_config"]
    assert (config.connect_timeout, config.read_timeout) == (5, 60)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.signature_version == "s3v4"
