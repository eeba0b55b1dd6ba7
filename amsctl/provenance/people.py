"""Who runs amsctl, as far as the surroundings tell: a person at a terminal or a pipeline."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Mapping
from typing import Any, Final

from amsctl.provenance.pipeline import pipeline_of
from amsctl.unicodes import readable

_NO_PERSON: Final = re.compile(
    r".*\[bot\]|(?:project|group)_[0-9]+_bot.*|service_account.*|ghost|support-bot|alert-bot|gitlab-.*-bot", re.IGNORECASE
)
"""GitHub's Apps; GitLab's access tokens of projects and groups, its service accounts, its own bots, and who is gone."""


def is_no_person(account: str) -> bool:
    """Whether an account of a forge is a program's by its name alone: whoever starts a job, or holds a token, acts under it."""
    return _NO_PERSON.fullmatch(account.strip()) is not None


def user() -> str:
    """The operating system's name of whoever runs this process; empty where it has none. It proves nothing, so one that is no Unicode is written otherwise."""
    try:
        return readable(getpass.getuser())
    except (KeyError, OSError):
        return ""


def asker(environ: Mapping[str, str]) -> str:
    """Who asks for something here: the account that started the job, or the user of this machine, whose name proves nothing."""
    pipeline = pipeline_of(environ)
    return (pipeline.started_by if pipeline is not None else "") or user() or "unknown"


def host() -> str:
    """This machine's name."""
    return readable(socket.gethostname())


def who(environ: Mapping[str, str], *, principal: str, git_author: str | None) -> dict[str, object]:
    """Who runs this: git author of what is applied, CI identity, user and host, and the API ID that the AMS sees."""
    pipeline = pipeline_of(environ)
    ci = None if pipeline is None else {"system": pipeline.system, "actor": pipeline.started_by, "run_url": pipeline.run_url}
    return {"git_author": git_author, "ci": ci, "user": user(), "host": host(), "principal": principal}


def who_words(who: Mapping[str, Any]) -> str:
    """Who ran something, from the body that :func:`who` made: ``root@host, github jo https://…/runs/1, manifests by Jo Risk <…>, API ID API_RISK``.
    What is not known is left out; empty when nothing is.
    """
    ci = who.get("ci")
    parts = ["@".join(str(who[name]) for name in ("user", "host") if who.get(name))]
    parts.append(" ".join(str(ci[name]) for name in ("system", "actor", "run_url") if ci.get(name)) if isinstance(ci, Mapping) else "")
    parts += [f"{words} {who[name]}" for name, words in (("git_author", "manifests by"), ("principal", "API ID")) if who.get(name)]
    return ", ".join(part for part in parts if part)
