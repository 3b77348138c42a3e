"""What operators keep: notes on workspaces, and switches for what not everybody has yet."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models.people import User, Workspace


class WorkspaceNote(models.Model):
    """What one operator wants the others to know of a workspace. Its members never see it."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    text = models.CharField(max_length=2000)
    created_at = models.DateTimeField(db_default=Now(), editable=False)


class Flag(models.Model):
    """Something that is on for some workspaces: those named, and a share of all."""

    name = models.SlugField(max_length=64, unique=True)
    note = models.CharField(max_length=500, blank=True)
    percent = models.PositiveSmallIntegerField(default=0)
    workspaces = models.ManyToManyField(Workspace, related_name="flags", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(percent__lte=100), name="flag_percent"),
        ]

    def __str__(self) -> str:
        return self.name
