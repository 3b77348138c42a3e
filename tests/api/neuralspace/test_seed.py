"""The page "Extract voice from audio file", from top to bottom, with real music and networks.

Each assertion names the passage that it is about.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import soundfile

from billing.selectors import wallet_get
from tests.api.real import music, real_engine
from tests.makers import make_key, run_jobs

SECONDS = 3.0


@pytest.fixture(autouse=True)
def _engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with real_engine(monkeypatch):
        yield


@pytest.mark.django_db(transaction=True)
def test_the_page_from_top_to_bottom(alice: Any, live_server: Any):
    key = make_key(alice)
    # "save your authorization token in a variable": it is sent bare, without any scheme.
    with httpx.Client(
        base_url=live_server.url, headers={"Authorization": key}, trust_env=False
    ) as http:
        # STEP 1. "upload your file first and get the respective file ID".
        recording = music(seconds=SECONDS)
        response = http.post("/api/file/upload", files={"files": ("song.wav", recording)})
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        body = response.json()
        assert (body["success"], body["message"]) == (True, "File uploaded successfully")
        file_id = body["data"]["fileId"]
        assert isinstance(file_id, str)

        # STEP 2. `--header 'Content-Type: application/json' --data-raw '{"fileId": …`
        response = http.post("/api/voice-extractor/v1/extract", json={"fileId": file_id})
        assert response.status_code == 200
        body = response.json()
        # "Here is a sample response".
        assert body["success"] is True
        assert body["message"] == "Successfully queued Audio-Split job."
        # "This will return a taskId".
        task_id = body["data"]["taskId"]
        assert isinstance(task_id, str)

        # STEP 3, before anybody worked on it: "you can see the current voice extraction status".
        response = http.get("/api/voice-extractor/v1/task", params={"taskId": task_id})
        assert response.status_code == 200
        data = response.json()["data"]
        assert (data["jobStatus"], data["jobProgress"]) == ("Queued", ["Queued"])
        assert data["results"] == {}

        assert run_jobs() == 1
        response = http.get("/api/voice-extractor/v1/task", params={"taskId": task_id})
        assert response.status_code == 200
        body = response.json()
        # "This will return an object like this": the keys in this order, the misspelt word kept.
        assert list(body) == ["success", "message", "data"]
        assert body["success"] is True
        assert body["message"] == "Data fetched succssfully"
        data = body["data"]
        # `"apikey": "..."`
        assert re.fullmatch(r"ap_\w{8}\*{8}", data["apikey"])
        assert key not in response.text
        assert data["taskId"] == task_id
        # `"jobStatus": "Completed"`
        assert data["jobStatus"] == "Completed"
        # "These are all the status messages", in order.
        assert data["jobProgress"] == [
            "Queued",
            "Job Started",
            "Loading Model",
            "Model Loading Complete",
            "Splitting Audio",
            "Split Complete",
            "Job Ended",
            "Completed",
        ]
        # `"results": {"output": {"instrument_path": …`
        output = data["results"]["output"]
        assert list(output) == [
            "instrument_path",
            "instrument_file_id",
            "vocal_path",
            "vocal_file_id",
        ]
        assert output["instrument_path"] == f"uploads/{output['instrument_file_id']}"
        assert output["vocal_path"] == f"uploads/{output['vocal_file_id']}"
        # `"message": "job completed successfully"`
        assert data["message"] == "job completed successfully"
        assert data["fileId"] == file_id
        # `"filePath": "uploads/<YOUR-VOICE-EXTRACTION-FILE-ID>"`
        assert data["filePath"] == f"uploads/{file_id}"
        # `"createdAt": "2022-10-31T08:07:43.033Z"`
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", data["createdAt"])

        # "You can fetch these files": the background is the recording without the voice.
        files = {}
        for name in ("instrument", "vocal"):
            file = http.get("/api/file/download", params={"fileId": output[f"{name}_file_id"]})
            assert file.status_code == 200
            assert file.headers["Content-Type"] == "audio/wav"
            files[name], rate = soundfile.read(io.BytesIO(file.content))
        mixture, mixture_rate = soundfile.read(io.BytesIO(recording))
        assert rate == mixture_rate
        assert files["vocal"].shape == files["instrument"].shape == mixture.shape
        assert abs(files["vocal"]).max() > 0.01
        assert abs(files["vocal"] + files["instrument"] - mixture).max() < 2 / 32768

        # "we have file management APIs": what is known of a file, and its end.
        response = http.get("/api/file", params={"fileId": output["vocal_file_id"]})
        data = response.json()["data"]
        assert list(data)[:8] == [
            "fileId",
            "fileName",
            "fileExt",
            "fileSize",
            "metadata",
            "apikey",
            "reference",
            "uploadedAt",
        ]
        assert (data["fileName"], data["fileExt"]) == ("song (vocals).wav", "wav")
        assert data["metadata"] == {"audioDuration": SECONDS}
        response = http.delete("/api/file", params={"fileId": file_id})
        assert response.json() == {
            "success": True,
            "message": "File deleted successfully",
            "data": {"fileId": file_id},
        }
        assert http.get("/api/file", params={"fileId": file_id}).status_code == 404
    # A call costs the same whatever its length.
    assert wallet_get(workspace=alice).posted_mcr == 100_000 - 10_000
