"""The plan that was reviewed, as the pipeline of the request left it."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Collection, Iterator
from typing import IO, Final

from amsctl.errors import ForgeError
from amsctl.forge.calls import Caller, Json
from amsctl.forge.pipeline import Forge
from amsctl.forge.requests import head_of, repository_path, request_of
from amsctl.masking import quoted

PLAN: Final = "plan.json"
MOST_BYTES: Final = 1 << 30
IN_MEMORY_BYTES: Final = 8 * 1024 * 1024
"""What is kept of a plan in memory; the rest is in a temporary file."""
_PIECE: Final = 1024 * 1024


def reviewed_plan(caller: Caller, name: str, commit: str | None) -> Iterator[bytes]:
    """The bytes of the newest plan that a pipeline of this repository made for the head of the request. ForgeError when there is none."""
    request = request_of(caller, commit)
    head = head_of(request)
    if caller.job.forge is Forge.GITHUB:
        yield from plan_of_artifact(caller, _newest(plan_artifacts(caller, name, {head}), name, head))
    else:
        yield from plan_of_job(caller, _newest(plan_jobs(caller, name, request, {head}), name, head))


def plan_of_artifact(caller: Caller, one: Json) -> Iterator[bytes]:
    """The bytes of the plan that an artifact of GitHub holds. ForgeError where it holds none."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, prefix="amsctl-plan-") as stream:
        caller.download(f"{repository_path(caller)}/actions/artifacts/{int(one['id'])}/zip", stream, most_bytes=MOST_BYTES)
        stream.seek(0)
        yield from _unpacked(stream)


def plan_of_job(caller: Caller, one: Json) -> Iterator[bytes]:
    """The bytes of the plan that a job of GitLab left. ForgeError where it left none."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, prefix="amsctl-plan-") as stream:
        caller.download(f"{repository_path(caller)}/jobs/{int(one['id'])}/artifacts/{PLAN}", stream, most_bytes=MOST_BYTES)
        stream.seek(0)
        yield from iter(lambda: stream.read(_PIECE), b"")


def _newest(found: Iterator[Json], name: str, head: str) -> Json:
    newest = max(found, key=lambda one: (str(one.get("created_at")), int(one["id"])), default=None)
    if newest is None:
        raise ForgeError(
            "no pipeline of this repository left a plan for the commit that was reviewed",
            where=f"artifact {name}, commit {head}",
            hint="it may have expired, or the plan job failed: run that again, review, and apply again",
        )
    return newest


def plan_artifacts(caller: Caller, name: str, commits: Collection[str]) -> Iterator[Json]:
    """Those of the name for the commits, whole and not expired. A fork's pipeline runs what the fork wants."""
    for one in caller.pages(f"{repository_path(caller)}/actions/artifacts", inside="artifacts", name=name):
        run = one.get("workflow_run")
        if (
            one.get("name") == name
            and not one.get("expired")
            and isinstance(run, dict)
            and run.get("head_sha") in commits
            and run.get("repository_id") == run.get("head_repository_id")
        ):
            yield one


def plan_jobs(caller: Caller, name: str, request: Json, commits: Collection[str]) -> Iterator[Json]:
    """The jobs of the name in pipelines of the request for the commits, with what they left."""
    for pipeline in caller.pages(f"{repository_path(caller)}/merge_requests/{int(request['iid'])}/pipelines"):
        if pipeline.get("sha") in commits and str(pipeline.get("project_id")) == caller.job.repository:
            jobs = caller.pages(f"{repository_path(caller)}/pipelines/{int(pipeline['id'])}/jobs")
            yield from (job for job in jobs if job.get("name") == name and job.get("artifacts_file"))


def _unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """The one file of the archive, which is a plan, and no larger than a plan is."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
            if names != [PLAN]:
                raise ForgeError(
                    "the artifact is not a plan alone", expected=PLAN, found=", ".join(quoted(name) for name in names[:5]) or "nothing"
                )
            size = 0
            with archive.open(PLAN) as inside:
                while piece := inside.read(_PIECE):
                    size += len(piece)  # what an archive says of its size is not to be believed
                    if size > MOST_BYTES:
                        raise ForgeError("the artifact is too large to be a plan", expected=f"at most {MOST_BYTES:,} bytes")
                    yield piece
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, OSError):
        raise ForgeError("the artifact is no archive that can be read", hint="run the plan job again") from None
