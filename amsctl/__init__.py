"""Pre-trade limits for CME Globex as reviewed, versioned, declarative manifests.

The public interface is the four functions below and the values they take and give; everything else may change between versions.

    manifests = load_manifests("limits")
    live = read_live(manifests, environment="sandbox")
    proposal = plan(manifests, live)
    report = apply(proposal, manifests, approved=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amsctl.api import Live, Manifests, apply, load_manifests, plan, read_live
    from amsctl.applying.report import Report
    from amsctl.errors import AmsctlError
    from amsctl.planning.plan import Plan

__all__ = ["AmsctlError", "Live", "Manifests", "Plan", "Report", "apply", "load_manifests", "plan", "read_live"]

_HOMES = {"AmsctlError": "amsctl.errors", "Plan": "amsctl.planning.plan", "Report": "amsctl.applying.report"}


def __getattr__(name: str) -> object:
    """Public names are imported when they are first used: the command line starts without them."""
    if name not in __all__:
        raise AttributeError(f"module 'amsctl' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES.get(name, "amsctl.api")), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
