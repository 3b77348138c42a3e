"""Holds a second on one hot workspace: `python -m benchmarks.ledger [SECONDS]`.

Beside it, in the same run and database: a bare INSERT with its commit, the least that any design
pays; and the design that locks the wallet and sums up its entries each time. Everything happens in
a database that is made for it and dropped afterwards.
"""

import json
import os
import sys
from collections.abc import Callable
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402

from accounts.models import ApiKey, Workspace  # noqa: E402
from benchmarks.rates import calls_per_second  # noqa: E402
from billing.ledger import credits_grant, credits_hold  # noqa: E402
from billing.selectors import ledger_discrepancies  # noqa: E402

N_THREADS = (1, 4, 8)
# A workspace in its first months has about as many; the sum only gets slower.
_PEER_ENTRIES = 1_000
_PEER_TABLES = f"""
CREATE TABLE bench_row (id bigserial PRIMARY KEY, job uuid, amount bigint);
CREATE TABLE bench_wallet (id bigint PRIMARY KEY);
CREATE TABLE bench_entry (id bigserial PRIMARY KEY, wallet_id bigint, amount bigint);
CREATE INDEX ON bench_entry (wallet_id);
INSERT INTO bench_wallet VALUES (1);
INSERT INTO bench_entry (wallet_id, amount)
  SELECT 1, 1000000000 FROM generate_series(1, {_PEER_ENTRIES});
"""  # noqa: S608 - our own number


def bare_insert() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO bench_row (job, amount) VALUES (%s, 1)", [uuid4()])


@transaction.atomic
def locked_sum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM bench_wallet WHERE id = 1 FOR UPDATE")
        cursor.execute("SELECT sum(amount) FROM bench_entry WHERE wallet_id = 1")
        if cursor.fetchone()[0] >= 1:
            cursor.execute("INSERT INTO bench_entry (wallet_id, amount) VALUES (1, -1)")


def make_hold(*, with_key: bool) -> Callable[[], None]:
    workspace = Workspace.objects.create(name="Hot")
    credits_grant(workspace=workspace, amount_mcr=10**12, source="bench", idempotency_key="bench")
    key = None
    if with_key:
        key = ApiKey.objects.create(
            workspace=workspace,
            name="bench",
            key_id=uuid4().hex[:16],
            secret_hash=b"",
            monthly_cap_mcr=10**12,
            lineage=uuid4(),
        )
    return lambda: credits_hold(
        workspace=workspace, job_uuid=uuid4(), amount_mcr=1_000, api_key=key
    )


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    connection.settings_dict["TEST"]["NAME"] = f"bench_ledger_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    rows = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(_PEER_TABLES)
        hold, hold_with_key = make_hold(with_key=False), make_hold(with_key=True)
        for n_threads in N_THREADS:
            works = {
                "hold": lambda _: hold,
                "hold_with_key": lambda _: hold_with_key,
                "bare_insert": lambda _: bare_insert,
                "locked_sum": lambda _: locked_sum,
            }
            rates = {
                name: calls_per_second(work_of, n_threads=n_threads, seconds=seconds)
                for name, work_of in works.items()
            }
            rows.append({"threads": n_threads, **{name: round(r, 1) for name, r in rates.items()}})
            sys.stdout.write(
                f"{n_threads} threads: {rates['hold']:.0f} holds/s, with a capped key "
                f"{rates['hold_with_key']:.0f}; of bare inserts ({rates['bare_insert']:.0f}/s) "
                f"{rates['hold'] / rates['bare_insert']:.2f}, of locked sums "
                f"({rates['locked_sum']:.0f}/s) {rates['hold'] / rates['locked_sum']:.2f}\n"
            )
            sys.stdout.flush()
        discrepancies = ledger_discrepancies()
    finally:
        connection.creation.destroy_test_db("", verbosity=0)
    sys.stdout.write(json.dumps({"rows": rows, "discrepancies": len(discrepancies)}) + "\n")


if __name__ == "__main__":
    main()
