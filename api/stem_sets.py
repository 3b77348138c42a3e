"""Sets of stems that are ordered by one name."""

from collections.abc import Sequence

from config.errors import IncompatibleStems, ModelUnavailable
from jobs.catalog import model_offers, stem_offers
from jobs.separating import separation_plan


def stems_available(wanted: Sequence[str]) -> tuple[str, ...]:
    """As many of these as can be made here by one order, in their order."""
    offered = {offer.name for offer in stem_offers() if offer.available}
    found = tuple(name for name in wanted if name in offered)
    if not found:
        raise ModelUnavailable(f"None of these stems can be made here: {', '.join(wanted)}.")
    try:
        separation_plan(stems=found, model=None)
    except IncompatibleStems:
        sets = [
            tuple(name for name in found if name in offer.stems)
            for offer in model_offers()
            if offer.available
        ]
        return max(sets, key=len)
    return found
