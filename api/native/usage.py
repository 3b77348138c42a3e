"""What was worked and paid for."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from api.authentication import workspace_of
from api.native.base import NativeApi, StrictSerializer
from billing.pricing import credits_text
from jobs.usage import DAYS_AT_MOST, GROUPS, Usage, UsageReport, usage_get

_DAYS = 30


class DayField(serializers.DateField):
    def to_internal_value(self, value: Any) -> date:
        day = super().to_internal_value(value)
        if not 2000 <= day.year < 2200:
            raise serializers.ValidationError("Nothing was worked on then.")
        return day


class UsageFilterSerializer(StrictSerializer):
    group_by = serializers.ChoiceField(required=False, choices=GROUPS, default="day")

    def get_fields(self) -> dict[str, Any]:
        # A word of Python's.
        first = DayField(
            required=False, help_text=f"The first day; {_DAYS - 1} days before `to` if left out."
        )
        last = DayField(
            required=False,
            help_text=f"The last day, today if left out. At most {DAYS_AT_MOST} days at once.",
        )
        return {**super().get_fields(), "from": first, "to": last}


class UsageSerializer(serializers.Serializer[Usage]):
    jobs = serializers.IntegerField(help_text="That succeeded.")
    charged_mcr = serializers.IntegerField()
    credits_charged = serializers.SerializerMethodField()
    audio_s = serializers.FloatField(help_text="Seconds of audio that were worked on.")

    def get_credits_charged(self, usage: Usage) -> str:
        return credits_text(usage.charged_mcr)


class UsageGroupSerializer(UsageSerializer):
    """Of one day, service or key, whichever was asked for; the others are null."""

    day = serializers.DateField(allow_null=True)
    service = serializers.CharField(allow_null=True)
    key = serializers.UUIDField(
        allow_null=True, help_text="Null also of jobs that a person ordered without a key."
    )
    key_name = serializers.CharField(allow_null=True)


class UsageReportSerializer(serializers.Serializer[UsageReport]):
    total = UsageSerializer()
    groups = UsageGroupSerializer(
        many=True, help_text="Days in their order; services and keys by what they cost."
    )

    def get_fields(self) -> dict[str, Any]:
        first = serializers.DateField(source="first")
        last = serializers.DateField(source="last")
        return {"from": first, "to": last, **super().get_fields()}


class UsageApi(NativeApi):
    scopes = {"GET": CREDITS_READ}

    @extend_schema(
        operation_id="usage_read",
        parameters=[UsageFilterSerializer],
        responses=UsageReportSerializer,
    )
    def get(self, request: Request) -> Response:
        """Credits charged and audio worked on, by day (of UTC), service or key."""
        serializer = UsageFilterSerializer(data=request.query_params.dict())
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        last = values.get("to") or datetime.now(UTC).date()
        report = usage_get(
            workspace=workspace_of(request),
            group_by=values["group_by"],
            first=values.get("from") or last - timedelta(days=_DAYS - 1),
            last=last,
        )
        return Response(UsageReportSerializer(report).data)
