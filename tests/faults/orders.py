"""Callers who order jobs and do not give up when the service does not answer."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from django.db import close_old_connections, connection
from django.db.utils import Error as DatabaseError

from accounts.models import Workspace
from jobs.models import ENDED, Asset, Job
from jobs.services import Order, job_cancel, job_create
from tests.makers import make_asset, make_workspace

Value = TypeVar("Value")

_MODEL = "spleeter-2stems"
# More than two workers take at the same time.
_OPEN_AT_ONCE = 8
# Each price is known and small: what matters is that it is charged once.
_CREDITS = 100_000


def persistent(call: Callable[[], Value]) -> Value:
    """Call until the database answers."""
    while True:
        try:
            close_old_connections()
            return call()
        except DatabaseError:
            connection.close()
            time.sleep(0.2)


class Callers:
    def __init__(self, folder: Path, *, callback_url: str, rng: random.Random) -> None:
        self._random = rng
        self._callback_url = callback_url
        self.workspaces: list[Workspace] = []
        self._assets: list[Asset] = []
        for name in ("One", "Two", "Three"):
            workspace = make_workspace(name, credits=_CREDITS)
            self.workspaces.append(workspace)
            for seconds in (0.5, 1.0, 2.0, 4.0):
                self._assets.append(make_asset(workspace, folder, seconds=seconds))
        self.ordered: list[str] = []

    def order_some(self, number: int | None = None) -> None:
        """Keep a few jobs open; with a number, until so many were ordered."""
        n_open = persistent(lambda: Job.objects.exclude(state__in=ENDED).count())
        while n_open < _OPEN_AT_ONCE and (number is None or len(self.ordered) < number):
            self._order()
            n_open += 1

    def _order(self) -> None:
        asset = self._random.choice(self._assets)
        order = Order(
            asset_uuid=asset.uuid,
            service="separation",
            stems=["vocals", "instrumental"],
            model=_MODEL,
            output_format="flac",
            callback_url=self._callback_url,
        )
        # Sent again under the same key, it is the same job, whatever became of the first answer.
        key = str(uuid4())
        job = persistent(
            lambda: job_create(
                workspace=asset.workspace, api_key=None, order=order, idempotency_key=key
            )
        )
        self.ordered.append(str(job.uuid))
        if self._random.random() < 0.05:
            persistent(lambda: _cancel(job))


def _cancel(job: Job) -> None:
    from config.errors import WrongState

    try:
        job_cancel(workspace=job.workspace, job_uuid=job.uuid)
    except WrongState:
        pass  # It was quicker.
