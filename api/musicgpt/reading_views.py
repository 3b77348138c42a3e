from functools import partial

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ
from api.authentication import workspace_of
from api.links import asset_url
from api.musicgpt import bodies
from api.musicgpt.base import MusicGptApi
from api.musicgpt.names import KINDS
from api.musicgpt.reading import (
    LIMIT,
    LIMIT_AT_MOST,
    by_id_read,
    by_user_read,
    conversion_get,
    conversions_page,
)
from api.musicgpt.schema import ByIdSerializer, ByUserSerializer

_TYPES = f"{', '.join(KINDS)}, in any case."


def _link(request: Request) -> bodies.Link:
    return partial(asset_url, request=request, days=bodies.LINK_DAYS)


class ByIdApi(MusicGptApi):
    scopes = {"GET": JOBS_READ}
    rate_limit = 200

    @extend_schema(
        operation_id="by_id",
        parameters=[
            OpenApiParameter("conversionType", required=True, description=_TYPES),
            OpenApiParameter("task_id", OpenApiTypes.UUID, description="Either this …"),
            OpenApiParameter("conversion_id", OpenApiTypes.UUID, description="… or this."),
        ],
        responses={200: ByIdSerializer},
    )
    def get(self, request: Request) -> Response:
        """A conversion: how far it is, and once it is done, what came of it."""
        type, task_id = by_id_read(request)
        job = conversion_get(workspace=workspace_of(request), type=type, task_id=task_id)
        told = bodies.whole_conversion(job, link=_link(request))
        return Response({"success": True, "conversion": told})


class ByUserApi(MusicGptApi):
    scopes = {"GET": JOBS_READ}
    rate_limit = 200

    @extend_schema(
        operation_id="by_user",
        parameters=[
            OpenApiParameter("conversionType", description=_TYPES),
            OpenApiParameter("startDate", description="ISO 8601: a day, or a time."),
            OpenApiParameter("endDate", description="ISO 8601: a day, which is included."),
            OpenApiParameter("sortOrder", description="DESC (newest first) or ASC."),
            OpenApiParameter(
                "limit", OpenApiTypes.INT, description=f"{LIMIT}; at most {LIMIT_AT_MOST}."
            ),
            OpenApiParameter("LastEvaluatedKey", description="From the page before."),
        ],
        responses={200: ByUserSerializer},
    )
    def get(self, request: Request) -> Response:
        """The conversions of the workspace, page by page."""
        wanted = by_user_read(request)
        jobs, key = conversions_page(workspace=workspace_of(request), wanted=wanted)
        link = _link(request)
        conversions = [bodies.conversion(job, link=link) for job in jobs]
        return Response({"success": True, "conversions": conversions, "LastEvaluatedKey": key})
