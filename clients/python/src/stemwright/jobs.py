"""Jobs: ordered, waited for, and what they made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from stemwright._downloads import download, download_whole, named_by, safe_name
from stemwright._files import OnProgress
from stemwright._http import Http, json_of
from stemwright._reading import read
from stemwright._watching import Deadline, changes
from stemwright.errors import JobFailed, NotAllowed, NotFound
from stemwright.models import Job, Order, Output, Quote, Speakers

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Jobs:
    def __init__(self, http: Http) -> None:
        self._http = http

    def create(self, *, idempotency_key: str | None = None, **order: Unpack[Order]) -> Job:
        """Order a job. Its price is held now, and charged only if it succeeds.

        Parameters
        ----------
        idempotency_key
            The same order again under the same key is the same job, and is charged once. One is
            made up for each call, so that the library's own repetitions are safe. Give one of
            yours, such as the number of an order in your database, if your program may call
            again after a crash.
        order
            `asset`, `stems`, `model`, `format`, … as in `Order`.
        """
        answer = self._http.charge("/v1/jobs", _body(order), idempotency_key=idempotency_key)
        return read(Job, json_of(answer))

    def create_batch(
        self, orders: Sequence[Order], *, idempotency_key: str | None = None
    ) -> Sequence[Job]:
        """Order several jobs: all, or none if anything is wrong with one."""
        body = {"orders": [_body(order) for order in orders]}
        answer = self._http.charge("/v1/jobs/batch", body, idempotency_key=idempotency_key)
        return [read(Job, job) for job in json_of(answer)["jobs"]]

    def retry(self, job_id: str, *, idempotency_key: str | None = None) -> Job:
        """Order a job that failed or was cancelled anew, as it was ordered before."""
        path = f"/v1/jobs/{job_id}/retry"
        answer = self._http.charge(path, None, idempotency_key=idempotency_key)
        return read(Job, json_of(answer))

    def estimate(self, **order: Unpack[Order]) -> Quote:
        """What an order would cost. Nothing is made or held."""
        path = "/v1/jobs/estimate"
        answer = self._http.call("POST", path, json=_body(order), is_repeatable=True)
        return read(Quote, json_of(answer))

    def get(self, job_id: str) -> Job:
        return self._http.get(Job, f"/v1/jobs/{job_id}")

    def list(
        self,
        *,
        status: str | None = None,
        service: str | None = None,
        created_by: str | None = None,
        key: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[Job]:
        """Newest first, those made from `since` to before `until`; reads page after page.

        `created_by` is the id of a member, `key` that of a key.
        """
        return self._http.pages(
            Job,
            "/v1/jobs",
            limit=limit,
            status=status,
            service=service,
            created_by=created_by,
            key=key,
            since=since.isoformat() if since else None,
            until=until.isoformat() if until else None,
        )

    def watch(self, job_id: str, *, timeout_s: float | None = None) -> Iterator[Job]:
        """The job at each change, until it has ended."""
        return changes(self._http, job_id, Deadline(timeout_s))

    def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """The job, once it has succeeded.

        Raises
        ------
        JobFailed
            It failed or was cancelled. Nothing was charged.
        WaitTimeout
            It had not ended after `timeout_s`. It goes on, and may be waited for again.
        """
        for job in self.watch(job_id, timeout_s=timeout_s):
            if on_progress:
                on_progress(job)
            if job.status == "succeeded":
                return job
            if job.has_ended:
                raise JobFailed(job)
        raise AssertionError("A watch ends with a job that has ended.")

    def rename(self, job_id: str, name: str) -> Job:
        """Call a job, and the files that it made, otherwise; "": as its recording again."""
        path = f"/v1/jobs/{job_id}"
        return read(
            Job,
            json_of(self._http.call("PATCH", path, json={"name": name}, is_repeatable=True)),
        )

    def cancel(self, job_id: str) -> Job:
        """Stop a job. A running one ends after the segment at hand. Nothing is charged."""
        # Once it is cancelled, it is an error to do so again: what the answer was is not known.
        answer = self._http.call("POST", f"/v1/jobs/{job_id}/cancel")
        return read(Job, json_of(answer))

    def delete(self, job_id: str) -> None:
        """Delete an ended job and all that it made, for good."""
        self._http.call("DELETE", f"/v1/jobs/{job_id}")

    def download(
        self,
        job: Job | str,
        folder: str | Path,
        *,
        on_progress: Callable[[Output, int, int], None] | None = None,
    ) -> dict[str, Path]:
        """Fetch all that a job made into a folder; returns the path of each output by its id.

        What an earlier call left there unfinished is gone on with. Each file is compared with its
        SHA-256 before it gets its name.
        """
        if isinstance(job, str):
            job = self.get(job)
        paths: dict[str, Path] = {}
        for output, name in zip(job.outputs, _names(job.outputs), strict=True):
            report: OnProgress | None = None
            if on_progress:
                report = _reporter(on_progress, output)
            paths[output.id] = self._download(job, output, Path(folder) / name, report)
        return paths

    def download_archive(
        self, job_id: str, folder: str | Path, *, on_progress: OnProgress | None = None
    ) -> Path:
        """Fetch all that a job made as one zip, named after its recording.

        A broken download begins anew; for large results, `download` is the better way.
        """
        path = f"/v1/jobs/{job_id}/archive"
        return download_whole(self._http, path, Path(folder), on_progress=on_progress)

    def _download(
        self, job: Job, output: Output, target: Path, on_progress: OnProgress | None
    ) -> Path:
        try:
            return download(self._http, output, target, on_progress=on_progress)
        except (NotFound, NotAllowed):
            # Links expire; the job tells new ones. A file that was deleted is in it no longer.
            fresh = [one for one in self.get(job.id).outputs if one.id == output.id]
            if not fresh:
                raise
        return download(self._http, fresh[0], target, on_progress=on_progress)


class SpeakersOf:
    """Who speaks in the recording of a job."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, job_id: str) -> Speakers:
        return self._http.get(Speakers, f"/v1/jobs/{job_id}/speakers")

    def rename(self, job_id: str, names: dict[str, str]) -> Speakers:
        """Name speakers, by their labels; an empty name is the label again."""
        answer = self._http.call(
            "PATCH", f"/v1/jobs/{job_id}/speakers", json={"names": names}, is_repeatable=True
        )
        return read(Speakers, json_of(answer))

    def merge(
        self, job_id: str, groups: list[list[str]], *, idempotency_key: str | None = None
    ) -> Job:
        """Order a free job in which each group of labels is one speaker."""
        path = f"/v1/jobs/{job_id}/speakers/merge"
        answer = self._http.charge(path, {"groups": groups}, idempotency_key=idempotency_key)
        return read(Job, json_of(answer))

    def timeline(self, job_id: str, *, format: str = "rttm") -> str:
        """Who speaks when, as `rttm`, `json`, `csv`, `vtt` or `labels`."""
        return self._timeline(job_id, format).text

    def save_timeline(self, job_id: str, folder: str | Path, *, format: str = "rttm") -> Path:
        """The same as a file, named after the recording."""
        answer = self._timeline(job_id, format)
        path = Path(folder) / named_by(answer, f"timeline.{format}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer.content)
        return path

    def _timeline(self, job_id: str, format: str) -> httpx.Response:
        path = f"/v1/jobs/{job_id}/timeline"
        return self._http.call("GET", path, params={"format": format})


def _body(order: Order) -> dict[str, Any]:
    """As JSON: `import` is no name in Python."""
    return {"import" if name == "import_id" else name: value for name, value in order.items()}


def _names(outputs: list[Output]) -> list[str]:
    """One for each file, never the same twice, whatever system it is."""
    taken: set[str] = set()
    names = []
    for output in outputs:
        name = safe_name(output.filename)
        if name.casefold() in taken:
            name = f"{Path(name).stem} {output.id[:8]}{Path(name).suffix}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _reporter(on_progress: Callable[[Output, int, int], None], output: Output) -> Any:
    return lambda done, total: on_progress(output, done, total)
