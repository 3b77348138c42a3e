from api.dialects import Dialect, Rendered
from config.errors import AppError


def render(error: AppError) -> Rendered:
    return Rendered(error.status, {"message": error.text})


DIALECT = Dialect(
    name="musicgpt",
    title="MusicGPT",
    paths=("/api/public/v1/",),
    render=render,
)
