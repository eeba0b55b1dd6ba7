"""What ships beside the code: JSON Schemas, the example repository and parts of pipelines, in a wheel (`amsctl/schemas`) as in a checkout (`schemas`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

_INSIDE: Final = Path(__file__).resolve().parent


def _folder(*parts: str) -> Path:
    inside = _INSIDE.joinpath(*parts)
    return inside if inside.is_dir() else _INSIDE.parent.joinpath(*parts)


def schemas_folder() -> Path:
    """The folder of the JSON Schemas."""
    return _folder("schemas")


def examples_folder() -> Path:
    """The folder of the example limits repository."""
    return _folder("examples", "limits")


def pipeline_text(system: str, *parts: str) -> str:
    """A part of a pipeline for ``github`` or ``gitlab``: in a wheel below ``pipelines``, in a checkout where these want them."""
    inside = _INSIDE.joinpath("pipelines", system, *parts)
    beside = _INSIDE.parent.joinpath({"github": ".github", "gitlab": "templates"}[system], *parts)
    return (inside if inside.is_file() else beside).read_text(encoding="utf-8")


def pipeline_lock() -> str:
    """What amsctl needs in a pipeline, PostgreSQL included, each package by version and hashes; amsctl itself is not in it."""
    inside = _INSIDE.joinpath("pipelines", "pipeline.lock")
    beside = _INSIDE.parent.joinpath("requirements", "pipeline.lock")
    return (inside if inside.is_file() else beside).read_text(encoding="utf-8")


def schema_text(name: str) -> str:
    """The text of a schema by its name, such as ``account.v1``."""
    return (schemas_folder() / f"{name}.json").read_text(encoding="utf-8")


@cache
def schema(name: str) -> dict[str, Any]:
    """A schema by its name, such as ``account.v1``. It is shared: do not change it."""
    loaded: dict[str, Any] = json.loads(schema_text(name))
    return loaded
