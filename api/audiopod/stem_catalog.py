"""What stems, modes and packages there are, and which of them can be had here."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.scopes import JOBS_READ
from api.audiopod.base import AudiopodApi
from api.audiopod.stems import CATALOG, MODES, ours_of
from api.views import OPEN
from config.errors import AppError
from jobs.catalog import stem_offers
from jobs.separating import separation_plan

_CORE = "core"


class AudiopodModeSerializer(serializers.Serializer[Any]):
    mode = serializers.CharField()
    description = serializers.CharField()
    stem_count = serializers.IntegerField()
    stems = serializers.ListField(child=serializers.CharField())
    available = serializers.BooleanField(help_text="Whether this installation makes all of them.")


class AudiopodModesSerializer(serializers.Serializer[Any]):
    modes = AudiopodModeSerializer(many=True)


class AudiopodStemSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    group = serializers.CharField()
    public_tier = serializers.CharField(help_text="Always `free`: no plan has stems of its own.")
    allowed = serializers.BooleanField(help_text="Whether this installation makes it.")
    excludable = serializers.BooleanField()


class AudiopodCatalogSerializer(serializers.Serializer[Any]):
    stems = AudiopodStemSerializer(many=True)


class AudiopodPackageSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    description = serializers.CharField()
    stems = serializers.ListField(child=serializers.CharField())
    stem_count = serializers.IntegerField()
    allowed = serializers.BooleanField()


class AudiopodPackagesSerializer(serializers.Serializer[Any]):
    packages = AudiopodPackageSerializer(many=True)


class StemModesApi(AudiopodApi):
    scopes = {"GET": OPEN}

    @extend_schema(operation_id="audiopod_stem_modes", responses=AudiopodModesSerializer)
    def get(self, request: Request) -> Response:
        """The modes."""
        modes = [
            {
                "mode": mode.name,
                "description": mode.description,
                "stem_count": mode.n_stems,
                "stems": list(mode.stems),
                "available": _is_available(mode.stems or ("vocals",)),
            }
            for mode in MODES.values()
        ]
        return Response({"modes": modes})


class StemCatalogApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(operation_id="audiopod_stem_catalog", responses=AudiopodCatalogSerializer)
    def get(self, request: Request) -> Response:
        """Every stem that can be asked for."""
        offers = {offer.name: offer for offer in stem_offers()}
        stems = [
            {
                "id": stem.name,
                "label": stem.label,
                "description": offers[stem.ours].description,
                "group": stem.group,
                "public_tier": "free",
                "allowed": offers[stem.ours].available,
                "excludable": stem.group != _CORE,
            }
            for stem in CATALOG
        ]
        return Response({"stems": stems})


class StemPackagesApi(AudiopodApi):
    scopes = {"GET": JOBS_READ}

    @extend_schema(operation_id="audiopod_stem_packages", responses=AudiopodPackagesSerializer)
    def get(self, request: Request) -> Response:
        """The packages, and which of them this installation makes."""
        packages = [
            {
                "name": mode.name,
                "description": mode.description,
                "stems": list(mode.stems),
                "stem_count": mode.n_stems,
                "allowed": _is_available(mode.stems),
            }
            for mode in MODES.values()
            if mode.stems
        ]
        return Response({"packages": packages})


def _is_available(stems: Sequence[str]) -> bool:
    try:
        ours = [ours for _, ours in ours_of(stems, field="stems")]
        separation_plan(stems=ours, model=None)
    except AppError:
        return False
    return True
