from django.urls import path

from api.neuralspace.files import FileApi, FileDownloadApi, FileUploadApi
from api.neuralspace.tasks import ExtractApi, TaskApi

urlpatterns = [
    path("api/file/upload", FileUploadApi.as_view(), name="neuralspace-file-upload"),
    path("api/file/download", FileDownloadApi.as_view(), name="neuralspace-file-download"),
    path("api/file", FileApi.as_view(), name="neuralspace-file"),
    path("api/voice-extractor/v1/extract", ExtractApi.as_view(), name="neuralspace-voice-extract"),
    path("api/voice-extractor/v1/task", TaskApi.as_view(), name="neuralspace-voice-task"),
]
