from api.dialects import Dialect
from api.sunoapi.errors import render
from api.sunoapi.schema import ERROR

NAME = "sunoapi"
DIALECT = Dialect(
    name=NAME,
    title="SunoAPI",
    paths=(
        "/api/v1/vocal-removal",
        "/api/v1/wav",
        "/api/v1/midi",
        "/api/v1/generate",
        "/api/v1/account",
        "/api/file-",
    ),
    render=render,
    error=ERROR,
)
