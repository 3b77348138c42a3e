"""Liveness says that the process answers; readiness, that it can do its work."""

import structlog
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from jobs.storage import storage_probe

log = structlog.get_logger(__name__)

# Once true it stays so, and finding out reads every migration.
_is_migrated = False


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    checks = {"database": _database_is_migrated(), "storage": _storage_works()}
    status = 200 if all(checks.values()) else 503
    return JsonResponse(
        {"status": "ok" if status == 200 else "unavailable", **checks}, status=status
    )


def _database_is_migrated() -> bool:
    global _is_migrated
    try:
        if _is_migrated:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        else:
            executor = MigrationExecutor(connection)
            _is_migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        log.exception("readiness_database_failed")
        return False
    return _is_migrated


def _storage_works() -> bool:
    try:
        storage_probe()
    except Exception:
        # Whatever it is: no storage, no work.
        log.exception("readiness_storage_failed")
        return False
    return True
