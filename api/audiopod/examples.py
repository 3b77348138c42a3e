"""The examples of AudioPod's document, for the description of the API."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

_HEAD: Final[dict[str, Any]] = {
    "id": 123,
    "job_type": "extraction",
    "status": "COMPLETED",
    "created_at": "2024-01-15T10:30:00Z",
    "user_id": "550e8400-e29b-41d4-a716-446655440000",
    "task_id": "0d5ab5e4-6f0e-4d0e-9d2e-3b6f0f1f7f55",
}
_ENDED: Final = {**_HEAD, "completed_at": "2024-01-15T10:35:30Z"}
_LINK: Final = "https://stemwright.example.com/v1/downloads/…"
_TRACK: Final = "processed/123/speaker_0.wav"

ORDERED: Final = OpenApiExample(
    "A new job", response_only=True, value={**_HEAD, "status": "PENDING"}
)
RETRIED: Final = OpenApiExample(
    "A job that is done anew", response_only=True, value={**_HEAD, "status": "PROCESSING"}
)
COMPLETED: Final = OpenApiExample(
    "A completed extraction",
    response_only=True,
    value={
        **_ENDED,
        "result": {
            "speakers": [
                {
                    "id": 0,
                    "label": "SPEAKER_0",
                    "audio_path": _TRACK,
                    "download_url": _LINK,
                    "audio_stats": {"rms_db": -12.3, "peak": 0.85},
                }
            ],
            "files": [
                {
                    "type": "audio",
                    "speaker": "SPEAKER_0",
                    "path": _TRACK,
                    "download_url": _LINK,
                },
                {
                    "type": "rttm",
                    "path": "processed/123/extraction.rttm",
                    "download_url": _LINK,
                },
            ],
            "rttm_path": "processed/123/extraction.rttm",
        },
    },
)
LISTED: Final = OpenApiExample(
    "One job",
    response_only=True,
    value={
        "items": [
            {
                **_ENDED,
                "filename": "podcast_episode.mp3",
                "display_name": "podcast_episode.mp3",
                "outputFiles": [{"type": "audio", "speaker": "SPEAKER_0", "path": _TRACK}],
            }
        ],
        "hasMore": False,
        "total": 1,
    },
)
STEMS: Final = OpenApiExample(
    "A completed separation",
    response_only=True,
    value={
        **_ENDED,
        "id": 5512,
        "job_type": "stem_extraction",
        "source_type": "URL",
        "mode": "single",
        "stem_paths": {"vocals": "stems/5512/vocals.wav"},
        "quality_scores": {},
        "download_urls": {"vocals": _LINK},
    },
)
