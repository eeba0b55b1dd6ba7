"""All manifests of a project to Desired, in memory that does not grow with the book: records are spooled, only their keys are kept."""

from __future__ import annotations

import gc
import hashlib
import os
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, NamedTuple

from amsctl.config import PROJECT_FILE, Project
from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import ConfigError, ManifestErrors, UsageError
from amsctl.manifests import records
from amsctl.manifests.documents import AccountEntry, FileRead
from amsctl.manifests.files import DISK, Files, Found, ManifestFile, Start, discover
from amsctl.manifests.findings import shown
from amsctl.manifests.identifiers import nearest
from amsctl.manifests.nodes import source
from amsctl.manifests.reading import read_files
from amsctl.model import AccountKey, DesiredAccount, DesiredRow
from amsctl.objectids import BlobIds

_SPOOL_BYTES: Final = 8 * 1024 * 1024
"""Records up to this size stay in memory; more go to a temporary file without a name."""


class _Place(NamedTuple):
    """Where an account stands: its key, its file and its record in the spool."""

    firm: str
    number: str
    file: str
    pos: int
    offset: int
    size: int
    protected: bool


class Header(NamedTuple):
    """Which account, where it is declared, and whether it is protected."""

    key: AccountKey
    source: Source
    protected: bool = False


class Desired:
    """What the manifests want: accounts in the order of firm and number, made one at a time as they are asked for.

    ``firms`` are the texts that name clearing firms, as written and sorted, each with the first place. ``manifests_sha256`` covers path and bytes of
    every file read, whatever was selected. ``files`` are the paths read. ``warnings`` are findings that stop nothing.
    ``read`` are the real paths of the files with the ids of their bytes; ``looked_up``: profiles were looked for in the rest of the project.
    """

    def __init__(
        self,
        places: Sequence[_Place],
        spool: Spool,
        *,
        profiles: dict[str, records.ProfileRows],
        manifests_sha256: str,
        files: tuple[str, ...],
        warnings: tuple[Diagnostic, ...],
        read: Mapping[str, BlobIds] = MappingProxyType({}),
        looked_up: bool = False,
    ) -> None:
        self._places = sorted(places)
        self._spool = spool
        self._profiles = profiles
        self.manifests_sha256 = manifests_sha256
        self.files = files
        self.warnings = warnings
        self.read = read
        self.looked_up = looked_up

    def accounts(self) -> Iterator[DesiredAccount]:
        """Each selected account, by firm and number. May be called again, and by several callers at once."""
        for place in self._places:
            yield records.desired_account(self._spool.read(place.offset, place.size), place.file, self._profiles)

    def some(self, wanted: Collection[AccountKey]) -> Iterator[DesiredAccount]:
        """Those of the selected accounts, firms as written; the others are not decoded."""
        for place in self._places:
            if AccountKey(place.firm, place.number) in wanted:
                yield records.desired_account(self._spool.read(place.offset, place.size), place.file, self._profiles)

    def layered(self, wanted: Collection[AccountKey]) -> Iterator[tuple[DesiredAccount, tuple[records.Layer, ...]]]:
        """As :meth:`some`, each with the profiles that it uses."""
        for place in self._places:
            if AccountKey(place.firm, place.number) in wanted:
                record = self._spool.read(place.offset, place.size)
                yield records.desired_account(record, place.file, self._profiles), records.layers_of(record)

    def profile(self, name: str, execution_firm: str) -> tuple[str, tuple[DesiredRow, ...]] | None:
        """The file that defines a profile, and its rows as an execution firm that uses it has them; ``None`` where no file that was read defines it."""
        found = self._profiles.get(name)
        return None if found is None else (found.file, records.rows_of(found, execution_firm))

    def keys(self) -> tuple[AccountKey, ...]:
        """The keys of the selected accounts, in order, without reading the accounts."""
        return tuple(AccountKey(place.firm, place.number) for place in self._places)

    def headers(self) -> Iterator[Header]:
        """Key and place of each selected account, in order, without reading the accounts."""
        return (Header(AccountKey(place.firm, place.number), source(place.file, place.pos), place.protected) for place in self._places)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def firms(self) -> tuple[tuple[str, Source], ...]:
        """The clearing firms as written, sorted, each with the first place that names it."""
        first: dict[str, Source] = {}
        for place in self._places:
            here = source(place.file, place.pos)
            first[place.firm] = min(first.get(place.firm, here), here)
        return tuple(sorted(first.items()))


class Spool:
    """Bytes written once, in order, and read at any place: in memory while they are few."""

    def __init__(self) -> None:
        self._stream = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES, prefix="amsctl-")  # noqa: SIM115 - closed with the spool
        self._lock = threading.Lock()
        self._size = 0

    def write(self, record: bytes) -> int:
        """Where the record begins."""
        offset = self._size
        self._stream.write(record)
        self._size += len(record)
        return offset

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``."""
        with self._lock:
            self._stream.seek(offset)
            return self._stream.read(size)


def load(
    project: Project,
    paths: Sequence[str] | None = None,
    *,
    accounts: Sequence[str] = (),
    labels: Sequence[str] = (),
    base: str | None = None,
    files: Files = DISK,
) -> Desired:
    """What the manifests of ``project`` want, as ``files`` has them: on disk, or in a commit.

    ``paths`` (relative to ``base``, default the working directory) take the place of the project's own list; profiles are still looked up in all of
    the project. ``accounts`` selects by account number or ``firm/number``, ``labels`` by ``key=value``, all of which must hold.

    Raises :class:`ManifestErrors` with all findings of all files, :class:`ConfigError` when there is nothing to load or a selected account does not
    exist (an empty Desired never comes back), :class:`UsageError` for a label that is not ``key=value``.
    """
    wanted = tuple(_label(text) for text in labels)
    with _no_collection():
        reading = Reading(project.root, files)
        reading.take(found_files(project, paths, base=base, files=files), accounts=True)
        if paths:
            reading.complete_profiles(project)
        errors = reading.finish()
    if errors:
        raise ManifestErrors(errors)
    if not reading.places:
        raise nothing_found(project, paths)
    return reading.desired(tuple(accounts), wanted)


def found_files(project: Project, paths: Sequence[str] | None = None, *, base: str | None = None, files: Files = DISK) -> Found:
    """The manifest files that :func:`load` reads, but for those that it looks up a missing profile in."""
    if paths:
        here = base if base is not None else os.getcwd()
        return discover(project.root, [Start(os.path.join(here, path), None) for path in paths], explicit=True, files=files)
    return discover_project(project, files)


def discover_project(project: Project, files: Files = DISK) -> Found:
    """The manifest files that the project file names."""
    places = (*project.manifests_sources, *([None] * len(project.manifests)))
    whole_file = Source(PROJECT_FILE, 1, 1)
    starts = [Start(path, place or whole_file) for path, place in zip(project.manifests, places, strict=False)]
    return discover(project.root, starts, explicit=False, files=files)


def nothing_found(project: Project | None, paths: Sequence[str] | None) -> ConfigError:
    """The error for a place without any manifest (without any account, for a whole project)."""
    if project is None and not paths:
        return ConfigError("no manifest here", hint="amsctl init writes a first one; or name files or folders")
    if paths or project is None:
        return ConfigError(
            "no Account in the given paths", where=", ".join(paths or ()), hint="name files or folders that hold Account manifests"
        )
    return ConfigError(
        "no Account in the manifests of this project",
        where=", ".join(project.manifests),
        hint="an empty repository is never taken for a wish to change nothing: add an Account, or correct spec.manifests",
    )


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError("a label selection is not key=value", found=text or "nothing", hint="as in -l desk=softs")
    return key, value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without cyclic garbage collection: positioned values hold no cycles, and there are many of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Reading:
    """Files as they are read: accounts go to the spool, names and findings stay."""

    def __init__(self, root: str, files: Files = DISK) -> None:
        self.root = root
        self.read: dict[str, BlobIds] = {}
        self.looked_up = False
        self._from = files
        self.places: list[_Place] = []
        self.documents = 0
        self.files: dict[str, str] = {}
        self._paths: set[str] = set()
        self._labels: list[tuple[tuple[str, str], ...]] = []
        self._spool = Spool()
        self._profiles: dict[str, records.ProfileRows] = {}
        self._names: set[str] = set()
        self._used: dict[str, list[int]] = {}
        self._uses: list[tuple[str, str, int]] = []
        self._first: dict[tuple[str, str], _Place] = {}
        self._findings: list[Diagnostic] = []
        self._shared: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def take(self, found: Found, *, accounts: bool, projects: bool = False) -> None:
        """Reads the files that were not read yet; their accounts are kept when ``accounts``, their profiles always."""
        self._findings.extend(found.diagnostics)
        files = [file for file in found.files if file.path not in self._paths and not self._is_project(file, projects)]
        self._paths.update(file.path for file in files)
        for file, read in zip(files, read_files(files, projects=projects, source=self._from), strict=True):
            self._keep(read, accounts)
            if read.blobs is not None:
                self.read[file.path] = read.blobs

    def _is_project(self, file: ManifestFile, projects: bool) -> bool:
        return not projects and os.path.basename(file.path) == PROJECT_FILE

    def _keep(self, read: FileRead, accounts: bool) -> None:
        if read.skipped:
            return
        self.files[read.shown] = read.sha256
        self.documents += read.documents
        self._findings.extend(read.findings)
        self._names |= read.profile_names
        for profile in read.profiles:
            if profile.name in self._profiles:
                self._twice(
                    "duplicate-profile",
                    f"the profile {shown(profile.name)} is defined twice",
                    read.shown,
                    profile.pos,
                    self._profiles[profile.name],
                )
            else:
                self._profiles[profile.name] = records.ProfileRows(read.shown, profile.pos, profile.rows)
        if accounts:
            for entry in read.accounts:
                self._keep_account(entry, read.shown)

    def _keep_account(self, entry: AccountEntry, file: str) -> None:
        key = (entry.firm, entry.number)
        self._uses += [(name, file, pos) for name, pos in entry.uses]
        if entry.firm and entry.number and key in self._first:
            what = f"the account {entry.firm}/{entry.number} is declared twice"
            self._twice("duplicate-account", what, file, entry.pos, self._first[key])
            return
        place = _Place(entry.firm, entry.number, file, entry.pos, self._spool.write(entry.record), len(entry.record), entry.protected)
        self._first[key] = place
        if not entry.record:
            return
        for name in entry.profiles:
            self._used.setdefault(name, []).append(len(self.places))
        self.places.append(place)
        self._labels.append(self._shared.setdefault(entry.labels, entry.labels))

    def _twice(self, code: str, what: str, file: str, pos: int, first: _Place | records.ProfileRows) -> None:
        before = source(first.file, first.pos)
        self._findings.append(
            Diagnostic(
                code=code, what=what, source=source(file, pos), found=f"the first at {before}", hint="keep one of them", related=before
            )
        )

    def unknown_profiles(self) -> list[str]:
        """Names that are used and defined nowhere that was read."""
        return sorted((self._used.keys() | {name for name, _, _ in self._uses}) - self._names)

    def complete_profiles(self, project: Project) -> None:
        """Looks for missing profiles in the rest of the project, whose accounts are left alone."""
        if self.unknown_profiles():
            self.looked_up = True
            self.take(discover_project(project, self._from), accounts=False)

    def finish(self, *, whole: bool = True) -> list[Diagnostic]:
        """The errors, sorted. A profile that is defined nowhere is a warning when what was read is not ``whole``."""
        for name in self.unknown_profiles():
            self._findings.extend(self._unknown_profile(name, Severity.ERROR if whole else Severity.WARNING))
        self._findings.sort(key=Diagnostic.sort_key)
        return [finding for finding in self._findings if finding.severity is Severity.ERROR]

    def _unknown_profile(self, name: str, severity: Severity) -> Iterator[Diagnostic]:
        close = nearest(name, self._names)
        hint = f"did you mean {close}?" if close is not None else "define it: kind LimitProfile, metadata {name: …}"
        uses = [(file, pos) for used, file, pos in self._uses if used == name]
        for place in (self.places[index] for index in self._used.get(name, ())):
            uses += [(place.file, pos) for pos in records.uses_of(self._spool.read(place.offset, place.size), name)]
        for file, pos in uses:
            what = f"no profile is called {shown(name)}"
            yield Diagnostic(code="unknown-profile", what=what, source=source(file, pos), hint=hint, severity=severity)

    @property
    def findings(self) -> tuple[Diagnostic, ...]:
        """All findings; sorted once :meth:`finish` was called."""
        return tuple(self._findings)

    def desired(self, accounts: tuple[str, ...], labels: tuple[tuple[str, str], ...]) -> Desired:
        """The selected accounts. Raises :class:`ConfigError` when a selected account does not exist, or nothing is left."""
        return Desired(
            self._selected(accounts, labels),
            self._spool,
            profiles=self._profiles,
            manifests_sha256=digest_of(self.files),
            files=tuple(sorted(self.files)),
            warnings=self.findings,
            read=self.read,
            looked_up=self.looked_up,
        )

    def _selected(self, accounts: tuple[str, ...], labels: tuple[tuple[str, str], ...]) -> list[_Place]:
        chosen = range(len(self.places))
        if accounts:
            by_name: dict[str, list[int]] = {}
            for index, place in enumerate(self.places):
                by_name.setdefault(place.number, []).append(index)
                by_name.setdefault(f"{place.firm}/{place.number}", []).append(index)
            indexes = {index for name in accounts for index in by_name.get(name, ())}
            self._all_known(accounts, by_name)
            chosen = [index for index in chosen if index in indexes]  # type: ignore[assignment]
        if labels:
            chosen = [index for index in chosen if set(labels) <= set(self._labels[index])]  # type: ignore[assignment]
        if not chosen:
            selection = " and ".join([*(f"--account {name}" for name in accounts), *(f"-l {key}={value}" for key, value in labels)])
            raise ConfigError("the selection matches no account", where=selection, hint="look at metadata.labels of the accounts")
        return [self.places[index] for index in chosen]

    def _all_known(self, accounts: Iterable[str], known: dict[str, list[int]]) -> None:
        for name in accounts:
            if name not in known:
                close = nearest(name, known)
                hint = f"did you mean {close}?" if close is not None else "write the account number, or firm/number, as in the manifests"
                raise ConfigError(f"no manifest declares the account {name}", where="--account", hint=hint)


def digest_of(files: dict[str, str]) -> str:
    """``sha256:…`` over path and content of every file, in the order of paths."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{files[name]}\n".encode())
    return f"sha256:{digest.hexdigest()}"
