"""The only module that speaks to Stripe."""

import stripe

API_VERSION = "2026-10-28.endive"
__all__ = ["API_VERSION", "stripe"]
