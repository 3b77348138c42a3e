from api.dialects import DialectApi
from api.musicgpt.dialect import DIALECT
from api.musicgpt.schema import MusicGptSchema


class MusicGptApi(DialectApi):
    """An endpoint under /api/public/v1/."""

    dialect = DIALECT
    schema = MusicGptSchema()
