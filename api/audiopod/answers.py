"""What answers look like, for the description of the API."""

from typing import Any

from rest_framework import serializers

STATUSES = ["PENDING", "PROCESSING", "COMPLETED", "FAILED"]


class AudiopodJobSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    job_type = serializers.ChoiceField(
        choices=["extraction", "diarization", "stem_extraction", "denoise"]
    )
    status = serializers.ChoiceField(choices=STATUSES)
    created_at = serializers.DateTimeField()
    user_id = serializers.UUIDField()
    task_id = serializers.CharField(help_text="Of the latest try; a retry has another.")
    completed_at = serializers.DateTimeField(required=False)
    error_message = serializers.CharField(required=False, help_text="Of a failed job.")
    error = serializers.CharField(required=False, help_text="The same.")


class AudiopodAudioStatsSerializer(serializers.Serializer[Any]):
    rms_db = serializers.FloatField(allow_null=True)
    peak = serializers.FloatField()


class AudiopodSpeakerSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    audio_path = serializers.CharField(required=False)
    download_url = serializers.CharField(required=False)
    audio_stats = AudiopodAudioStatsSerializer()


class AudiopodFileSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(choices=["audio", "rttm"])
    speaker = serializers.CharField(required=False)
    path = serializers.CharField()
    download_url = serializers.CharField(required=False)


class AudiopodSegmentSerializer(serializers.Serializer[Any]):
    start = serializers.FloatField()
    end = serializers.FloatField()
    speaker = serializers.CharField()


class AudiopodSpeakersResultSerializer(serializers.Serializer[Any]):
    speakers = AudiopodSpeakerSerializer(many=True)
    files = AudiopodFileSerializer(many=True)
    rttm_path = serializers.CharField()
    segments = AudiopodSegmentSerializer(
        many=True, required=False, help_text="Of a diarization: who speaks when, in seconds."
    )


class AudiopodSpeakerJobSerializer(AudiopodJobSerializer):
    result = AudiopodSpeakersResultSerializer(required=False)


class AudiopodStemJobSerializer(AudiopodJobSerializer):
    source_type = serializers.ChoiceField(choices=["FILE", "URL"])
    mode = serializers.CharField(allow_null=True)
    stem_paths = serializers.DictField(child=serializers.CharField())
    quality_scores = serializers.DictField(
        child=serializers.FloatField(), help_text="Always empty: nothing here measures them."
    )
    download_urls = serializers.DictField(child=serializers.CharField())


class AudiopodDenoiseJobSerializer(AudiopodJobSerializer):
    quality_mode = serializers.CharField(allow_null=True)
    output_url = serializers.CharField(allow_null=True)
    output_path = serializers.CharField(allow_null=True)


class AudiopodAnyJobSerializer(AudiopodJobSerializer):
    """With `result`, `download_urls` or `output_url`, as its type has it."""

    result = AudiopodSpeakersResultSerializer(required=False)
    download_urls = serializers.DictField(child=serializers.CharField(), required=False)
    output_url = serializers.CharField(allow_null=True, required=False)


class AudiopodListedJobSerializer(AudiopodJobSerializer):
    filename = serializers.CharField()
    display_name = serializers.CharField()
    outputFiles = AudiopodFileSerializer(many=True, required=False)


class AudiopodJobsSerializer(serializers.Serializer[Any]):
    items = AudiopodListedJobSerializer(many=True)
    hasMore = serializers.BooleanField()
    total = serializers.IntegerField()
