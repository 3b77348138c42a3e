"""Errors as one sentence, for APIs whose errors have no room for more."""

from config.errors import AppError


def error_sentence(error: AppError) -> str:
    """What is wrong, and with which fields of the request."""
    problems = [f"{name}: {' '.join(texts)}" for name, texts in error.fields.items()]
    return " ".join(problems) or error.text
