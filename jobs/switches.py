"""Services that operators switch off by a flag, for all workspaces or for some.

A flag `off-<service>` takes no more orders of it; what was ordered before is done. So a service
that makes trouble is stopped within seconds, and one that is not for everybody is kept from others.
"""

from django.utils.translation import gettext_lazy as _

from accounts.flags import flag_is_on
from accounts.models import Workspace
from config.errors import Unavailable
from jobs.models import Service


def switch_name(service: str) -> str:
    return f"off-{service.replace('_', '-')}"


def switches() -> dict[str, str]:
    """The name of the flag of each service."""
    return {switch_name(service): service for service in Service.values}


def service_is_off(service: str, *, workspace: Workspace) -> bool:
    return flag_is_on(workspace=workspace, name=switch_name(service))


def service_require(service: str, *, workspace: Workspace) -> None:
    """Raise where it is switched off."""
    if service_is_off(service, workspace=workspace):
        raise Unavailable(_("This service is switched off at the moment."))
