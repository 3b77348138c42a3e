"""Voice extraction: the voice of a recording, and what is left without it."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ, JOBS_WRITE
from api.authentication import principal_of, workspace_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from api.neuralspace.dialect import DIALECT, NeuralSpaceApi, done, refusals
from api.neuralspace.files import file_of, id_of, masked, time_text
from api.neuralspace.progress import FAILED, WORDS, progress_words
from api.views import JsonParser
from config.errors import NotFound
from jobs.models import Job, JobState
from jobs.selectors import job_list
from jobs.services import Order, job_create

# Our stem to what this API calls it.
STEMS: Final = {"instrumental": "instrument", "vocals": "vocal"}

_TASK_ID = OpenApiParameter("taskId", required=True, description="As the order returned it.")
_QUEUED = "Successfully queued Audio-Split job."
# All that a task may ever say.
SAID: Final = [*WORDS, FAILED]


class ExtractApi(NeuralSpaceApi):
    scopes = {"POST": JOBS_WRITE}
    parser_classes = [JsonParser]

    class OrderSerializer(serializers.Serializer[Any]):
        fileId = serializers.CharField(max_length=64)

    class OrderedSerializer(serializers.Serializer[Any]):
        class OrderedDataSerializer(serializers.Serializer[Any]):
            taskId = serializers.UUIDField()

        success = serializers.BooleanField()
        message = serializers.CharField()
        data = OrderedDataSerializer()  # type: ignore[assignment]

    @extend_schema(
        operation_id="voice_extract",
        parameters=[IDEMPOTENCY_KEY],
        request=OrderSerializer,
        responses={200: OrderedSerializer, **refusals(402, 404, 409, 411, 413, 415)},
    )
    def post(self, request: Request) -> Response:
        """Order the voice of a file. Its price is held now, and charged only if it succeeds."""
        body = self.OrderSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        job = job_create(
            workspace=principal.workspace,
            api_key=principal.api_key,
            person=principal.user,
            order=Order(
                asset_uuid=file_of(request, body.validated_data["fileId"]).uuid,
                stems=list(STEMS),
                tariff="two_stem_separation",
                dialect=DIALECT.name,
            ),
            idempotency_key=idempotency_key(request),
        )
        return Response(done(_QUEUED, {"taskId": str(job.uuid)}))


class TaskSerializer(serializers.Serializer[Any]):
    """For the schema."""

    class TaskDataSerializer(serializers.Serializer[Any]):
        class ResultsSerializer(serializers.Serializer[Any]):
            class OutputSerializer(serializers.Serializer[Any]):
                instrument_path = serializers.CharField(allow_null=True)
                instrument_file_id = serializers.UUIDField(
                    allow_null=True, help_text="Null once the file is no longer kept."
                )
                vocal_path = serializers.CharField(allow_null=True)
                vocal_file_id = serializers.UUIDField(allow_null=True)

            output = OutputSerializer(required=False)

        apikey = serializers.CharField(help_text="Of the key that ordered it, masked.")
        taskId = serializers.UUIDField()
        jobStatus = serializers.ChoiceField(choices=SAID)
        jobProgress = serializers.ListField(
            child=serializers.ChoiceField(choices=SAID),
            help_text="All that has happened so far, in order.",
        )
        results = ResultsSerializer(help_text="Empty until the status is `Completed`.")
        message = serializers.CharField(help_text="Of a task that failed: why.")
        fileId = serializers.UUIDField()
        filePath = serializers.CharField()
        createdAt = serializers.CharField()

    success = serializers.BooleanField()
    message = serializers.CharField()
    data = TaskDataSerializer()  # type: ignore[assignment]


_FILE_ID = "26c9c592-0566-46cf-bb71-91ac1deaa7b5"
_VOCAL_ID = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"
_INSTRUMENT_ID = "5f1c1c0e-3d1c-4f4a-9b39-0a4d9f6f4f10"
_TASK = "0f6a3f0d-55a7-4a57-8f3c-2f7f4c1f7b11"
_COMPLETED = OpenApiExample(
    "Completed",
    value=done(
        "Data fetched succssfully",
        {
            "apikey": "ap_3fA9xK2b********",
            "taskId": _TASK,
            "jobStatus": "Completed",
            "jobProgress": list(WORDS),
            "results": {
                "output": {
                    "instrument_path": f"uploads/{_INSTRUMENT_ID}",
                    "instrument_file_id": _INSTRUMENT_ID,
                    "vocal_path": f"uploads/{_VOCAL_ID}",
                    "vocal_file_id": _VOCAL_ID,
                }
            },
            "message": "job completed successfully",
            "fileId": _FILE_ID,
            "filePath": f"uploads/{_FILE_ID}",
            "createdAt": "2022-10-31T08:07:43.033Z",
        },
    ),
    response_only=True,
    status_codes=["200"],
)


class TaskApi(NeuralSpaceApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(
        operation_id="voice_task",
        parameters=[_TASK_ID],
        responses={200: TaskSerializer, **refusals(404)},
        examples=[_COMPLETED],
    )
    def get(self, request: Request) -> Response:
        """How far a task has come, and what it made."""
        # The word is misspelt in the contract.
        return Response(done("Data fetched succssfully", _task(_job_asked_for(request))))


def _job_asked_for(request: Request) -> Job:
    job_uuid = id_of(request.query_params.get("taskId"), name="taskId")
    # What was ordered through another API has results that this one has no words for.
    jobs = job_list(workspace=workspace_of(request)).filter(dialect=DIALECT.name)
    job = None if job_uuid is None else jobs.filter(uuid=job_uuid).first()
    if job is None:
        raise NotFound("There is no such task.")
    return job


def _task(job: Job) -> dict[str, Any]:
    words = progress_words(job)
    return {
        "apikey": masked(job.api_key),
        "taskId": str(job.uuid),
        "jobStatus": words[-1],
        "jobProgress": words,
        "results": _results(job),
        "message": _message(job),
        "fileId": str(job.recording.uuid),
        "filePath": f"uploads/{job.recording.uuid}",
        "createdAt": time_text(job.created_at),
    }


def _results(job: Job) -> dict[str, Any]:
    if job.state != JobState.SUCCEEDED:
        return {}
    kept = {asset.stem: str(asset.uuid) for asset in job.outputs}  # type: ignore[attr-defined]
    output = {}
    for stem, name in STEMS.items():
        file_id = kept.get(stem)
        output[f"{name}_path"] = f"uploads/{file_id}" if file_id else None
        output[f"{name}_file_id"] = file_id
    return {"output": output}


def _message(job: Job) -> str:
    match job.state:
        case JobState.SUCCEEDED:
            return "job completed successfully"
        case JobState.FAILED:
            return job.error_message
        case JobState.CANCELLED:
            return "job was cancelled"
    return "job in progress"
