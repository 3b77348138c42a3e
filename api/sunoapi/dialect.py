from api.dialects import Dialect, Rendered
from config.errors import AppError


def render(error: AppError) -> Rendered:
    return Rendered(error.status, {"message": error.text})


DIALECT = Dialect(
    name="sunoapi",
    title="SunoAPI",
    paths=(
        "/api/v1/vocal-removal/",
        "/api/v1/wav/",
        "/api/v1/midi/",
        "/api/v1/generate/",
        "/api/v1/account/",
        "/api/file-",
    ),
    render=render,
)
