"""Which amsctl this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version; ``unknown`` when it runs from a folder that was never installed."""
    try:
        return metadata.version("amsctl")
    except metadata.PackageNotFoundError:
        return "unknown"
