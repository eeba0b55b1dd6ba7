"""The project's ledger: where it is, and whether it may be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.ledger.store import Ledger


@contextmanager
def project_ledger(project: Project, environ: Mapping[str, str], *, create: bool = True) -> Iterator[Ledger]:
    """The ledger of the project; LedgerFailed when it cannot be used, or is not there and shall not be made."""
    from amsctl.ams.clock import SystemClock
    from amsctl.ledger.store import open_ledger
    from amsctl.manifests.project import names_of, resolve_ledger

    names = names_of(project, environ)
    with open_ledger(resolve_ledger(project, environ), clock=SystemClock(), names=names, create=create) as ledger:
        yield ledger
