"""The project file, `amsctl.yaml`, to its value; and one of its environments with ``${NAME}`` replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, NoReturn

from amsctl.config import (
    PROJECT_FILE,
    Assumptions,
    Auth,
    AuthType,
    Environment,
    OffsetCounts,
    Project,
    Requests,
    Secret,
    Tls,
    UnlimitedAs,
)
from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import ConfigError, ManifestErrors
from amsctl.manifests.addresses import Wrong, judge_url, mixed_hosts
from amsctl.manifests.compile import API_VERSION
from amsctl.manifests.documents import documents_of
from amsctl.manifests.files import Unreadable, content_of
from amsctl.manifests.findings import Findings, TooManyFindings, decode
from amsctl.manifests.identifiers import ENVIRONMENT, NAME, matcher, nearest
from amsctl.manifests.nodes import Map, Node, Scalar, Seq, pos_of, position, source
from amsctl.model import Owner, Undeclared, UnsetMeans

_VARIABLE: Final = re.compile("\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}")
_is_name: Final = matcher(NAME).match
_is_environment: Final = matcher(ENVIRONMENT).match
_is_whole: Final = re.compile("(?:0|[1-9][0-9]{0,9})\\Z").match
_is_number: Final = re.compile("(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]+)?\\Z").match
_is_address: Final = re.compile("https?://|\\$\\{").match
_is_path: Final = re.compile("/|\\$\\{").match
_is_ledger: Final = re.compile("sqlite:///|postgresql://|\\$\\{").match

Expand = Callable[[Scalar], str]
"""What a free text of an environment stands for."""


class _Refused(Exception):
    """The document is not as the schema wants it."""


# --- the project file ---


def _where_else(folder: str) -> str:
    """What to do where no project file is: the nearest one further up is named."""
    above = os.path.dirname(folder)
    while above != folder:
        if os.path.exists(os.path.join(above, PROJECT_FILE)):
            return f"there is one in {above}: run amsctl there, or name that folder with -C"
        folder, above = above, os.path.dirname(above)
    return "amsctl init writes a new one; -C DIR names another folder"


def load_project(directory: str | os.PathLike[str]) -> Project:
    """What ``amsctl.yaml`` in ``directory`` says. The environments are judged, but no ``${NAME}`` is read yet.

    Raises :class:`ConfigError` when there is no such file, :class:`ManifestErrors` with all findings when it is wrong.
    """
    root = os.path.realpath(directory)
    path = os.path.join(root, PROJECT_FILE)
    if not os.path.exists(path):
        raise ConfigError(f"no {PROJECT_FILE} in {os.fspath(directory)}", hint=_where_else(root))
    findings = Findings(PROJECT_FILE)
    documents = _documents(path, findings)
    if not documents and not findings.items:
        findings.add("document", "the project file is empty", position(1, 1), expected="kind: Project", hint="amsctl init writes a new one")
    for extra in documents[1:]:
        hint = "move accounts and profiles to files of their own"
        findings.add("document", "a second document in the project file", pos_of(extra), expected="one Project", hint=hint)
    project = project_of(documents[0], findings, root) if documents else None
    if project is None or findings.items:
        raise ManifestErrors(sorted(findings.items, key=Diagnostic.sort_key))
    return project


def _documents(path: str, findings: Findings) -> list[Node]:
    try:
        text = decode(content_of(path), findings)
        return list(documents_of(text, findings)) if text is not None else []
    except Unreadable as error:
        findings.add(error.code, error.what, position(1, 1), expected=error.expected, found=error.found, hint=error.hint)
    except TooManyFindings:
        findings.gave_up()
    return []


def project_of(document: Node, findings: Findings, root: str) -> Project | None:
    """The project that a document describes, or ``None`` with what is wrong in ``findings``."""
    try:
        project = _project(document, findings.file, root)
    except _Refused:
        from amsctl.manifests.explain import explain_whole

        explain_whole("project.v1", document, findings)
        return None
    _check_default(project, document, findings)
    for node in project.environments.values():
        assert isinstance(node, Map)
        for pos, wrong in _judge_addresses(node, _as_written):
            findings.add(wrong.code, wrong.what, pos, expected=wrong.expected, hint=wrong.hint)
    return project


def _check_default(project: Project, document: Node, findings: Findings) -> None:
    """The default environment must be one of the environments."""
    name = project.default_environment
    if name is None or name in project.environments:
        return
    close = nearest(name, project.environments)
    hint = f"did you mean {close}?" if close is not None else "name one of spec.environments"
    assert isinstance(document, Map)
    pos = pos_of(_map(document, "spec").entries["defaultEnvironment"][1])
    findings.add("default-environment", "the default environment is not among the environments", pos, found=name, hint=hint)


def _project(document: Node, file: str, root: str) -> Project:
    top = _mapping(document, ("apiVersion", "kind", "metadata", "spec"), ("apiVersion", "kind", "spec"))
    _word(top, "apiVersion", (API_VERSION,))
    _word(top, "kind", ("Project",))
    if "metadata" in top.entries:
        metadata = _mapping(top.entries["metadata"][1], ("name",))
        if "name" in metadata.entries and not _is_name(_scalar(metadata, "name")[0]):
            _refuse()
    spec = _mapping(
        top.entries["spec"][1],
        ("manifests", "ownership", "unsetMeans", "undeclared", "defaultEnvironment", "environments", "requests", "ledger", "guards"),
    )
    manifests = _sequence(spec, "manifests", 1000) or (((".", True, 0)),)
    ownership = _sequence(spec, "ownership", 2) or (("ef", True, 0), ("cmf", True, 0))
    if not all(word in ("ef", "cmf") for word, _, _ in ownership):
        _refuse()
    owned = {word for word, _, _ in ownership}
    return Project(
        root=root,
        source=source(file, document.pos if isinstance(document, Map) else 0),
        manifests=tuple(text for text, _, _ in manifests),
        manifests_sources=tuple(source(file, pos) if pos else None for _, _, pos in manifests),
        ownership=tuple(owner for owner in Owner if owner in owned),
        unset_means=UnsetMeans(_word(spec, "unsetMeans", tuple(UnsetMeans)) or UnsetMeans.UNLIMITED),
        undeclared=Undeclared(_word(spec, "undeclared", tuple(Undeclared)) or Undeclared.REPORT),
        default_environment=_free(spec, "defaultEnvironment"),
        environments=_environments(spec),
        requests=_requests(spec),
        ledger_url=_ledger(spec),
        guards_off=_word(spec, "guards", ("none",)) == "none",
    )


def _environments(spec: Map) -> Mapping[str, object]:
    if "environments" not in spec.entries:
        return {}
    node = spec.entries["environments"][1]
    if not isinstance(node, Map):
        _refuse()
    for name, (_, value) in node.entries.items():
        if not _is_environment(name):
            _refuse()
        _environment(name, value, _as_written, root="", place=None)
    return {name: value for name, (_, value) in node.entries.items()}


def _requests(spec: Map) -> Requests:
    node = _optional(
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
        concurrency=_whole(node, "concurrency", 1, 256, usual.concurrency),
        per_second=_rate(node, usual.per_second),
        timeout_seconds=_number(node, "timeoutSeconds", 3600, usual.timeout_seconds),
        deadline_seconds=_number(node, "deadlineSeconds", 86400, usual.deadline_seconds),
        settle_seconds=_number(node, "settleSeconds", 3600, usual.settle_seconds),
        rows_per_post=_whole(node, "rowsPerPost", 1, 20000, usual.rows_per_post),
        page_size=_whole(node, "pageSize", 1, 10000, usual.page_size),
        max_body_bytes=_whole(node, "maxBodyBytes", 1024, 1024**3, usual.max_body_bytes),
        retries=_whole(node, "retries", 0, 100, usual.retries),
    )


def _rate(node: Map, usual: float | None) -> float | None:
    if "perSecond" in node.entries and _scalar(node, "perSecond")[0] == "unlimited":
        return None
    return _number(node, "perSecond", 100_000, 0.0) if "perSecond" in node.entries else usual


def _ledger(spec: Map) -> str | None:
    if "ledger" not in spec.entries:
        return None
    text, _, _ = _scalar(_mapping(spec.entries["ledger"][1], ("url",), ("url",)), "url")
    if not _is_ledger(text):
        _refuse()
    return text


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


def resolve_ledger(project: Project, environ: Mapping[str, str]) -> Secret | None:
    """The ledger's address with ``${NAME}`` replaced, as a secret (it may hold a password); ``None`` when none is configured."""
    if project.ledger_url is None:
        return None
    place = (project.ledger_url, False, position(project.source.line, project.source.column))
    return Secret(_expand(place, project.source.file, environ, "the ledger"))


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
    keys = ("url", "auth", "protected", "tls", "proxy", "assumptions")
    mapping = _mapping(node, keys, ("url",))
    proxy = _address(mapping, "proxy", expand) if "proxy" in mapping.entries else None
    return Environment(
        name=name,
        url=_address(mapping, "url", expand).rstrip("/"),
        auth=_auth(mapping, expand),
        protected=_switch(mapping, "protected"),
        tls=_tls(mapping, expand, root),
        proxy=proxy,
        assumptions=_assumptions(mapping),
        source=place,
    )


def _auth(environment: Map, expand: Expand) -> Auth:
    if "auth" not in environment.entries:
        return Auth()
    keys = ("type", "clientId", "clientSecret", "tokenUrl", "logonPath")
    node = _mapping(environment.entries["auth"][1], keys, ("type",))
    kind = AuthType(_word(node, "type", tuple(AuthType)) or AuthType.NONE)
    needed = {AuthType.NONE: (), AuthType.OAUTH2: ("clientId", "clientSecret", "tokenUrl")}.get(kind, ("clientId", "clientSecret"))
    if not all(key in node.entries for key in needed):
        _refuse()
    secret = _expanded(node, "clientSecret", expand)
    logon_path = _expanded(node, "logonPath", expand)
    if logon_path is not None and not _is_path(_scalar(node, "logonPath")[0]):
        _refuse()
    return Auth(
        type=kind,
        client_id=_expanded(node, "clientId", expand),
        client_secret=Secret(secret) if secret is not None else None,
        token_url=_address(node, "tokenUrl", expand) if "tokenUrl" in node.entries else None,
        logon_path=logon_path if logon_path is not None else Auth().logon_path,
    )


def _tls(environment: Map, expand: Expand, root: str) -> Tls:
    node = _optional(environment, "tls", ("caFile", "certificateFile", "keyFile"))
    if "keyFile" in node.entries and "certificateFile" not in node.entries:
        _refuse()

    def path(key: str) -> str | None:
        text = _expanded(node, key, expand)
        return os.path.join(root, os.path.expanduser(text)) if text is not None else None

    return Tls(ca_file=path("caFile"), certificate_file=path("certificateFile"), key_file=path("keyFile"))


def _assumptions(environment: Map) -> Assumptions:
    node = _optional(environment, "assumptions", ("unlimitedAs", "firstOffset", "offsetCounts"))
    usual = Assumptions()
    return Assumptions(
        unlimited_as=UnlimitedAs(_word(node, "unlimitedAs", tuple(UnlimitedAs)) or usual.unlimited_as),
        first_offset=_whole(node, "firstOffset", 0, 1, usual.first_offset),
        offset_counts=OffsetCounts(_word(node, "offsetCounts", tuple(OffsetCounts)) or usual.offset_counts),
    )


def _judge_addresses(environment: Map, expand: Expand) -> list[tuple[int, Wrong]]:
    """What is wrong with the addresses of an environment, each with its place. A ``${NAME}`` that is not replaced yet is not judged."""
    auth = environment.entries["auth"][1] if "auth" in environment.entries else Map(0)
    assert isinstance(auth, Map)
    credentials = "type" in auth.entries and _scalar(auth, "type")[0] != "none"
    wrongs: list[tuple[int, Wrong]] = []
    sound: dict[str, str] = {}
    for holder, key in ((environment, "url"), (auth, "tokenUrl"), (environment, "proxy")):
        if key not in holder.entries:
            continue
        scalar = _scalar(holder, key)
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
            wrongs.append((_scalar(auth, "tokenUrl")[2], mixed))
    return wrongs


# --- decoding ---


def _refuse() -> NoReturn:
    raise _Refused


def _mapping(node: Node, known: tuple[str, ...], required: tuple[str, ...] = ()) -> Map:
    if not isinstance(node, Map) or not all(key in known for key in node.entries) or not all(key in node.entries for key in required):
        _refuse()
    return node


def _optional(node: Map, key: str, known: tuple[str, ...]) -> Map:
    return _mapping(node.entries[key][1], known) if key in node.entries else Map(0)


def _map(node: Map, key: str) -> Map:
    found = node.entries[key][1]
    assert isinstance(found, Map)
    return found


def _scalar(node: Map, key: str) -> Scalar:
    found = node.entries[key][1]
    if not isinstance(found, tuple):
        _refuse()
    return found


def _word(node: Map, key: str, words: tuple[str, ...]) -> str | None:
    if key not in node.entries:
        return None
    text = _scalar(node, key)[0]
    if text not in words:
        _refuse()
    return text


def _free(node: Map, key: str) -> str | None:
    """A text that is not empty."""
    if key not in node.entries:
        return None
    text = _scalar(node, key)[0]
    if not text:
        _refuse()
    return text


def _expanded(node: Map, key: str, expand: Expand) -> str | None:
    return expand(_scalar(node, key)) if _free(node, key) is not None else None


def _address(node: Map, key: str, expand: Expand) -> str:
    scalar = _scalar(node, key)
    if not _is_address(scalar[0]):
        _refuse()
    return expand(scalar)


def _sequence(node: Map, key: str, most: int) -> tuple[Scalar, ...]:
    """The texts of a sequence: at least one, none empty, none twice; nothing at all when it is not written."""
    if key not in node.entries:
        return ()
    found = node.entries[key][1]
    if not isinstance(found, Seq) or not 0 < len(found.items) <= most:
        _refuse()
    texts = tuple(item for item in found.items if isinstance(item, tuple) and item[0])
    if len({text for text, _, _ in texts}) < len(found.items):
        _refuse()
    return texts


def _switch(node: Map, key: str) -> bool:
    if key not in node.entries:
        return False
    text, plain, _ = _scalar(node, key)
    if not plain or text not in ("true", "false"):
        _refuse()
    return text == "true"


def _whole(node: Map, key: str, least: int, most: int, usual: int) -> int:
    if key not in node.entries:
        return usual
    text, plain, _ = _scalar(node, key)
    if not plain or not _is_whole(text) or not least <= int(text) <= most:
        _refuse()
    return int(text)


def _number(node: Map, key: str, most: float, usual: float) -> float:
    if key not in node.entries:
        return usual
    text, plain, _ = _scalar(node, key)
    if not plain or len(text) >= 20 or not _is_number(text) or not 0 < float(text) <= most:
        _refuse()
    return float(text)
