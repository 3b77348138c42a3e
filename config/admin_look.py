"""How Unfold's admin looks, under /console/db/."""

ADMIN_LOOK = {
    "SITE_TITLE": "Stemwright",
    "SITE_HEADER": "Stemwright",
    "SITE_URL": "/console/",
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
