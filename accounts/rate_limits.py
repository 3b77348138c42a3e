"""How often somebody may call: counted in the database, so that all processes share the counts.

A window, mostly of a minute, begins with the first call. One statement counts a call and tells the
count; parallel calls wait for each other on the row, so exactly as many pass as may.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from django.db.models.functions import Now

from accounts.models import RateWindow
from accounts.ready_made import prepared_cursor

WINDOW_S: Final = 60
# A statement that had to wait for the row can be older than the window, hence GREATEST.
_COUNT = """
INSERT INTO accounts_ratewindow AS w (subject, endpoint, started_at, calls)
VALUES (%(subject)s, %(endpoint)s, STATEMENT_TIMESTAMP(), 1)
ON CONFLICT (subject, endpoint) DO UPDATE SET
  calls = CASE WHEN w.started_at > STATEMENT_TIMESTAMP() - MAKE_INTERVAL(secs => %(window_s)s)
    THEN w.calls + 1 ELSE 1 END,
  started_at = CASE WHEN w.started_at > STATEMENT_TIMESTAMP() - MAKE_INTERVAL(secs => %(window_s)s)
    THEN w.started_at ELSE STATEMENT_TIMESTAMP() END
RETURNING calls, CEIL(%(window_s)s
  - GREATEST(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - started_at), 0))::int
"""
# For endpoints without a limit.
UNLIMITED: Final = 0


@dataclass(frozen=True)
class Rate:
    """Where a caller stands after a call."""

    limit: int
    calls: int
    # Seconds until the window ends, at least 1.
    reset_s: int
    window_s: int = WINDOW_S

    @property
    def is_exceeded(self) -> bool:
        return self.calls > self.limit

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers-10, and as older clients know them."""
        left = max(0, self.limit - self.calls)
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_s}',
            "RateLimit": f'"default";r={left};t={self.reset_s}',
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(self.reset_s),
        }


def rate_count(*, subject: str, endpoint: str, limit: int, window_s: int = WINDOW_S) -> Rate:
    """Count a call. Outside of any transaction: one that is undone would not have counted."""
    with prepared_cursor() as cursor:
        cursor.execute(_COUNT, {"subject": subject, "endpoint": endpoint, "window_s": window_s})
        calls, reset_s = cursor.fetchone()
    return Rate(limit, calls, max(1, reset_s), window_s)


def address_subject(address: str) -> str:
    """An IPv6 caller owns at least a /64 and could take another address for each call."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv6Address):
        return f"ip:{ip_network((parsed, 64), strict=False).network_address}"
    return f"ip:{parsed}"


def rate_windows_clean() -> int:
    """Forget callers that have not come back."""
    old = Now() - timedelta(seconds=10 * WINDOW_S)
    return RateWindow.objects.filter(started_at__lt=old).delete()[0]
