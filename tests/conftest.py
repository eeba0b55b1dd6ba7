"""Settings of the property tests: small in every run, large in a campaign (``AMSCTL_CAMPAIGN=N`` multiplies the examples)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

CAMPAIGN = int(os.environ.get("AMSCTL_CAMPAIGN", "1"))

settings.register_profile(
    "amsctl", max_examples=100 * CAMPAIGN, deadline=None, derandomize=CAMPAIGN == 1, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("amsctl")
