"""An upload in parts that go straight into a bucket: S3's own multipart upload."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.stores.bucket import BucketStore, storage_errors


@dataclass(frozen=True)
class StoredPart:
    number: int
    etag: str
    size_bytes: int


@dataclass(frozen=True)
class BucketUpload:
    """Raises OSErrors only."""

    store: BucketStore
    key: str
    upload_id: str

    @classmethod
    def start(cls, store: BucketStore, key: str) -> "BucketUpload":
        with storage_errors(key):
            answer = store.client.create_multipart_upload(
                Bucket=store.name, Key=key, **store.write_parameters
            )
        return cls(store, key, answer["UploadId"])

    def url(self, number: int, *, size_bytes: int, seconds: int) -> str:
        """A link that takes this part, and none of another size: the length is signed too."""
        with storage_errors(self.key):
            url = self.store.signer.generate_presigned_url(
                "upload_part",
                Params={
                    **self._place,
                    "UploadId": self.upload_id,
                    "PartNumber": number,
                    "ContentLength": size_bytes,
                },
                ExpiresIn=seconds,
            )
        return str(url)

    def parts(self) -> list[StoredPart] | None:
        """What has arrived; None if the upload was put together or given up."""
        try:
            with storage_errors(self.key):
                pages = self.store.client.get_paginator("list_parts").paginate(
                    **self._place, UploadId=self.upload_id
                )
                return [
                    StoredPart(part["PartNumber"], part["ETag"].strip('"'), part["Size"])
                    for page in pages
                    for part in page.get("Parts", [])
                ]
        except FileNotFoundError:
            return None

    def finish(self, etags: Mapping[int, str]) -> None:
        """Put the parts together; quiet if a call beside this one was first."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(etags.items())]
        try:
            with storage_errors(self.key):
                self.store.client.complete_multipart_upload(
                    **self._place, UploadId=self.upload_id, MultipartUpload={"Parts": parts}
                )
        except FileNotFoundError:
            return

    def object_size(self) -> int | None:
        """Of what the parts were put together to; None if that was not done."""
        try:
            with storage_errors(self.key):
                head = self.store.client.head_object(**self._place)
        except FileNotFoundError:
            return None
        return int(head["ContentLength"])

    @property
    def _place(self) -> dict[str, str]:
        return {"Bucket": self.store.name, "Key": self.key}
