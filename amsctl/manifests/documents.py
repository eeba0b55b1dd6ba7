"""One file to its records and findings: everything that can be said about a file without looking at another one."""

from __future__ import annotations

import hashlib
import marshal
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from amsctl.diagnostics import Diagnostic, Severity
from amsctl.manifests import compile as compiled
from amsctl.manifests.files import DISK, Files, ManifestFile, Unreadable, checked, content_of, first_bytes, unreadable
from amsctl.manifests.findings import Findings, TooManyFindings, decode, shown
from amsctl.manifests.identifiers import naming_breach, nearest
from amsctl.manifests.nodes import Map, Node, pos_of, position, source
from amsctl.manifests.quick import quick
from amsctl.objectids import BlobIds, blob_ids

_OUTPUT: Final = re.compile(rb'"format"\s*:\s*"amsctl\.(plan|report|event)')
_SNIFFED_BYTES: Final = 4096
KINDS: Final = ("Account", "LimitProfile", "Project")


class AccountEntry(NamedTuple):
    """One account: what finding and sorting it needs, and its record as ``marshal`` wrote it.

    Of an account that was refused, ``record`` is empty and ``uses`` holds the profiles it names with their places, so that one run says all.
    """

    firm: str
    number: str
    pos: int
    labels: tuple[tuple[str, str], ...]
    profiles: frozenset[str]
    record: bytes
    protected: bool = False
    uses: tuple[tuple[str, int], ...] = ()


class FileRead(NamedTuple):
    """What one file holds. ``profile_names`` are those it defines, also where the profile itself is wrong. ``skipped``: no manifest, an own output.
    ``blobs`` are the ids of its bytes, ``None`` where they could not be read.
    """

    shown: str
    sha256: str
    documents: int
    accounts: tuple[AccountEntry, ...]
    profiles: tuple[compiled.Profile, ...]
    profile_names: frozenset[str]
    findings: tuple[Diagnostic, ...]
    skipped: bool = False
    blobs: BlobIds | None = None


def read_file(file: ManifestFile, *, projects: bool = False, files: Files = DISK) -> FileRead:
    """Everything in one file. A ``Project`` document is judged when ``projects``, and otherwise an error: it belongs into the project file."""
    try:
        if files is DISK and is_json(file) and is_output(first_bytes(file.path, _SNIFFED_BYTES)):
            return _output(file)  # however large
        return read_given(file, content_of(file.path, files), projects=projects)
    except Unreadable as error:
        return _unread(file, error)


def read_given(file: ManifestFile, content: bytes | OSError, *, projects: bool = False) -> FileRead:
    """As :func:`read_file`, for bytes that were read by another, or why they could not be."""
    try:
        if isinstance(content, OSError):
            raise unreadable(content)
        if is_json(file) and is_output(content):
            return _output(file)
        return read_content(checked(content), file.shown, projects=projects)
    except Unreadable as error:
        return _unread(file, error)


def is_json(file: ManifestFile) -> bool:
    """Whether it is a file that amsctl itself may have written."""
    return file.path.lower().endswith(".json")


def is_output(content: bytes) -> bool:
    """Whether a JSON file begins as a plan, a report or events of amsctl do: it is no manifest."""
    return _OUTPUT.search(content[:_SNIFFED_BYTES]) is not None


def _output(file: ManifestFile) -> FileRead:
    findings = Findings(file.shown)
    if file.explicit:
        hint = "amsctl show displays it"
        findings.add("not-a-manifest", "this is an output of amsctl, not a manifest", position(1, 1), hint=hint)
    return FileRead(file.shown, "", 0, (), (), frozenset(), tuple(findings.items), skipped=not file.explicit)


def _unread(file: ManifestFile, error: Unreadable) -> FileRead:
    findings = Findings(file.shown)
    findings.add(error.code, error.what, position(1, 1), expected=error.expected, found=error.found, hint=error.hint)
    return FileRead(file.shown, "", 0, (), (), frozenset(), tuple(findings.items))


def read_content(content: bytes, name: str, *, projects: bool = False) -> FileRead:
    """As :func:`read_file`, for bytes that are already read."""
    sha256 = hashlib.sha256(content).hexdigest()
    findings = Findings(name)
    contents = _Contents(findings, projects)
    try:
        text = decode(content, findings)
        if text is not None and (not name.lower().endswith(".json") or _is_json(text, findings)):
            for document in documents_of(text, findings):
                contents.take(document)
            if not contents.documents and not findings.items:
                contents.warnings.append(_empty(name))
    except TooManyFindings:
        findings.gave_up()
    diagnostics = (*findings.items, *contents.warnings)
    return FileRead(
        name,
        sha256,
        contents.documents,
        tuple(contents.accounts),
        tuple(contents.profiles),
        frozenset(contents.profile_names),
        diagnostics,
        blobs=blob_ids(content),
    )


def _empty(name: str) -> Diagnostic:
    """An account that drops out of a file drops out unnoticed otherwise."""
    return Diagnostic(
        code="empty-file",
        severity=Severity.WARNING,
        what="the file holds no document",
        source=source(name, position(1, 1)),
        hint="remove it, or bring back what it held",
    )


def documents_of(text: str, findings: Findings) -> Iterable[Node]:
    """The documents of a file: read line by line when it is plain, and else by the reader, which is imported only then."""
    documents = quick(text)
    if documents is not None:
        return documents
    from amsctl.manifests.reader import read

    return read(text, findings)


class _Contents:
    """The records of one file as they are found."""

    def __init__(self, findings: Findings, projects: bool) -> None:
        self.findings = findings
        self.projects = projects
        self.documents = 0
        self.accounts: list[AccountEntry] = []
        self.profiles: list[compiled.Profile] = []
        self.profile_names: set[str] = set()
        self.warnings: list[Diagnostic] = []

    def take(self, document: Node) -> None:
        """Judges one document and keeps its record."""
        self.documents += 1
        findings = self.findings
        kind = compiled.kind_of(document)
        if not isinstance(document, Map):
            findings.add("document", "the document is not a mapping", pos_of(document), expected="apiVersion, kind, metadata and spec")
        elif kind == "Account":
            self._account(document)
        elif kind == "LimitProfile":
            self._profile(document)
        elif kind == "Project" and self.projects:
            from amsctl.manifests.project import project_of

            project_of(document, findings, "")
        else:
            _unknown_kind(document, kind, findings)

    def _account(self, document: Map) -> None:
        refused: list[compiled.Refused] = []
        record = compiled.account(document, refused)
        if record is None:
            _explain(refused, self.findings)
            self._refused_account(document)
            return
        used = frozenset(name for firm in record.execution_firms for name, _ in firm.profiles)
        spooled = marshal.dumps(_plain(record))
        self.accounts.append(AccountEntry(record.firm, record.number, record.pos, record.labels, used, spooled, record.protected))
        breach = naming_breach(record.number)
        if breach is not None:
            self.warnings.append(
                Diagnostic(
                    code="account-naming",
                    severity=Severity.WARNING,
                    what=f"account number {record.number} breaks CME's naming rule",
                    source=source(self.findings.file, record.pos),
                    found=breach,
                    hint="nothing to do if the account exists under this number",
                )
            )

    def _refused_account(self, document: Map) -> None:
        uses = tuple(compiled.profile_uses(document))
        firm, number = compiled.text_at(document, "metadata", "clearingFirm"), compiled.text_at(document, "metadata", "accountNumber")
        self.accounts.append(
            AccountEntry(firm or "", number or "", _number_pos(document), (), frozenset(name for name, _ in uses), b"", uses=uses)
        )

    def _profile(self, document: Map) -> None:
        refused: list[compiled.Refused] = []
        record = compiled.profile(document, refused)
        if record is None:
            name = compiled.text_at(document, "metadata", "name")
            if name is not None:
                self.profile_names.add(name)
            _explain(refused, self.findings)
            return
        self.profiles.append(record)
        self.profile_names.add(record.name)


def _number_pos(document: Map) -> int:
    """Where the account number stands, or the document begins."""
    node: Node = document
    for key in ("metadata", "accountNumber"):
        if not isinstance(node, Map) or key not in node.entries:
            return document.pos
        node = node.entries[key][1]
    return pos_of(node)


def _plain(record: compiled.Account) -> Any:
    """The record as bare tuples: ``marshal`` refuses subclasses."""
    firms = tuple((*firm[:5], tuple(tuple(row) for row in firm.rows)) for firm in record.execution_firms)
    return (*record[:8], firms)


def _explain(refused: list[compiled.Refused], findings: Findings) -> None:
    from amsctl.manifests.explain import explain

    for part in refused:
        explain(part, findings)


def _unknown_kind(document: Map, kind: str | None, findings: Findings) -> None:
    """A document that is no manifest, or one of a kind that is not known."""
    entries = document.entries
    if "kind" not in entries:
        close = next((key for key in entries if nearest(key, ("kind",)) is not None), None)
        hint = (
            f"did you mean kind in place of {shown(close)}?"
            if close is not None
            else "list the folders that hold manifests in spec.manifests"
        )
        findings.add("kind", "the document has no kind", document.pos, expected="Account or LimitProfile", hint=hint)
        return
    pos = pos_of(entries["kind"][1])
    if kind == "Project":
        findings.add("misplaced-project", "a Project is read from amsctl.yaml alone", pos, hint="move it there")
        return
    close = nearest(kind, KINDS) if kind else None
    hint = f"did you mean {close}?" if close is not None else "list the folders that hold manifests in spec.manifests"
    found = (shown(kind) or "nothing") if kind is not None else "a mapping or sequence"
    findings.add("kind", "unknown kind", pos, expected="Account or LimitProfile", found=found, hint=hint)


def _is_json(content: str, findings: Findings) -> bool:
    """Whether a ``.json`` file is one JSON value by the letter; nesting and duplicate keys are left to the reader."""
    import json

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(content, parse_int=str, parse_float=str, parse_constant=refuse)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        findings.add(
            "json-syntax", f"not valid JSON: {what}", position(error.lineno, error.colno), hint="check commas, quotes and brackets"
        )
        return False
    except ValueError as error:
        findings.add("json-syntax", f"not valid JSON: {error} is not a JSON value", position(1, 1), hint="remove it")
        return False
    except RecursionError:
        return True
    return True
