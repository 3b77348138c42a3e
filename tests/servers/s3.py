"""The S3 server that tests use: Ceph's gateway where Debian's packages are installed, else moto."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from secrets import token_hex
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.servers.ceph import Ceph, is_ceph_installed


@dataclass(frozen=True)
class Guest:
    arn: str
    access_key: str
    secret_key: str


@dataclass(frozen=True)
class S3Server:
    url: str
    access_key: str
    secret_key: str
    # Whether it refuses what has to be refused; moto lets much of that pass.
    is_strict: bool
    # Somebody else, who owns no bucket; None where everybody may do everything.
    guest: Guest | None = None

    def client(self, **values: Any) -> Any:
        options = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        }
        return boto3.Session().client("s3", **{**options, **values})


@dataclass(frozen=True)
class RealBucket:
    """A bucket of one test's own; the client has its owner's rights."""

    server: S3Server
    name: str
    client: Any

    def keys(self) -> list[str]:
        """All that it holds, versions and marks of deletions too, and what was never completed."""
        found = [
            item["Key"]
            for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.name)
            for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        ]
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())
        return sorted(found + [f"{item['Key']} (unfinished)" for item in uploads])


def server_name() -> str:
    if not is_ceph_installed():
        return f"moto {version('moto')}, since Ceph's radosgw is not installed"
    output = subprocess.run(
        ["radosgw", "--version"], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    return f"Ceph RGW {output.split()[2]}"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    if is_ceph_installed():
        ceph = Ceph()
        ceph.start()
        try:
            guest = Guest("arn:aws:iam:::user/guest", token_hex(10), token_hex(20))
            ceph.user_make("guest", guest.access_key, guest.secret_key)
            yield S3Server(ceph.url, ceph.access_key, ceph.secret_key, True, guest)
        finally:
            ceph.stop()
        return
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        yield S3Server(f"http://{host}:{port}", "tests", "tests-secret", is_strict=False)
    finally:
        moto.stop()


def bucket_make(server: S3Server) -> RealBucket:
    client = server.client()
    name = f"tests-{uuid4()}"
    client.create_bucket(Bucket=name)
    return RealBucket(server, name, client)
