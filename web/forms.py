"""What forms of the app have in common."""

from types import TracebackType
from typing import cast
from uuid import UUID, uuid4

from django import forms
from django.core.cache import cache
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext_lazy as _

from config.errors import AppError, NotAllowed, NotFound, WrongState

_HOUR_S = 3600


class Refusals:
    """`with Refusals(form): …` puts what a service has against the values into the form.

    What is not there, or not for this person, is no matter of values: that goes on. Fields that
    are called otherwise in the form are named: `Refusals(form, url="address")`.
    """

    def __init__(self, form: forms.Form, **names: str) -> None:
        self.form, self.names = form, names

    def __enter__(self) -> "Refusals":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, AppError) or isinstance(error, NotFound | NotAllowed):
            return False
        for field, problems in error.fields.items():
            name = self.names.get(field, field)
            for problem in problems:
                self.form.add_error(name if name in self.form.fields else None, problem)
        if not error.fields:
            self.form.add_error(None, error.text)
        return True


class OnceForm(forms.Form):
    """Of an act that answers with a secret: sent again by a reload, it must not be done again."""

    once = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)

    def require_first(self, request: HttpRequest) -> None:
        """Call it right before the act. Whatever comes of that, what is shown next has another."""
        once: UUID = self.cleaned_data["once"]
        if not cache.add(f"form-sent:{request.user.pk}:{once}", True, timeout=_HOUR_S):
            raise WrongState(
                _(
                    "This was done already, and what it showed cannot be shown again. If you have "
                    "not stored it, make another."
                )
            )
        data = cast(QueryDict, self.data).copy()
        data["once"] = str(uuid4())
        self.data = data


class TypedNameForm(forms.Form):
    """Asks for the name of what is at stake, so that nobody does it in passing."""

    typed = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: object, name: str, problem: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.name, self.problem = name, problem
        self.fields["typed"].widget.attrs.update(autocomplete="off", spellcheck="false")

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed.strip() != self.name.strip():
            raise forms.ValidationError(self.problem)
        return typed
