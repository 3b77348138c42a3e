"""E-mail addresses: which we take."""

_LONGEST = 254


def address_problem(email: str) -> str | None:
    """Why we do not take an address; None if we do. Ask for the lower-case form, which we keep.

    It can be longer than what was typed, and allauth would cut it down to what the column holds.
    """
    if len(email) > _LONGEST:
        return f"Enter an address of at most {_LONGEST} characters."
    if not email.rpartition("@")[0].isascii():
        # Only few servers take mail for such, and none can be told of it without SMTPUTF8.
        return "Enter an address with plain letters before the @."
    return None
