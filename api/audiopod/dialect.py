from api.audiopod.errors import AudiopodErrorSerializer, render
from api.dialects import Dialect

NAME = "audiopod"

DIALECT = Dialect(
    name=NAME,
    title="AudioPod",
    paths=(
        "/api/v1/speaker",
        "/api/v1/stem-extraction",
        "/api/v1/jobs",
        "/api/v1/auth",
        "/api/v1/api-wallet",
        "/api/v1/credits",
        "/api/v1/webhooks",
        "/api/v1/denoiser",
        "/api/v1/api-keys",
    ),
    render=render,
    error=AudiopodErrorSerializer,
)
