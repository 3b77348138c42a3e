"""How Unfold's admin looks, under /console/db/."""

from typing import Any

from django.templatetags.static import static


def _css(request: Any) -> str:
    return static("css/database.css")


def _script(request: Any) -> str:
    return static("js/database.js")


ADMIN_LOOK = {
    "SITE_TITLE": "Stemwright",
    "SITE_HEADER": "Stemwright",
    "SITE_URL": "/console/",
    # What it leaves out for those who do not see it, or not all of it at once.
    "STYLES": [_css],
    "SCRIPTS": [_script],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    # The petrol of static/css/tokens.css.
    "COLORS": {
        "primary": {
            "50": "#EFF8F8",
            "100": "#D9F0EF",
            "200": "#B5E2E1",
            "300": "#8CE3E0",
            "400": "#62D2CF",
            "500": "#1E8F97",
            "600": "#0F6B72",
            "700": "#0B545A",
            "800": "#0A4348",
            "900": "#08363A",
            "950": "#06282A",
        },
    },
    "SIDEBAR": {"show_search": True, "show_all_applications": False},
}
