from api.dialects import Dialect, Rendered
from config.errors import AppError


def render(error: AppError) -> Rendered:
    return Rendered(error.status, {"message": error.text})


DIALECT = Dialect(
    name="neuralspace",
    title="NeuralSpace",
    paths=(
        "/api/file",
        "/api/file/",
        "/api/voice-extractor/",
    ),
    render=render,
)
