from allauth.account import forms
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from accounts.audit import audit_record
from accounts.models import User
from accounts.receivers import actor_of
from accounts.workspaces import workspace_default_for


class SignupForm(forms.SignupForm):  # type: ignore[misc]
    """Makes the person, the address and the workspace in one transaction."""

    account_already_exists: bool

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        if self.account_already_exists:
            # As slow as for an address that is new.
            User().set_password(self.cleaned_data["password1"])
        else:
            try:
                return self.save(request), None
            except IntegrityError:
                # Somebody signed up with this address in the same moment.
                self.account_already_exists = True
        user, response = super().try_save(request)
        return user, response

    def save(self, request: HttpRequest) -> User:
        with transaction.atomic():
            user: User = super().save(request)
            user.refresh_from_db(fields=["uuid"])
            actor = actor_of(request, user)
            audit_record(actor=actor, action="user.signed_up")
            workspace_default_for(user=user, actor=actor)
        return user
