from django.urls import path

from api.native.archives import ArchiveDownloadApi, JobArchiveApi
from api.native.assets import AssetApi, AssetsApi
from api.native.audit import AuditApi
from api.native.auth import (
    MeApi,
    SignInApi,
    SignInsApi,
    TokenApi,
    TokenRefreshApi,
    TokenRevokeApi,
)
from api.native.batches import JobBatchApi
from api.native.billing import (
    AutoTopUpApi,
    CheckoutApi,
    InvoicesApi,
    PacksApi,
    PaymentsApi,
    PortalApi,
    SubscriptionApi,
)
from api.native.catalog import CatalogApi
from api.native.credits import CreditsApi, LedgerApi
from api.native.deletions import DeletionApi, DeletionsApi
from api.native.downloads import DownloadApi
from api.native.events import JobEventsApi
from api.native.imports import ImportApi, ImportsApi
from api.native.jobs import JobApi, JobCancelApi, JobEstimateApi, JobRetryApi, JobsApi
from api.native.keys import KeyApi, KeyRollApi, KeysApi
from api.native.multipart_uploads import (
    MultipartCompleteApi,
    MultipartUploadsApi,
    PartLinksApi,
    UploadPartApi,
)
from api.native.speakers import (
    JobSpeakersApi,
    JobSpeakersMergeApi,
    JobTimelineApi,
    TimelineDownloadApi,
)
from api.native.uploads import UploadApi, UploadsApi
from api.native.usage import UsageApi
from api.native.webhooks import (
    CallbackSecretApi,
    CallbackSecretRollApi,
    DeliveriesApi,
    DeliveryApi,
    DeliveryResendApi,
    EventTypesApi,
    WebhookApi,
    WebhookDeliveriesApi,
    WebhookRollApi,
    WebhooksApi,
    WebhookTestApi,
)
from api.native.workspace import (
    InvitationAcceptApi,
    InvitationApi,
    InvitationsApi,
    LeaveApi,
    MemberApi,
    MembersApi,
    TransferApi,
    WorkspaceApi,
    WorkspacesApi,
)

urlpatterns = [
    path("assets", AssetsApi.as_view(), name="native-asset-list"),
    path("assets/<uuid:asset_uuid>", AssetApi.as_view(), name="native-asset-detail"),
    path("uploads", UploadsApi.as_view(), name="native-upload-list"),
    path("uploads/multipart", MultipartUploadsApi.as_view(), name="native-multipart-list"),
    path("uploads/<uuid:upload_uuid>", UploadApi.as_view(), name="native-upload-detail"),
    path("uploads/<uuid:upload_uuid>/parts", PartLinksApi.as_view(), name="native-multipart-parts"),
    path(
        "uploads/<uuid:upload_uuid>/complete",
        MultipartCompleteApi.as_view(),
        name="native-multipart-complete",
    ),
    path("upload-parts/<str:token>", UploadPartApi.as_view(), name="native-upload-part"),
    path("deletions", DeletionsApi.as_view(), name="native-deletion-list"),
    path("deletions/<uuid:deleted_uuid>", DeletionApi.as_view(), name="native-deletion-detail"),
    path("imports", ImportsApi.as_view(), name="native-import-list"),
    path("imports/<uuid:import_uuid>", ImportApi.as_view(), name="native-import-detail"),
    path("jobs", JobsApi.as_view(), name="native-job-list"),
    path("jobs/estimate", JobEstimateApi.as_view(), name="native-job-estimate"),
    path("jobs/batch", JobBatchApi.as_view(), name="native-job-batch"),
    path("jobs/<uuid:job_uuid>", JobApi.as_view(), name="native-job-detail"),
    path("jobs/<uuid:job_uuid>/cancel", JobCancelApi.as_view(), name="native-job-cancel"),
    path("jobs/<uuid:job_uuid>/retry", JobRetryApi.as_view(), name="native-job-retry"),
    path("jobs/<uuid:job_uuid>/archive", JobArchiveApi.as_view(), name="native-job-archive"),
    path("jobs/<uuid:job_uuid>/events", JobEventsApi.as_view(), name="native-job-events"),
    path("jobs/<uuid:job_uuid>/speakers", JobSpeakersApi.as_view(), name="native-job-speakers"),
    path(
        "jobs/<uuid:job_uuid>/speakers/merge",
        JobSpeakersMergeApi.as_view(),
        name="native-job-speakers-merge",
    ),
    path("jobs/<uuid:job_uuid>/timeline", JobTimelineApi.as_view(), name="native-job-timeline"),
    path("auth/token", TokenApi.as_view(), name="native-auth-token"),
    path("auth/refresh", TokenRefreshApi.as_view(), name="native-auth-refresh"),
    path("auth/revoke", TokenRevokeApi.as_view(), name="native-auth-revoke"),
    path("auth/me", MeApi.as_view(), name="native-auth-me"),
    path("auth/sessions", SignInsApi.as_view(), name="native-sign-in-list"),
    path("auth/sessions/<uuid:sign_in_uuid>", SignInApi.as_view(), name="native-sign-in-detail"),
    path("keys", KeysApi.as_view(), name="native-key-list"),
    path("keys/<uuid:key_uuid>", KeyApi.as_view(), name="native-key-detail"),
    path("keys/<uuid:key_uuid>/roll", KeyRollApi.as_view(), name="native-key-roll"),
    path("audit", AuditApi.as_view(), name="native-audit"),
    path("downloads/<str:token>", DownloadApi.as_view(), name="native-download"),
    path("archives/<str:token>", ArchiveDownloadApi.as_view(), name="native-archive-download"),
    path("timelines/<str:token>", TimelineDownloadApi.as_view(), name="native-timeline-download"),
    path("credits", CreditsApi.as_view(), name="native-credits"),
    path("usage", UsageApi.as_view(), name="native-usage"),
    path("credits/ledger", LedgerApi.as_view(), name="native-ledger"),
    path("webhooks", WebhooksApi.as_view(), name="native-webhook-list"),
    path("webhooks/events", EventTypesApi.as_view(), name="native-webhook-events"),
    path("webhooks/callback-secret", CallbackSecretApi.as_view(), name="native-callback-secret"),
    path(
        "webhooks/callback-secret/roll",
        CallbackSecretRollApi.as_view(),
        name="native-callback-secret-roll",
    ),
    path("webhooks/<uuid:webhook_uuid>", WebhookApi.as_view(), name="native-webhook-detail"),
    path("webhooks/<uuid:webhook_uuid>/roll", WebhookRollApi.as_view(), name="native-webhook-roll"),
    path("webhooks/<uuid:webhook_uuid>/test", WebhookTestApi.as_view(), name="native-webhook-test"),
    path(
        "webhooks/<uuid:webhook_uuid>/deliveries",
        WebhookDeliveriesApi.as_view(),
        name="native-webhook-deliveries",
    ),
    path("deliveries", DeliveriesApi.as_view(), name="native-delivery-list"),
    path("deliveries/<uuid:delivery_uuid>", DeliveryApi.as_view(), name="native-delivery-detail"),
    path(
        "deliveries/<uuid:delivery_uuid>/resend",
        DeliveryResendApi.as_view(),
        name="native-delivery-resend",
    ),
    path("workspaces", WorkspacesApi.as_view(), name="native-workspace-list"),
    path("workspace", WorkspaceApi.as_view(), name="native-workspace"),
    path("workspace/members", MembersApi.as_view(), name="native-member-list"),
    path("workspace/members/<uuid:user_uuid>", MemberApi.as_view(), name="native-member-detail"),
    path("workspace/leave", LeaveApi.as_view(), name="native-workspace-leave"),
    path("workspace/transfer", TransferApi.as_view(), name="native-workspace-transfer"),
    path("workspace/invitations", InvitationsApi.as_view(), name="native-invitation-list"),
    path(
        "workspace/invitations/<uuid:invitation_uuid>",
        InvitationApi.as_view(),
        name="native-invitation-detail",
    ),
    path("invitations/accept", InvitationAcceptApi.as_view(), name="native-invitation-accept"),
    path("billing/packs", PacksApi.as_view(), name="native-billing-packs"),
    path("billing/checkout", CheckoutApi.as_view(), name="native-billing-checkout"),
    path("billing/portal", PortalApi.as_view(), name="native-billing-portal"),
    path("billing/payments", PaymentsApi.as_view(), name="native-billing-payments"),
    path("billing/invoices", InvoicesApi.as_view(), name="native-billing-invoices"),
    path("billing/subscription", SubscriptionApi.as_view(), name="native-billing-subscription"),
    path("billing/auto-top-up", AutoTopUpApi.as_view(), name="native-billing-auto-top-up"),
    path("catalog", CatalogApi.as_view(), name="native-catalog"),
]
