from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from api.native.assets import AssetApi, AssetsApi
from api.native.catalog import CatalogApi
from api.native.credits import CreditsApi, LedgerApi
from api.native.downloads import DownloadApi
from api.native.events import JobEventsApi
from api.native.jobs import JobApi, JobCancelApi, JobEstimateApi, JobsApi

urlpatterns = [
    path("assets", AssetsApi.as_view(), name="native-asset-list"),
    path("assets/<uuid:asset_uuid>", AssetApi.as_view(), name="native-asset-detail"),
    path("jobs", JobsApi.as_view(), name="native-job-list"),
    path("jobs/estimate", JobEstimateApi.as_view(), name="native-job-estimate"),
    path("jobs/<uuid:job_uuid>", JobApi.as_view(), name="native-job-detail"),
    path("jobs/<uuid:job_uuid>/cancel", JobCancelApi.as_view(), name="native-job-cancel"),
    path("jobs/<uuid:job_uuid>/events", JobEventsApi.as_view(), name="native-job-events"),
    path("downloads/<str:token>", DownloadApi.as_view(), name="native-download"),
    path("credits", CreditsApi.as_view(), name="native-credits"),
    path("credits/ledger", LedgerApi.as_view(), name="native-ledger"),
    path("catalog", CatalogApi.as_view(), name="native-catalog"),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="native-openapi"),
    path(
        "docs", SpectacularSwaggerSplitView.as_view(url_name="native-openapi"), name="native-docs"
    ),
]
