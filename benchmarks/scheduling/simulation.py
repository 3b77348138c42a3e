"""Workers and orders in simulated time; each claim is a real one."""

import heapq
import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from accounts.models import Workspace
from benchmarks.scheduling.clock import at, set_clock
from benchmarks.scheduling.workload import Order
from jobs.models import Asset, Job, JobState
from jobs.scheduling import job_claim

# Longest look of an idle cluster at its queue (Q_CLUSTER["poll"]).
_POLL_S = 0.2


@dataclass
class Waits:
    previews_s: list[float] = field(default_factory=list)
    others_s: list[float] = field(default_factory=list)
    by_workspace: dict[int, list[float]] = field(default_factory=dict)


class Simulation:
    """`claim_s`: how long a claim keeps all other claims from being made."""

    def __init__(self, *, n_workers: int, claim_s: float, rng: random.Random) -> None:
        self.waits = Waits()
        self._n_idle = n_workers
        self._claim_s = claim_s
        self._claims_free_at = 0.0
        self._rng = rng
        self._orders: dict[UUID, Order] = {}
        self._assets: dict[int, Asset] = {}
        self._events: list[tuple[float, int, str, Order | Job | None]] = []
        self._numbers = itertools.count()

    def run(self, orders: Iterable[Order]) -> Waits:
        for order in orders:
            self._plan(order.at_s, "order", order)
        while self._events:
            now, _, kind, what = heapq.heappop(self._events)
            if isinstance(what, Order):
                self._ordered(now, what)
            elif isinstance(what, Job):
                Job.objects.filter(pk=what.pk).update(state=JobState.SUCCEEDED, lease_until=None)
                self._claim(now)
            else:
                self._claim(now)
        return self.waits

    def _plan(self, moment: float, kind: str, what: Order | Job | None) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), kind, what))

    def _ordered(self, now: float, order: Order) -> None:
        asset = self._asset(order.workspace)
        job = Job.objects.create(
            workspace=asset.workspace,
            service="separation",
            asset=asset,
            stems=["vocals"],
            model="htdemucs",
            output_format="wav",
            order_sha256="",
            price_mcr=0,
            is_preview=order.is_preview,
            created_at=at(now),
            queued_at=at(now),
        )
        self._orders[job.uuid] = order
        if self._n_idle:
            self._n_idle -= 1
            self._plan(now + self._rng.uniform(0, _POLL_S), "claim", None)

    def _claim(self, now: float) -> None:
        """A worker without a job looks for one; claims are made one after the other."""
        moment = max(now, self._claims_free_at)
        self._claims_free_at = moment + self._claim_s
        set_clock(moment)
        job = job_claim()
        if job is None:
            self._n_idle += 1
            return
        order = self._orders.pop(job.uuid)
        self._note(order, moment - order.at_s)
        self._plan(moment + self._claim_s + order.run_s, "end", job)

    def _note(self, order: Order, wait_s: float) -> None:
        (self.waits.previews_s if order.is_preview else self.waits.others_s).append(wait_s)
        self.waits.by_workspace.setdefault(order.workspace, []).append(wait_s)

    def _asset(self, number: int) -> Asset:
        if number not in self._assets:
            workspace = Workspace.objects.create(name=f"Workspace {number}")
            self._assets[number] = Asset.objects.create(
                workspace=workspace,
                filename="recording",
                storage_key=f"simulated/{workspace.uuid}",
                size_bytes=0,
                sha256="",
                codec="",
                container="",
                sample_rate=44_100,
                channels=2,
                n_samples=1,
                layout="stereo",
                is_float=False,
                is_lossy=False,
            )
        return self._assets[number]
