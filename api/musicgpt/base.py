from rest_framework.request import Request

from api.authentication import own_rate_limit
from api.dialects import DialectApi
from api.musicgpt.dialect import DIALECT
from api.musicgpt.schema import MusicGptSchema


class MusicGptApi(DialectApi):
    """An endpoint under /api/public/v1/."""

    dialect = DIALECT
    schema = MusicGptSchema()

    def limit_of(self, request: Request) -> int:
        """That of the endpoint, or a lower one that was set for the key itself."""
        limit, own = super().limit_of(request), own_rate_limit(request)
        return min(limit, own) if own else limit
