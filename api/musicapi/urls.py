from django.urls import path

from api.musicapi.clips import BpmApi, MidiApi, UploadApi, WavApi
from api.musicapi.credits import CreditsApi
from api.musicapi.downloads import DownloadApi
from api.musicapi.tasks import NoTaskApi, StemsBasicApi, StemsFullApi, TaskApi
from api.musicapi.vox import VoxApi

urlpatterns = [
    path("api/v1/sonic/upload", UploadApi.as_view(), name="musicapi-upload"),
    path("api/v1/sonic/vox", VoxApi.as_view(), name="musicapi-vox"),
    path("api/v1/sonic/stems/basic", StemsBasicApi.as_view(), name="musicapi-stems-basic"),
    path("api/v1/sonic/stems/full", StemsFullApi.as_view(), name="musicapi-stems-full"),
    path("api/v1/sonic/wav", WavApi.as_view(), name="musicapi-wav"),
    path("api/v1/sonic/bpm", BpmApi.as_view(), name="musicapi-bpm"),
    path("api/v1/sonic/midi", MidiApi.as_view(), name="musicapi-midi"),
    path("api/v1/sonic/download", DownloadApi.as_view(), name="musicapi-download"),
    path("api/v1/sonic/task/", NoTaskApi.as_view(), name="musicapi-task-missing"),
    path("api/v1/sonic/task/<str:task_id>", TaskApi.as_view(), name="musicapi-task"),
    path("api/v1/get-credits", CreditsApi.as_view(), name="musicapi-credits"),
]
