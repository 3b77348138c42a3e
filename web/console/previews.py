"""What an operator is shown before the deed: signed and sent back, so that exactly that is done."""

from typing import Any, Final

from django.core import signing
from django.utils.translation import gettext_lazy as _

from config.errors import WrongState
from web.console.gate import Operator

# So long a preview may be looked at.
_SHOWN_S: Final = 900


def preview_sign(values: dict[str, Any], *, operator: Operator, about: str, salt: str) -> str:
    """`about` is what the address of the page names."""
    content = {"operator": str(operator.user.uuid), "about": about, "values": values}
    return signing.dumps(content, salt=salt)


def preview_read(text: str, *, operator: Operator, about: str, salt: str) -> dict[str, Any]:
    """The values; raises WrongState for what is too old, or was shown elsewhere."""
    try:
        content = signing.loads(text, salt=salt, max_age=_SHOWN_S)
    except signing.BadSignature:
        raise WrongState(_("What you looked at is too old; look at it again.")) from None
    if (content["operator"], content["about"]) != (str(operator.user.uuid), about):
        raise WrongState(_("This was shown to somebody else, or of something else."))
    values: dict[str, Any] = content["values"]
    return values
