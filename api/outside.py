"""Which outside APIs there are: each a package of this name, with `urls` and `register()`."""

from importlib import import_module

OUTSIDE = ("neuralspace", "audiopod", "musicapi", "musicgpt", "sunoapi")


def outside_register() -> None:
    """Make their errors and the words of their messages known."""
    for name in OUTSIDE:
        import_module(f"api.{name}").register()
