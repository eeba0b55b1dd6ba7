"""Plan: what would change. Reads manifests, the branch of record and the AMS, and writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from amsctl.config import Environment
from amsctl.model import AccountKey
from amsctl.operations import flow
from amsctl.operations.behind import check_not_behind
from amsctl.operations.material import Material, material_of, not_approvable
from amsctl.operations.points import Branch, past_in
from amsctl.operations.record import Sources
from amsctl.planning.plan import Plan, Selection
from amsctl.planning.points import Past

if TYPE_CHECKING:
    from amsctl.ams.client import Reader
    from amsctl.applying.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is planned: by whose rules, for which AMS, from which manifests."""

    sources: Sources
    environment: Environment
    material: Material
    selection: Selection
    clock: Clock

    @property
    def wish(self) -> flow.Wish:
        """The request, as planning reads it."""
        return flow.Wish(
            project=self.sources.project,
            environment=self.environment,
            desired=self.material.desired,
            selection=self.selection,
            git=self.material.git,
            base=self.material.base,
            told=(*self.material.findings, *not_approvable(self.material.unapprovable)),
        )


def plan_request(
    sources: Sources, environment: Environment, selection: Selection, clock: Clock, *, folder: str | None = None
) -> PlanRequest:
    """The request for a plan of the manifests here. ``folder``: where paths of ``selection`` are relative to."""
    material = material_of(sources, selection, folder=folder)
    return PlanRequest(sources=sources, environment=environment, material=material, selection=selection, clock=clock)


async def plan(request: PlanRequest, reader: Reader, *, clock: Clock, past: Past, progress: flow.Progress = flow.silent) -> Plan:
    """The plan for the request on what is live. AmsError when any read fails; Stale when the change is behind the branch of record in what it changes."""
    made = await flow.make_plan(request.wish, reader, clock=clock, progress=progress, past=past)
    check_request(request, made)
    return made


def check_request(request: PlanRequest, made: Plan) -> None:
    """Stale when the change is behind the branch of record in an account that its plan changes."""
    base = request.material.base
    check_not_behind(made, request.material.desired, request.sources, () if base is None else (base.commit,))


def past_for(
    request: PlanRequest, environ: Mapping[str, str], clock: Clock, named: Callable[[AccountKey], AccountKey] | None = None
) -> AbstractContextManager[Past]:
    """The values of the past that guards measure against: those of the ledger, then those of the branch of record."""
    sources, branch = request.sources, None
    if sources.repository is not None and sources.record is not None and sources.record.base is not None:
        branch = Branch(repository=sources.repository, tip=sources.record.base, named=named or (lambda key: key))
    return past_in(sources.project, request.environment, environ, clock, branch=branch)


def make_plan(
    request: PlanRequest,
    environ: Mapping[str, str],
    clock: Clock,
    *,
    watched: Callable[[int], AbstractContextManager[flow.Progress]] | None = None,
) -> Plan:
    """The plan for the request against its environment, with a client of its own. ``watched`` shows how far the reading of so many accounts is."""
    from amsctl.ams.client import open_reader

    async def read_and_plan() -> Plan:
        async with open_reader(request.environment, request.sources.project.requests) as reader:
            firms = await reader.firms() if request.material.base is not None else ()
            with past_for(request, environ, clock, flow.naming(firms)) as past:
                if watched is None:
                    return await plan(request, reader, clock=clock, past=past)
                with watched(len(request.material.desired)) as progress:
                    return await plan(request, reader, clock=clock, past=past, progress=progress)

    return flow.run(read_and_plan())
