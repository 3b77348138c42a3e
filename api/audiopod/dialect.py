from api.dialects import Dialect, Rendered
from config.errors import AppError


def render(error: AppError) -> Rendered:
    return Rendered(error.status, {"message": error.text})


DIALECT = Dialect(
    name="audiopod",
    title="AudioPod",
    paths=(
        "/api/v1/speaker/",
        "/api/v1/stem-extraction/",
        "/api/v1/jobs",
        "/api/v1/auth/",
        "/api/v1/api-wallet/",
        "/api/v1/credits",
        "/api/v1/webhooks/",
        "/api/v1/denoiser/",
        "/api/v1/api-keys",
    ),
    render=render,
)
