from django.urls import path

from api.audiopod import (
    auth,
    credits,
    denoiser,
    jobs,
    keys,
    speaker,
    stem_catalog,
    stem_extraction,
    wallet,
    webhooks,
)

_SPEAKER = "api/v1/speaker"
_STEMS = "api/v1/stem-extraction"
_DENOISER = "api/v1/denoiser"
_AUTH = "api/v1/auth"
_WALLET = "api/v1/api-wallet"
_CREDITS = "api/v1/credits"
_WEBHOOKS = "api/v1/webhooks"

_speaker = [
    path(f"{_SPEAKER}/extract", speaker.SpeakerExtractApi.as_view(), name="extract"),
    path(f"{_SPEAKER}/diarize", speaker.SpeakerDiarizeApi.as_view(), name="diarize"),
    path(f"{_SPEAKER}/jobs", speaker.SpeakerJobsApi.as_view(), name="speaker-list"),
    path(f"{_SPEAKER}/jobs/<int:job_id>", speaker.SpeakerJobApi.as_view(), name="speaker-detail"),
    path(
        f"{_SPEAKER}/jobs/<int:job_id>/retry",
        speaker.SpeakerRetryApi.as_view(),
        name="speaker-retry",
    ),
    path("api/v1/jobs/<int:job_id>", jobs.AnyJobApi.as_view(), name="job-detail"),
]
_stems = [
    path(f"{_STEMS}/api/extract", stem_extraction.StemExtractApi.as_view(), name="stem-extract"),
    path(f"{_STEMS}/extract", stem_extraction.StemLegacyApi.as_view(), name="stem-legacy"),
    path(
        f"{_STEMS}/extract/advanced",
        stem_extraction.StemAdvancedApi.as_view(),
        name="stem-advanced",
    ),
    path(
        f"{_STEMS}/status/<int:job_id>",
        stem_extraction.StemStatusApi.as_view(),
        name="stem-status",
    ),
    path(f"{_STEMS}/jobs", stem_extraction.StemJobsApi.as_view(), name="stem-list"),
    path(f"{_STEMS}/jobs/<int:job_id>", stem_extraction.StemJobApi.as_view(), name="stem-detail"),
    path(f"{_STEMS}/modes", stem_catalog.StemModesApi.as_view(), name="stem-modes"),
    path(f"{_STEMS}/catalog", stem_catalog.StemCatalogApi.as_view(), name="stem-catalog"),
    path(
        f"{_STEMS}/packages/available",
        stem_catalog.StemPackagesApi.as_view(),
        name="stem-packages",
    ),
]
_denoiser = [
    path(f"{_DENOISER}/denoise", denoiser.DenoiseApi.as_view(), name="denoise"),
    path(f"{_DENOISER}/jobs", denoiser.DenoiseJobsApi.as_view(), name="denoise-list"),
    path(f"{_DENOISER}/jobs/<int:job_id>", denoiser.DenoiseJobApi.as_view(), name="denoise-detail"),
]
_auth = [
    path(
        f"{_AUTH}/initiate-registration",
        auth.InitiateRegistrationApi.as_view(),
        name="registration-begin",
    ),
    path(
        f"{_AUTH}/verify-registration",
        auth.VerifyRegistrationApi.as_view(),
        name="registration-finish",
    ),
    path(f"{_AUTH}/token", auth.TokenApi.as_view(), name="token"),
    path(f"{_AUTH}/refresh", auth.RefreshApi.as_view(), name="refresh"),
    path(f"{_AUTH}/forgot-password", auth.ForgotPasswordApi.as_view(), name="password-forgot"),
    path(f"{_AUTH}/reset-password", auth.ResetPasswordApi.as_view(), name="password-reset"),
    path(f"{_AUTH}/change-password", auth.ChangePasswordApi.as_view(), name="password-change"),
    path(f"{_AUTH}/me", auth.MeApi.as_view(), name="me"),
    path(f"{_AUTH}/api-keys", keys.KeysApi.as_view(), name="key-list"),
    path(f"{_AUTH}/api-keys/<uuid:key_uuid>", keys.KeyApi.as_view(), name="key-detail"),
    # As older versions of their documents have it.
    path("api/v1/api-keys", keys.KeysApi.as_view(), name="old-key-list"),
    path("api/v1/api-keys/<uuid:key_uuid>", keys.KeyApi.as_view(), name="old-key-detail"),
]
_wallet = [
    path(f"{_WALLET}/balance", wallet.BalanceApi.as_view(), name="wallet-balance"),
    path(f"{_WALLET}/pricing", wallet.PricingApi.as_view(), name="wallet-pricing"),
    path(f"{_WALLET}/estimate", wallet.EstimateApi.as_view(), name="wallet-estimate"),
    path(f"{_WALLET}/check-balance", wallet.CheckBalanceApi.as_view(), name="wallet-check"),
    path(f"{_WALLET}/topup/checkout", wallet.TopupCheckoutApi.as_view(), name="wallet-checkout"),
    path(
        f"{_WALLET}/topup/payment-intent", wallet.PaymentIntentApi.as_view(), name="wallet-intent"
    ),
    path(f"{_WALLET}/usage", wallet.UsageApi.as_view(), name="wallet-usage"),
    path(f"{_WALLET}/topups", wallet.TopupsApi.as_view(), name="wallet-topups"),
    path(f"{_WALLET}/service-types", wallet.ServiceTypesApi.as_view(), name="wallet-types"),
    path(_CREDITS, credits.CreditsApi.as_view(), name="credits"),
    path(f"{_CREDITS}/usage", credits.CreditsUsageApi.as_view(), name="credits-usage"),
    path(f"{_CREDITS}/multipliers", credits.MultipliersApi.as_view(), name="credits-multipliers"),
    path(f"{_CREDITS}/payg/info", credits.PaygInfoApi.as_view(), name="payg-info"),
    path(
        f"{_CREDITS}/payg/create-checkout-session",
        credits.PaygCheckoutApi.as_view(),
        name="payg-checkout",
    ),
]
_webhooks = [
    path(f"{_WEBHOOKS}/endpoints", webhooks.EndpointsApi.as_view(), name="webhook-list"),
    path(
        f"{_WEBHOOKS}/endpoints/<uuid:webhook_uuid>",
        webhooks.EndpointApi.as_view(),
        name="webhook-detail",
    ),
    path(
        f"{_WEBHOOKS}/endpoints/<uuid:webhook_uuid>/test",
        webhooks.EndpointTestApi.as_view(),
        name="webhook-test",
    ),
    path(
        f"{_WEBHOOKS}/endpoints/<uuid:webhook_uuid>/deliveries",
        webhooks.EndpointDeliveriesApi.as_view(),
        name="webhook-deliveries",
    ),
    path(
        f"{_WEBHOOKS}/deliveries/<uuid:delivery_uuid>",
        webhooks.DeliveryApi.as_view(),
        name="delivery-detail",
    ),
    path(
        f"{_WEBHOOKS}/deliveries/<uuid:delivery_uuid>/redeliver",
        webhooks.DeliveryResendApi.as_view(),
        name="delivery-redeliver",
    ),
]
urlpatterns = [*_speaker, *_stems, *_denoiser, *_auth, *_wallet, *_webhooks]
for _route in urlpatterns:
    _route.name = f"audiopod-{_route.name}"
