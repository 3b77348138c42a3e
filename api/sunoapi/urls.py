from django.urls import path

from api.sunoapi.conversions import WavRecordApi, WavsApi
from api.sunoapi.credit import CreditApi
from api.sunoapi.notes import MidiRecordApi, MidisApi
from api.sunoapi.separations import SeparationRecordApi, SeparationsApi
from api.sunoapi.uploads import Base64UploadApi, StreamUploadApi, UrlUploadApi

urlpatterns = [
    path(
        "api/v1/vocal-removal/generate",
        SeparationsApi.as_view(),
        name="sunoapi-vocal-removal-generate",
    ),
    path(
        "api/v1/vocal-removal/record-info",
        SeparationRecordApi.as_view(),
        name="sunoapi-vocal-removal-record",
    ),
    path("api/v1/wav/generate", WavsApi.as_view(), name="sunoapi-wav-generate"),
    path("api/v1/wav/record-info", WavRecordApi.as_view(), name="sunoapi-wav-record"),
    path("api/v1/midi/generate", MidisApi.as_view(), name="sunoapi-midi-generate"),
    path("api/v1/midi/record-info", MidiRecordApi.as_view(), name="sunoapi-midi-record"),
    path("api/v1/generate/credit", CreditApi.as_view(), name="sunoapi-credit"),
    # As a client of theirs calls it.
    path(
        "api/v1/account/subscription/remain",
        CreditApi.as_view(),
        name="sunoapi-subscription-remain",
    ),
    path("api/file-stream-upload", StreamUploadApi.as_view(), name="sunoapi-stream-upload"),
    path("api/file-url-upload", UrlUploadApi.as_view(), name="sunoapi-url-upload"),
    path("api/file-base64-upload", Base64UploadApi.as_view(), name="sunoapi-base64-upload"),
]
