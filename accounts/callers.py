"""From where a call comes."""

from typing import Any

from allauth.account.adapter import get_adapter


def ip_address(request: Any) -> str:
    """The caller's address, as far as the configured proxies can be trusted."""
    # Asked for the log, for the audit trail and for limits: found out once a call.
    asked = getattr(request, "_request", request)
    if not hasattr(asked, "ip_address"):
        asked.ip_address = str(get_adapter().get_client_ip(asked))
    return str(asked.ip_address)
