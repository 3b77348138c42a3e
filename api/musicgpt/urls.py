from django.urls import path

from api.musicgpt.ordering_views import (
    AudioCutterApi,
    AudioToMidiApi,
    DeechoApi,
    DenoiseApi,
    DereverbApi,
    ExtractionApi,
    FileConvertApi,
    KeyBpmApi,
    NotOfferedApi,
)
from api.musicgpt.reading_views import ByIdApi, ByUserApi

_ROOT = "api/public/v1"

urlpatterns = [
    path(f"{_ROOT}/Extraction", ExtractionApi.as_view(), name="musicgpt-extraction"),
    path(f"{_ROOT}/denoise", DenoiseApi.as_view(), name="musicgpt-denoise"),
    path(f"{_ROOT}/deecho", DeechoApi.as_view(), name="musicgpt-deecho"),
    path(f"{_ROOT}/dereverb", DereverbApi.as_view(), name="musicgpt-dereverb"),
    path(f"{_ROOT}/extract_key_bpm", KeyBpmApi.as_view(), name="musicgpt-key-bpm"),
    path(f"{_ROOT}/audio_to_midi", AudioToMidiApi.as_view(), name="musicgpt-audio-to-midi"),
    path(f"{_ROOT}/file_convert", FileConvertApi.as_view(), name="musicgpt-file-convert"),
    path(f"{_ROOT}/audio_cutter", AudioCutterApi.as_view(), name="musicgpt-audio-cutter"),
    path(f"{_ROOT}/byId", ByIdApi.as_view(), name="musicgpt-by-id"),
    path(f"{_ROOT}/byUser", ByUserApi.as_view(), name="musicgpt-by-user"),
    path(f"{_ROOT}/<str:conversion>", NotOfferedApi.as_view(), name="musicgpt-not-offered"),
]
