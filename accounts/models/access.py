"""What lets a program or a person in, and how often."""

from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from accounts.models.people import User, Workspace


def _all_scopes() -> list[str]:
    return ["*"]


class ApiKey(models.Model):
    """Lets a program act for a workspace. The secret is shown once; only its hash is kept."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    key_id = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.BinaryField(editable=False)
    # How it ends, to tell it by; empty of those that were made before this was kept.
    last_four = models.CharField(max_length=4, default="", db_default="", editable=False)
    # "*" is all that a key may ever do; accounts/scopes.py says what that is.
    scopes = ArrayField(models.CharField(max_length=32), default=_all_scopes)
    monthly_cap_mcr = models.BigIntegerField(null=True)
    rate_limit_per_minute = models.PositiveIntegerField(null=True)
    # The same for a key and those that it was rolled into: they share one monthly cap.
    lineage = models.UUIDField(db_default=RandomUUID(), editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    # From where, at that time.
    last_used_ip = models.GenericIPAddressField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True)
    # Set when it is rolled. Not `expires_at`, which the keys that replace it inherit.
    grace_until = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_cap_mcr=None) | Q(monthly_cap_mcr__gte=0),
                name="api_key_cap_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(rate_limit_per_minute=None) | Q(rate_limit_per_minute__gt=0),
                name="api_key_rate_limit_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (ap_{self.key_id}…)"


class Registration(models.Model):
    """An account that is made once the code that was mailed comes back. Of the code only a hash."""

    email = models.EmailField()
    full_name = models.CharField(max_length=150, blank=True)
    # As Django keeps passwords.
    password = models.CharField(max_length=128)
    code_hash = models.BinaryField(editable=False)
    # Wrong codes so far: a short code must not be found by trying.
    failures = models.IntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="registration_one_for_address"),
            models.CheckConstraint(condition=Q(failures__gte=0), name="registration_failures"),
        ]


class SignIn(models.Model):
    """A person signed in through the API: one family of refresh tokens, each replacing the last."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_ins")
    # The workspace that access tokens of this family are for.
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE)
    user_agent = models.CharField(max_length=200, blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)


class RefreshToken(models.Model):
    """Good for one use. Used a second time, somebody has stolen it: the whole sign-in ends."""

    sign_in = models.ForeignKey(SignIn, on_delete=models.CASCADE, related_name="refresh_tokens")
    token_hash = models.BinaryField(unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(null=True)


class RateWindow(models.Model):
    """Calls counted since a moment. The table is unlogged: a crash may forget the counts."""

    subject = models.CharField(max_length=64)
    endpoint = models.CharField(max_length=100)
    started_at = models.DateTimeField(db_default=Now())
    calls = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subject", "endpoint"], name="rate_window_unique")
        ]
        indexes = [models.Index(fields=["started_at"], name="rate_window_age")]
