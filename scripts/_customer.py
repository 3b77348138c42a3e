"""A customer of the public API: all that the demo knows of the service goes through here."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

# An upload is probed, and a download may wait behind other work.
TIMEOUT_S = 120


class ApiError(Exception):
    """The service refused or did not answer; the message is one sentence."""


class Customer:
    def __init__(self, url: str, key: str) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"X-API-Key": key}, timeout=TIMEOUT_S, trust_env=False
        )

    def __enter__(self) -> Customer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call("POST", path, json=body)

    def upload(self, audio: Path) -> Any:
        with audio.open("rb") as file:
            return self._call("POST", "/v1/assets", files={"file": (audio.name, file)})

    def ledger(self) -> list[dict[str, Any]]:
        """Return all entries, oldest first."""
        entries: list[dict[str, Any]] = []
        path: str | None = "/v1/credits/ledger"
        while path:
            page = self.get(path)
            entries += page["results"]
            path = page["next"]
        return entries[::-1]

    def cancel_quietly(self, job_id: str) -> None:
        """Cancel on the way out of another failure, which is the one to tell."""
        with contextlib.suppress(ApiError):
            self.post(f"/v1/jobs/{job_id}/cancel")

    def download(self, output: dict[str, Any], path: Path) -> None:
        """Fetch a stem and compare it with the hash that the API gives."""
        digest = hashlib.sha256()
        try:
            with (
                self._client.stream("GET", output["download_url"]) as response,
                path.open("wb") as file,
            ):
                if response.status_code != 200:
                    raise ApiError(f"The download of {output['stem']} was refused.")
                for block in response.iter_bytes(1 << 20):
                    digest.update(block)
                    file.write(block)
        except httpx.HTTPError as error:
            raise _no_answer(error) from error
        if digest.hexdigest() != output["sha256"]:
            raise ApiError(f"The download of {output['stem']} is not what the service made.")

    def _call(self, method: str, path: str, **content: Any) -> Any:
        try:
            response = self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise _no_answer(error) from error
        if response.is_success:
            return response.json()
        try:
            refusal = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            raise ApiError(
                f"The service answered {method} {path} with {response.status_code}."
            ) from None
        details = [text for texts in (refusal.get("fields") or {}).values() for text in texts]
        raise ApiError(" ".join([refusal["message"], *details]) + f" ({refusal['code']})")


def _no_answer(error: httpx.HTTPError) -> ApiError:
    return ApiError(f"The service stopped answering ({type(error).__name__}).")
