"""The project file, `amsctl.yaml`, to its value; and one of its environments with ``${NAME}`` replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from amsctl.config import (
    PROJECT_FILE,
    Assumptions,
    Auth,
    AuthType,
    Calendar,
    Environment,
    LedgerSettings,
    OffsetCounts,
    Project,
    Requests,
    Secret,
    Tls,
    UnlimitedAs,
    UnlimitedShownAs,
    Window,
)
from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import ConfigError, ManifestErrors
from amsctl.manifests.addresses import Wrong, is_cme, judge_url, mixed_hosts
from amsctl.manifests.compile import API_VERSION
from amsctl.manifests.decoding import (
    Refused,
    free_text,
    map_at,
    mapping_of,
    number_at,
    optional_mapping,
    refuse,
    scalar_at,
    sequence_at,
    switch_at,
    whole_number,
    word_at,
)
from amsctl.manifests.documents import documents_of
from amsctl.manifests.files import DISK, Files, Unreadable, content_of
from amsctl.manifests.findings import Findings, TooManyFindings, decode
from amsctl.manifests.guards import guards_of
from amsctl.manifests.identifiers import ENVIRONMENT, NAME, matcher, nearest
from amsctl.manifests.nodes import Map, Node, Scalar, Seq, pos_of, position, source
from amsctl.manifests.safeguards import approvals_of, policies_of
from amsctl.model import Owner, Undeclared, UnsetMeans
from amsctl.wire.addresses import normalised

BRANCH: Final = "^(?!.*([.][.]|//|[.]lock(/|$)|/[.]))[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)*$"
"""The name of a branch: no revision syntax, nothing that git would read as an option or a path."""
_MOST_HOURS: Final = 168
_MOST_DAYS: Final = 3_660
_LEDGER_KEYS: Final = ("url", "leaseSeconds", "ephemeral")
_EPHEMERAL: Final = "accepted"
_TWO_NAMES: Final = "one AMS has two names"
_ONE_RULE: Final = "an AMS is written under the rules of whichever of its environments is chosen: give all of them the same"
_ONE_NAME: Final = "locks, freezes and open calls go by the name of the AMS: write the same ams: NAME into both environments"
_VARIABLE: Final = re.compile("\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}")
_is_name: Final = matcher(NAME).match
_is_environment: Final = matcher(ENVIRONMENT).match
_is_branch: Final = matcher(BRANCH).match
_is_address: Final = re.compile(r"https?://(?!.*\$\{)").match
"""A variable stands in credentials alone, never in a host or a path: what it holds would be sent there."""
_is_path: Final = re.compile(r"/(?!.*\$\{)").match
_is_api_id: Final = re.compile(r"API_[A-Za-z0-9_]{1,60}\Z").match
_is_ledger: Final = re.compile("sqlite:///|postgresql://|\\$\\{").match

Expand = Callable[[Scalar], str]
"""What a free text of an environment stands for."""


# --- the project file ---


def _where_else(folder: str) -> str:
    """What to do where no project file is: the nearest one further up is named."""
    above = os.path.dirname(folder)
    while above != folder:
        if os.path.exists(os.path.join(above, PROJECT_FILE)):
            return f"there is one in {above}: run amsctl there, or name that folder with -C"
        folder, above = above, os.path.dirname(above)
    return "amsctl init writes a new one; -C DIR names another folder"


def load_project(directory: str | os.PathLike[str], files: Files = DISK) -> Project:
    """What ``amsctl.yaml`` in ``directory`` says, as ``files`` has it. The environments are judged, but no ``${NAME}`` is read yet.

    Raises :class:`ConfigError` when there is no such file, :class:`ManifestErrors` with all findings when it is wrong.
    """
    root = os.path.realpath(directory)
    try:
        path = files.real(os.path.join(root, PROJECT_FILE))
        there = files.exists(path)
    except OSError as error:
        raise ConfigError(f"{PROJECT_FILE} cannot be looked at", where=os.fspath(directory), found=error.strerror) from None
    if not there:
        raise ConfigError(f"no {PROJECT_FILE} in {os.fspath(directory)}", hint=_where_else(root))
    findings = Findings(PROJECT_FILE)
    documents = _documents(path, findings, files)
    if not documents and not findings.items:
        findings.add("document", "the project file is empty", position(1, 1), expected="kind: Project", hint="amsctl init writes a new one")
    for extra in documents[1:]:
        hint = "move accounts and profiles to files of their own"
        findings.add("document", "a second document in the project file", pos_of(extra), expected="one Project", hint=hint)
    project = project_of(documents[0], findings, root) if documents else None
    if project is None or findings.items:
        raise ManifestErrors(sorted(findings.items, key=Diagnostic.sort_key))
    return project


def _documents(path: str, findings: Findings, files: Files) -> list[Node]:
    try:
        text = decode(content_of(path, files), findings)
        return list(documents_of(text, findings)) if text is not None else []
    except Unreadable as error:
        findings.add(error.code, error.what, position(1, 1), expected=error.expected, found=error.found, hint=error.hint)
    except TooManyFindings:
        findings.gave_up()
    return []


def project_of(document: Node, findings: Findings, root: str) -> Project | None:
    """The project that a document describes, or ``None`` with what is wrong in ``findings``."""
    try:
        project = _project(document, findings, root)
    except Refused:
        from amsctl.manifests.explain import explain_whole

        explain_whole("project.v1", document, findings)
        return None
    _check_default(project, document, findings)
    _check_lease(project, document, findings)
    for node in project.environments.values():
        assert isinstance(node, Map)
        for pos, wrong in _judge_addresses(node, _as_written):
            findings.add(wrong.code, wrong.what, pos, expected=wrong.expected, hint=wrong.hint)
    _check_apart(project, findings)
    _check_alike(project, document, findings)
    return project


def _check_apart(project: Project, findings: Findings) -> None:
    """One AMS has one name, or each of its names would have locks and freezes of its own."""
    first: dict[str, tuple[str, int, str]] = {}
    for name, node in project.environments.items():
        assert isinstance(node, Map)
        text, _, pos = scalar_at(node, "url")
        ams = _ams_name(node) or name
        other, place, called = first.setdefault(normalised(text), (name, pos, ams))
        if called != ams:
            what = f"{_TWO_NAMES}: environment {other} has this address"
            findings.add("two-names", what, pos, expected=f"ams: {called}", found=ams, hint=_ONE_NAME, related=place)


def _check_alike(project: Project, document: Node, findings: Findings) -> None:
    """Environments of one AMS must have one set of rules: otherwise a person picks lighter rules by picking an environment."""
    assert isinstance(document, Map)
    spec = map_at(document, "spec")
    named: dict[str, list[str]] = {}
    for name, node in project.environments.items():
        assert isinstance(node, Map)
        named.setdefault(_ams_name(node) or name, []).append(name)
    for ams, names in named.items():
        for what, item in _ruled(spec):
            told = {name: pos for name, _, pos in sequence_at(item, "environments", 1000) if name in names}
            if told and len(told) < len(names):
                other = next(name for name in names if name not in told)
                findings.add(
                    "one-ams",
                    f"{what} for some environments of one AMS alone: {other} is {ams}, too",
                    next(iter(told.values())),
                    expected=f"{', '.join(names)}, or none of them",
                    found=", ".join(told),
                    hint=_ONE_RULE,
                )


def _ruled(spec: Map) -> Iterator[tuple[str, Map]]:
    """What may be for some environments alone, each as it is written."""
    for key, what in (("approvals", "approvals are"), ("policies", "a policy is"), ("windows", "a window is")):
        node = spec.entries[key][1] if key in spec.entries else None
        items = node.items if isinstance(node, Seq) else (node,)
        yield from ((what, item) for item in items if isinstance(item, Map))


def _check_default(project: Project, document: Node, findings: Findings) -> None:
    """The default environment must be one of the environments."""
    name = project.default_environment
    if name is None or name in project.environments:
        return
    close = nearest(name, project.environments)
    hint = f"did you mean {close}?" if close is not None else "name one of spec.environments"
    assert isinstance(document, Map)
    pos = pos_of(map_at(document, "spec").entries["defaultEnvironment"][1])
    findings.add("default-environment", "the default environment is not among the environments", pos, found=name, hint=hint)


def _check_lease(project: Project, document: Node, findings: Findings) -> None:
    """A lock that runs out while a POST is under way would let a second writer in beside it."""
    assert isinstance(document, Map)
    ledger = optional_mapping(map_at(document, "spec"), "ledger", _LEDGER_KEYS)
    least = _least_lease(project.requests)
    if "leaseSeconds" not in ledger.entries or project.ledger.lease_seconds >= least:
        return
    text, _, pos = scalar_at(ledger, "leaseSeconds")
    expected = f"at least {least:g}, twice requests.timeoutSeconds and 1 s"
    hint = "a POST must be over before the lease is: write a longer lease or a shorter timeout"
    findings.add("lease", "leaseSeconds is too short for requests.timeoutSeconds", pos, expected=expected, found=text, hint=hint)


def _least_lease(requests: Requests) -> float:
    return 2 * requests.timeout_seconds + 1


def _project(document: Node, findings: Findings, root: str) -> Project:
    file = findings.file
    top = mapping_of(document, ("apiVersion", "kind", "metadata", "spec"), ("apiVersion", "kind", "spec"))
    word_at(top, "apiVersion", (API_VERSION,))
    word_at(top, "kind", ("Project",))
    if "metadata" in top.entries:
        metadata = mapping_of(top.entries["metadata"][1], ("name",))
        if "name" in metadata.entries and not _is_name(scalar_at(metadata, "name")[0]):
            refuse()
    spec = mapping_of(
        top.entries["spec"][1],
        (
            *("manifests", "ownership", "unsetMeans", "undeclared", "defaultEnvironment"),
            *("environments", "requests", "ledger", "windows", "guards", "guardsAgainst", "policies", "approvals"),
            *("baseBranch", "planValid"),
        ),
    )
    manifests = sequence_at(spec, "manifests", 1000) or (((".", True, 0)),)
    ownership = sequence_at(spec, "ownership", 2) or (("ef", True, 0), ("cmf", True, 0))
    if not all(word in ("ef", "cmf") for word, _, _ in ownership):
        refuse()
    environments = _environments(spec)
    requests = _requests(spec)
    owned = {word for word, _, _ in ownership}
    return Project(
        root=root,
        source=source(file, document.pos if isinstance(document, Map) else 0),
        manifests=tuple(text for text, _, _ in manifests),
        manifests_sources=tuple(source(file, pos) if pos else None for _, _, pos in manifests),
        ownership=tuple(owner for owner in Owner if owner in owned),
        unset_means=UnsetMeans(word_at(spec, "unsetMeans", tuple(UnsetMeans)) or UnsetMeans.UNLIMITED),
        undeclared=Undeclared(word_at(spec, "undeclared", tuple(Undeclared)) or Undeclared.REPORT),
        default_environment=free_text(spec, "defaultEnvironment"),
        environments=environments,
        requests=requests,
        ledger=_ledger(spec, file, requests),
        windows=_windows(spec, environments, findings),
        guards=guards_of(spec),
        policies=policies_of(spec, environments, findings),
        approvals=approvals_of(spec, environments, findings),
        base_branch=_branch(spec),
        plan_valid_hours=whole_number(spec, "planValid", 1, _MOST_HOURS, 24),
        guards_days=whole_number(optional_mapping(spec, "guardsAgainst", ("days",)), "days", 0, _MOST_DAYS, 30),
    )


def _branch(spec: Map) -> str:
    """The branch of record, by its name alone: what git takes for a name and never for anything else."""
    name = free_text(spec, "baseBranch") or "main"
    if not _is_branch(name):
        refuse()
    return name


def _environments(spec: Map) -> Mapping[str, object]:
    if "environments" not in spec.entries:
        return {}
    node = spec.entries["environments"][1]
    if not isinstance(node, Map):
        refuse()
    for name, (_, value) in node.entries.items():
        if not _is_environment(name):
            refuse()
        _environment(name, value, _as_written, root="", place=None)
    return {name: value for name, (_, value) in node.entries.items()}


def _requests(spec: Map) -> Requests:
    node = optional_mapping(
        spec,
        "requests",
        (
            "concurrency",
            "perSecond",
            "timeoutSeconds",
            "deadlineSeconds",
            "settleSeconds",
            "rowsPerPost",
            "pageSize",
            "maxBodyBytes",
            "retries",
        ),
    )
    usual = Requests()
    return Requests(
        concurrency=whole_number(node, "concurrency", 1, 256, usual.concurrency),
        per_second=_rate(node, usual.per_second),
        timeout_seconds=number_at(node, "timeoutSeconds", 3600, usual.timeout_seconds),
        deadline_seconds=number_at(node, "deadlineSeconds", 86400, usual.deadline_seconds),
        settle_seconds=number_at(node, "settleSeconds", 3600, usual.settle_seconds),
        rows_per_post=whole_number(node, "rowsPerPost", 1, 20000, usual.rows_per_post),
        page_size=whole_number(node, "pageSize", 1, 10000, usual.page_size),
        max_body_bytes=whole_number(node, "maxBodyBytes", 1024, 1024**3, usual.max_body_bytes),
        retries=whole_number(node, "retries", 0, 100, usual.retries),
    )


def _rate(node: Map, usual: float | None) -> float | None:
    if "perSecond" in node.entries and scalar_at(node, "perSecond")[0] == "unlimited":
        return None
    return number_at(node, "perSecond", 100_000, 0.0) if "perSecond" in node.entries else usual


def _ledger(spec: Map, file: str, requests: Requests) -> LedgerSettings:
    usual = LedgerSettings()
    node = optional_mapping(spec, "ledger", _LEDGER_KEYS)
    ephemeral = word_at(node, "ephemeral", (_EPHEMERAL,)) is not None
    long_enough = max(usual.lease_seconds, _least_lease(requests))
    lease = number_at(node, "leaseSeconds", 86400, long_enough)
    if "url" not in node.entries:
        return LedgerSettings(lease_seconds=lease, ephemeral=ephemeral)
    text, _, pos = scalar_at(node, "url")
    if not _is_ledger(text):
        refuse()
    return LedgerSettings(url=text, lease_seconds=lease, ephemeral=ephemeral, source=source(file, pos))


def _windows(spec: Map, environments: Mapping[str, object], findings: Findings) -> tuple[Window, ...]:
    if "windows" not in spec.entries:
        return ()
    from amsctl.manifests.hours import windows_of  # with time zones: most projects have no windows

    return windows_of(spec.entries["windows"][1], environments, findings)


# --- environments ---


def resolve_environment(project: Project, name: str | None, environ: Mapping[str, str]) -> Environment:
    """The environment called ``name`` (``None``: the default one, or the only one) with ``${NAME}`` taken from ``environ``.

    Raises :class:`ConfigError` that names what is missing and where, and repeats no value.
    """
    chosen = _choose(project, name)
    node = project.environments[chosen]
    assert isinstance(node, Map)
    file = project.source.file

    def expand(scalar: Scalar) -> str:
        return _expand(scalar, file, environ, chosen)

    _all_set(node, file, environ, chosen)
    place = source(file, node.pos)
    for pos, wrong in _judge_addresses(node, expand):
        raise ConfigError(wrong.what, where=f"{source(file, pos)}, environment {chosen}", expected=wrong.expected, hint=wrong.hint)
    return replace(_environment(chosen, node, expand, root=project.root, place=place), warnings=tuple(_written_secrets(node, file)))


class Addressed(NamedTuple):
    """An environment, the name of its AMS, and the AMS's base address."""

    environment: str
    ams: str
    url: str


def resolve_address(project: Project, name: str | None) -> Addressed:
    """The environment called ``name`` (``None``: the default one, or the only one) and its AMS. Its credentials are not read: who only looks into the
    ledger, or stops writes, needs none. Raises :class:`ConfigError`.
    """
    chosen = _choose(project, name)
    node = project.environments[chosen]
    assert isinstance(node, Map)
    return Addressed(chosen, _ams_name(node) or chosen, normalised(_address(node, "url", _as_written)))


def names_of(project: Project) -> Mapping[str, str]:
    """What the AMS at each address of the project is called."""
    return {at.url: at.ams for at in (resolve_address(project, name) for name in project.environments)}


def _written_secrets(environment: Map, file: str) -> Iterator[Diagnostic]:
    """A secret that stands in the project file is in the repository's history, whoever reads it."""
    auth = environment.entries.get("auth")
    if auth is None or not isinstance(auth[1], Map):
        return
    secret = auth[1].entries.get("clientSecret")
    if secret is not None and isinstance(secret[1], tuple) and not _VARIABLE.search(secret[1][0]):
        yield Diagnostic(
            code="written-secret",
            severity=Severity.WARNING,
            what="clientSecret is written into the project file",
            source=source(file, secret[1][2]),
            expected="${NAME}, read from the process environment",
            hint="change the secret at CME, too: it is in the repository's history",
        )


def unset_ledger(project: Project, environ: Mapping[str, str]) -> str | None:
    """The variable that is to hold the ledger's address, alone (``url: "${AMS_LEDGER_URL}"``), where it is missing or empty; ``None`` otherwise."""
    named = _VARIABLE.fullmatch(project.ledger.url)
    return named[1] if named is not None and not environ.get(named[1]) else None


def resolve_ledger(project: Project, environ: Mapping[str, str]) -> Secret:
    """The ledger's address with ``${NAME}`` replaced, as a secret (it may hold a password): ``sqlite:////absolute/path`` or ``postgresql://…``. The
    default file where ``unset_ledger`` names a variable.

    Raises :class:`ConfigError` that names what is missing or cannot be used, and repeats no value.
    """
    settings = project.ledger
    place = settings.source or project.source
    scalar = (settings.url, False, position(place.line, place.column))
    unset = unset_ledger(project, environ) is not None
    text = LedgerSettings().url if unset else _expand(scalar, project.source.file, environ, "the ledger")
    if text.startswith("postgresql://"):
        return Secret(text)
    path = text.removeprefix("sqlite:///")
    if path == text or not path or path.endswith("/") or path.startswith(":memory:") or "?" in path or "#" in path:
        raise ConfigError(
            "the address of the ledger cannot be used",
            where=str(place),
            expected="sqlite:///FILE, without options, or postgresql://HOST/NAME",
            hint="sqlite:/// and a path from this file's folder; sqlite://// and a path from the root",
        )
    return Secret("sqlite:///" + os.path.normpath(os.path.join(project.root, path)))


def _choose(project: Project, name: str | None) -> str:
    names = list(project.environments)
    where = str(project.source)
    if not names:
        raise ConfigError("the project has no environment", where=where, hint="add one to spec.environments")
    if name is None:
        if project.default_environment is not None:
            return project.default_environment
        if len(names) == 1:
            return names[0]
        raise ConfigError(
            "no environment is chosen", where=where, hint=f"-e NAME chooses one of {', '.join(names)}; spec.defaultEnvironment sets one"
        )
    if name not in project.environments:
        close = nearest(name, names)
        hint = f"did you mean {close}?" if close is not None else None
        raise ConfigError(f"no environment is called {name}", where=where, expected=" or ".join(names), hint=hint)
    return name


def _all_set(node: Node, file: str, environ: Mapping[str, str], used_by: str) -> None:
    """Names every variable that is missing, not the first alone."""
    missing: dict[str, int] = {}
    for text, _, pos in _scalars(node):
        for name in _VARIABLE.findall(text):
            if name not in environ:
                missing.setdefault(name, pos)
    if len(missing) > 1:
        where = f"{', '.join(str(source(file, pos)) for pos in missing.values())}, environment {used_by}"
        names = ", ".join(missing)
        raise ConfigError(
            f"the environment variables {names} are not set", where=where, hint="set them, or choose another environment with -e"
        )


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Map):
        for _, value in node.entries.values():
            yield from _scalars(value)
    elif isinstance(node, tuple):
        yield node


def _expand(scalar: Scalar, file: str, environ: Mapping[str, str], used_by: str) -> str:
    """The text with each ``${NAME}`` replaced; what an environment variable holds is not looked into again."""
    text, _, pos = scalar
    where = f"{source(file, pos)}, environment {used_by}"

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = environ.get(name)
        if found is None:
            raise ConfigError(
                f"the environment variable {name} is not set", where=where, hint=f"set {name}, or choose another environment with -e"
            )
        if not found:
            raise ConfigError(f"the environment variable {name} is empty", where=where, hint=f"set {name} to its value")
        if not found.isprintable():
            hint = "a line end at the end is a common cause"
            raise ConfigError(f"the environment variable {name} holds a character that cannot be printed", where=where, hint=hint)
        return found

    if "${" in _VARIABLE.sub("", text):
        raise ConfigError(
            "a ${ that names no environment variable", where=where, expected="${NAME}", hint="letters, digits and underscores"
        )
    return _VARIABLE.sub(value, text)


def _as_written(scalar: Scalar) -> str:
    return scalar[0]


def _environment(name: str, node: Node, expand: Expand, *, root: str, place: Source | None) -> Environment:
    """The environment that a mapping describes; texts go through ``expand``."""
    keys = ("url", "ams", "auth", "protected", "tls", "proxy", "assumptions", "calendar")
    mapping = mapping_of(node, keys, ("url",))
    url = normalised(_address(mapping, "url", expand))
    proxy = _address(mapping, "proxy", expand) if "proxy" in mapping.entries else None
    return Environment(
        name=name,
        url=url,
        ams=_ams_name(mapping),
        auth=_auth(mapping, expand),
        protected=switch_at(mapping, "protected"),
        tls=_tls(mapping, expand, root),
        proxy=proxy,
        assumptions=_assumptions(mapping),
        calendar=Calendar(word_at(mapping, "calendar", tuple(Calendar)) or (Calendar.CME if is_cme(url) else Calendar.NONE)),
        source=place,
    )


def _ams_name(environment: Map) -> str:
    """What the AMS is called; empty where it goes by the environment's name."""
    name = free_text(environment, "ams") or ""
    if name and not _is_environment(name):
        refuse()
    return name


def _auth(environment: Map, expand: Expand) -> Auth:
    if "auth" not in environment.entries:
        return Auth()
    keys = ("type", "clientId", "clientSecret", "tokenUrl", "logonPath")
    node = mapping_of(environment.entries["auth"][1], keys, ("type",))
    kind = AuthType(word_at(node, "type", tuple(AuthType)) or AuthType.NONE)
    needed = {AuthType.NONE: (), AuthType.OAUTH2: ("clientId", "clientSecret", "tokenUrl")}.get(kind, ("clientId", "clientSecret"))
    if not all(key in node.entries for key in needed):
        refuse()
    secret = _expanded(node, "clientSecret", expand)
    client_id = _expanded(node, "clientId", expand)
    logon_path = _expanded(node, "logonPath", expand)
    if logon_path is not None and not _is_path(scalar_at(node, "logonPath")[0]):
        refuse()
    return Auth(
        type=kind,
        client_id=client_id,
        shown_id=_shown_id(node, client_id),
        client_secret=Secret(secret) if secret is not None else None,
        token_url=_address(node, "tokenUrl", expand) if "tokenUrl" in node.entries else None,
        logon_path=logon_path if logon_path is not None else Auth().logon_path,
    )


def _shown_id(node: Map, client_id: str | None) -> str | None:
    """What is shown of an API ID that a variable holds: itself where it looks like one of CME's, else the text as written."""
    written = scalar_at(node, "clientId")[0] if client_id is not None else ""
    if client_id is None or "${" not in written or client_id == written or _is_api_id(client_id):
        return None
    return written


def _tls(environment: Map, expand: Expand, root: str) -> Tls:
    node = optional_mapping(environment, "tls", ("caFile", "certificateFile", "keyFile"))
    if "keyFile" in node.entries and "certificateFile" not in node.entries:
        refuse()

    def path(key: str) -> str | None:
        text = _expanded(node, key, expand)
        return os.path.join(root, os.path.expanduser(text)) if text is not None else None

    written = {key: scalar_at(node, key)[0] for key in node.entries if "${" in scalar_at(node, key)[0]}
    return Tls(ca_file=path("caFile"), certificate_file=path("certificateFile"), key_file=path("keyFile"), written=written)


def _assumptions(environment: Map) -> Assumptions:
    node = optional_mapping(environment, "assumptions", ("unlimitedAs", "unlimitedShownAs", "firstOffset", "offsetCounts"))
    usual = Assumptions()
    return Assumptions(
        unlimited_as=UnlimitedAs(word_at(node, "unlimitedAs", tuple(UnlimitedAs)) or usual.unlimited_as),
        unlimited_shown_as=UnlimitedShownAs(word_at(node, "unlimitedShownAs", tuple(UnlimitedShownAs)) or usual.unlimited_shown_as),
        first_offset=whole_number(node, "firstOffset", 0, 1, usual.first_offset),
        offset_counts=OffsetCounts(word_at(node, "offsetCounts", tuple(OffsetCounts)) or usual.offset_counts),
    )


def _judge_addresses(environment: Map, expand: Expand) -> list[tuple[int, Wrong]]:
    """What is wrong with the addresses of an environment, each with its place. A ``${NAME}`` that is not replaced yet is not judged."""
    auth = environment.entries["auth"][1] if "auth" in environment.entries else Map(0)
    assert isinstance(auth, Map)
    credentials = "type" in auth.entries and scalar_at(auth, "type")[0] != "none"
    wrongs: list[tuple[int, Wrong]] = []
    sound: dict[str, str] = {}
    for holder, key in ((environment, "url"), (auth, "tokenUrl"), (environment, "proxy")):
        if key not in holder.entries:
            continue
        scalar = scalar_at(holder, key)
        text = expand(scalar)
        if expand is _as_written and "${" in text:
            continue
        wrong = judge_url(key, text, credentials=credentials and key != "proxy")
        if wrong is None:
            sound[key] = text
        else:
            wrongs.append((scalar[2], wrong))
    if "url" in sound and "tokenUrl" in sound:
        mixed = mixed_hosts(sound["url"], sound["tokenUrl"])
        if mixed is not None:
            wrongs.append((scalar_at(auth, "tokenUrl")[2], mixed))
    return wrongs


def _expanded(node: Map, key: str, expand: Expand) -> str | None:
    return expand(scalar_at(node, key)) if free_text(node, key) is not None else None


def _address(node: Map, key: str, expand: Expand) -> str:
    scalar = scalar_at(node, key)
    if not _is_address(scalar[0]):
        refuse()
    return expand(scalar)
