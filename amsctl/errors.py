"""Everything that can stop a run, under one root, and the one table of exit codes.

Wrong *input* is a :class:`~amsctl.diagnostics.Diagnostic`: positioned, collected, shown all at once. A *failed run* is an exception of this
module: it carries what a person needs (what, where, expected, found, what to do) and the exit code that the pipeline reads.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from amsctl.diagnostics import Diagnostic, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ExitCode(IntEnum):
    """The exit codes, the same for every command."""

    DONE = 0
    ERROR = 1
    CHANGES = 2
    REFUSED = 3
    STALE = 4
    PARTIAL = 5
    UNVERIFIED = 6
    LATER = 7
    APPROVAL = 8
    USAGE = 64
    INTERRUPTED = 130
    TERMINATED = 143


class AmsctlError(Exception):
    """The root: a run that cannot go on.

    ``str(error)`` is the whole message on one line: ``WHAT (WHERE): expected …, found …; hint``. The parts stay apart as attributes. Text in them
    may come from a server or a manifest: whoever prints it escapes it (``views.escape``).
    """

    exit_code: ExitCode = ExitCode.ERROR
    code: str = "error"

    def __init__(
        self, what: str, *, where: str | None = None, expected: str | None = None, found: str | None = None, hint: str | None = None
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(compose(what, where=where, expected=expected, found=found, hint=hint))

    def place(self, where: str) -> None:
        """Say where, if nobody nearer to the cause has."""
        if self.where is None:
            self.move(where)

    def move(self, where: str) -> None:
        """Say where, in the words of somebody who knows better."""
        self.where = where
        self._recompose()

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Every text of the message, changed (to mask what must not be shown)."""
        self.what = change(self.what)
        for name in ("where", "expected", "found", "hint"):
            text = getattr(self, name)
            setattr(self, name, None if text is None else change(text))
        self._recompose()

    def _recompose(self) -> None:
        self.args = (compose(self.what, where=self.where, expected=self.expected, found=self.found, hint=self.hint),)


class ManifestErrors(AmsctlError):
    """The manifests (or the project file) are wrong: all findings of all files, sorted."""

    code = "manifests"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        count = len(self.diagnostics)
        super().__init__(f"{count} error{'s' if count != 1 else ''} in the manifests", hint="nothing was read from or written to the AMS")


class ConfigError(AmsctlError):
    """The project file, an environment or the command line's choice among them cannot be used."""

    code = "config"


class AmsError(AmsctlError):
    """The AMS could not be read, or what it answered cannot be trusted."""

    code = "ams"


class AmsUnreachable(AmsError):
    """No connection could be made: nothing was sent."""

    code = "ams-unreachable"


class AmsNoAnswer(AmsError):
    """The request may have been sent; no whole answer came. The outcome of a write is unknown."""

    code = "ams-no-answer"


class AmsRefused(AmsError):
    """The AMS answered with a failure, by status or by body.

    ``http_status`` is the status of the answer; ``error_type`` the body's ``errorType`` when it had one. ``credential_refreshed`` tells that a 401
    came and there is a newer credential now; ``retry_after_seconds`` is the wait that the AMS asked for, if any; ``response_sha256`` is over the body
    of an answer to a POST.
    """

    code = "ams-refused"
    credential_refreshed: bool = False
    retry_after_seconds: float | None = None
    response_sha256: str | None = None

    def __init__(
        self, what: str, *, http_status: int, error_type: str | None = None, where: str | None = None, hint: str | None = None
    ) -> None:
        self.http_status = http_status
        self.error_type = error_type
        super().__init__(what, where=where, hint=hint)


class AmsMalformed(AmsError):
    """The AMS answered something that is not what its documents promise. ``http_status`` is the status it came with."""

    code = "ams-malformed"
    response_sha256: str | None = None

    def __init__(
        self,
        what: str,
        *,
        http_status: int | None = None,
        where: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.http_status = http_status
        super().__init__(what, where=where, expected=expected, found=found, hint=hint)


class IncompleteRead(AmsError):
    """Pages looped, repeated, fell short or shifted: what came is not the whole, so nothing may be concluded from it."""

    code = "incomplete-read"


class RecordingFailed(AmsctlError):
    """What is about to be done, or was done, cannot be written down: nothing further may be sent."""

    code = "recording"


class Later(AmsctlError):
    """Locked, frozen, or outside a window: nothing was written; the same may work later."""

    exit_code = ExitCode.LATER
    code = "later"


class Locked(Later):
    """Somebody else is writing to this clearing firm."""

    code = "locked"


class Frozen(Later, RecordingFailed):
    """Writes to this clearing firm were stopped by a person. As a ``RecordingFailed`` it keeps a call from being sent."""

    code = "frozen"


class LockLost(Later, RecordingFailed):
    """The lock of a running apply is no longer its own: somebody took it over or broke it. Nothing further may be sent."""

    code = "lock-lost"


class WindowClosed(Later):
    """A time window or the calendar of the exchange forbids writes now, or before the run could finish."""

    code = "window"


class LedgerFailed(RecordingFailed):
    """The ledger cannot be opened, read or written, or is not what it says."""

    code = "ledger"


class ForgeError(AmsctlError):
    """GitHub or GitLab could not be reached, refused, or does not have what was looked for."""

    code = "forge"


class PlanFileError(AmsctlError):
    """A plan or report file cannot be read, is not one, or was changed after it was written."""

    code = "plan-file"


class Refused(AmsctlError):
    """A guard, a policy or a blocking finding stops the apply."""

    exit_code = ExitCode.REFUSED
    code = "refused"


class Stale(AmsctlError):
    """Live state, a foreign side, the target or the manifests are no longer what the plan saw."""

    exit_code = ExitCode.STALE
    code = "stale"


class ApprovalMissing(AmsctlError):
    """Nobody (or not the right one) agreed to the apply."""

    exit_code = ExitCode.APPROVAL
    code = "approval"


class UsageError(AmsctlError):
    """The command line does not make sense."""

    exit_code = ExitCode.USAGE
    code = "usage"


class Interrupted(AmsctlError):
    """A signal arrived; running calls were drained and recorded before this was raised."""

    code = "interrupted"

    def __init__(self, what: str, *, exit_code: ExitCode, found: str | None = None, hint: str | None = None) -> None:
        self.exit_code = exit_code
        super().__init__(what, found=found, hint=hint)


class NotBegun(Interrupted):
    """A signal arrived before the first write: nothing was sent, and there is no run to go on with."""
