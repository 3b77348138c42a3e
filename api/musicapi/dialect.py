from api.dialects import Dialect, Rendered
from config.errors import AppError


def render(error: AppError) -> Rendered:
    return Rendered(error.status, {"message": error.text})


DIALECT = Dialect(
    name="musicapi",
    title="MusicAPI",
    paths=(
        "/api/v1/sonic/",
        "/api/v1/get-credits",
    ),
    render=render,
)
