"""Several orders in one call."""

import hashlib
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_WRITE
from api.authentication import principal_of
from api.idempotency import IDEMPOTENCY_KEY, idempotency_key, key_check
from api.native.base import NativeApi, StrictSerializer, valid_body
from api.native.job_bodies import JobSerializer, OrderSerializer, order_of_body
from config.errors import AppError
from jobs.services import jobs_create

_ORDERS_AT_MOST = 50


class BatchOrderSerializer(OrderSerializer):
    idempotency_key = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="As the header of a single order. Without one, that of the whole batch counts.",
    )

    def validate_idempotency_key(self, key: str) -> str:
        if not key_check(key):
            raise serializers.ValidationError("Send 1 to 200 printable characters.")
        return key


class BatchSerializer(StrictSerializer):
    orders = serializers.ListField(
        child=BatchOrderSerializer(), allow_empty=False, max_length=_ORDERS_AT_MOST
    )


class BatchJobsSerializer(serializers.Serializer[Any]):
    jobs = JobSerializer(many=True, help_text="In the order of the orders.")


class JobBatchApi(NativeApi):
    scopes = {"POST": JOBS_WRITE}

    @extend_schema(
        operation_id="job_create_batch",
        parameters=[IDEMPOTENCY_KEY],
        request=BatchSerializer,
        responses={201: BatchJobsSerializer},
    )
    def post(self, request: Request) -> Response:
        """Order up to 50 jobs: all of them, or none if anything is wrong with one.

        An error names fields as `orders.3.stems`. Under one `Idempotency-Key`, the order at the
        same place of a repeated call is the same job.
        """
        principal = principal_of(request)
        batch_key = idempotency_key(request)
        bodies = valid_body(BatchSerializer, request)["orders"]
        keys = [
            body.get("idempotency_key") or _key(batch_key, number)
            for number, body in enumerate(bodies)
        ]
        orders = [order_of_body(body) for body in bodies]
        try:
            jobs = jobs_create(
                workspace=principal.workspace,
                api_key=principal.api_key,
                person=principal.user,
                orders=list(zip(orders, keys, strict=True)),
            )
        except AppError as error:
            place = f"orders.{error.data['order']}" if "order" in error.data else "orders"
            error.field_sentences = {
                f"{place}.{name}": texts for name, texts in error.field_sentences.items()
            }
            raise
        body = BatchJobsSerializer({"jobs": jobs}, context={"request": request}).data
        return Response(body, status=201)


def _key(batch_key: str | None, number: int) -> str | None:
    """For the order at this place of a batch that has a key as a whole."""
    if batch_key is None:
        return None
    sha256 = hashlib.sha256(f"{number}:{batch_key}".encode()).hexdigest()
    return f"batch:{sha256}"
