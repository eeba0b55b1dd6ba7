"""The strict decode and the JSON Schemas accept the same documents: one is fast, the other explains, and neither may know better."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amsctl.manifests import compile as compiled
from amsctl.manifests import identifiers, safeguards
from amsctl.manifests.explain import explain, instance_of, validator
from amsctl.manifests.findings import Findings
from amsctl.manifests.nodes import Map, Node, Seq
from amsctl.manifests.project import project_of
from amsctl.resources import schema
from tests.conftest import CAMPAIGN

WORDS = st.sampled_from(
    [
        *("", "5", "0", "010", "2147483647", "2147483648", "-1", "1.5", "0.5", "1e3", "true", "false", "null", "unlimited"),
        *("unset", "Active", "softs", "Inactive", "report", "ignore", "amsctl/v1", "Account", "LimitProfile", "Project"),
        *("3N1", "027", "a b", " a", "é", "ef", "cmf", "oauth2", "none", "basic", "session", "http://127.0.0.1/x"),
        *("https://h", "${A}", "ftp://x", "/logon", "blocked", "pages", "rows", "omit", "sqlite:///x", "postgresql://h/d"),
        *("..", "A.FUT.CME", "a\n", "99999999999999999999", "20", "1", "100000", "100001"),
        "x" * 65,
    ]
)
SCALAR = st.tuples(WORDS, st.booleans(), st.just(1))
AMOUNT = st.one_of(SCALAR, st.sampled_from(["0", "7", "2147483647", "unlimited"]).map(lambda text: (text, True, 1)))


def mapping(keys: st.SearchStrategy[str], values: st.SearchStrategy[Node], most: int = 3) -> st.SearchStrategy[Node]:
    def make(entries: dict[str, Node]) -> Node:
        node = Map(1)
        node.entries = {key: (1, value) for key, value in entries.items()}
        return node

    return st.dictionaries(keys, values, max_size=most).map(make)


def fixed(required: dict[str, st.SearchStrategy[Node]], optional: dict[str, st.SearchStrategy[Node]]) -> st.SearchStrategy[Node]:
    def make(entries: dict[str, Node]) -> Node:
        node = Map(1)
        node.entries = {key: (1, value) for key, value in entries.items()}
        return node

    return st.fixed_dictionaries(required, optional=optional).map(make)


def sequence(items: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    def make(found: list[Node]) -> Node:
        node = Seq(1)
        node.items = found
        return node

    return st.lists(items, max_size=3).map(make)


def word(*texts: str) -> st.SearchStrategy[Node]:
    return st.sampled_from(texts).map(lambda text: (text, True, 1))


def wild(usual: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    """Mostly what is meant, sometimes anything."""
    anything = st.one_of(SCALAR, mapping(WORDS, SCALAR), sequence(SCALAR))
    return st.integers(0, 24).flatmap(lambda chance: anything if chance == 0 else usual)


def keys(*good: str) -> st.SearchStrategy[str]:
    return st.integers(0, 24).flatmap(lambda chance: WORDS if chance == 0 else st.sampled_from(good))


SIDE = wild(mapping(keys("long", "short"), wild(AMOUNT), 2))
ROW = wild(st.one_of(word("unset"), mapping(keys("ef", "cmf"), SIDE, 2)))
LIMITS = wild(mapping(keys("A.FUT.CME", "6E.OOF.CME", "1E3.FUT.X"), ROW))
FIRM = wild(
    fixed({}, {"suspended": wild(word("true", "false")), "profiles": wild(sequence(wild(word("softs", "027", "NO")))), "limits": LIMITS})
)
ACCOUNT = wild(
    fixed(
        {
            "apiVersion": wild(word("amsctl/v1")),
            "kind": word("Account"),
            "metadata": wild(
                fixed(
                    {"clearingFirm": wild(word("780", "G T")), "accountNumber": wild(word("A1", "1E3"))},
                    {"labels": wild(mapping(keys("desk", "a b"), wild(word("x", "NO"))))},
                )
            ),
            "spec": wild(
                fixed(
                    {},
                    {
                        "status": wild(word("Active", "Inactive")),
                        "undeclared": wild(word("ignore", "report", "unset")),
                        "executionFirms": wild(mapping(keys("3N1", "027", "1E3"), FIRM)),
                    },
                )
            ),
        },
        {},
    )
)
PROFILE = wild(
    fixed(
        {
            "apiVersion": wild(word("amsctl/v1")),
            "kind": word("LimitProfile"),
            "metadata": wild(fixed({"name": wild(word("softs", "NO"))}, {})),
            "spec": wild(fixed({"limits": LIMITS}, {})),
        },
        {},
    )
)
TEXT = wild(word("x", "${A}", "5"))
URL = wild(word("https://h/x", "http://127.0.0.1", "https://${A}/x", "${A}/x"))
AUTH = fixed(
    {"type": wild(word("none", "basic", "oauth2", "session"))},
    {"clientId": TEXT, "clientSecret": TEXT, "tokenUrl": URL, "logonPath": wild(word("/x", "${A}"))},
)
WINDOW = fixed(
    {"name": wild(word("w", "5")), "effect": wild(word("allow", "deny")), "timeZone": wild(word("UTC", "America/Chicago", "X/Y", "a b"))},
    {
        "applies": wild(word("all", "loosen")),
        "weekly": wild(
            fixed(
                {"from": wild(word("Mon 07:00", "07:00", "7:00")), "to": wild(word("Fri 17:00", "24:00", "07:00"))},
                {"days": wild(sequence(wild(word("Mon", "Tue", "Mo"))))},
            )
        ),
        "environments": wild(sequence(wild(word("e", "f")))),
    },
)
RECURRING = fixed(
    {
        "name": wild(word("w", "v")),
        "effect": wild(word("deny")),
        "timeZone": wild(word("UTC")),
        "rrule": wild(word("FREQ=DAILY", "FREQ=HOURLY")),
        "start": wild(word("2026-01-05T08:00", "2026-13-05T08:00", "2026-01-05T08:00:30", "2026-01-05")),
    },
    {"duration": wild(word("PT45M", "P1D", "P1Y", "P", "PT0S")), "weekly": wild(word("x"))},
)
NUMBER = wild(st.one_of(SCALAR, word("1", "20", "0.5", "256")))
ENVIRONMENT = fixed(
    {"url": URL},
    {
        "auth": wild(AUTH),
        "protected": wild(word("true", "false")),
        "calendar": wild(word("cme", "none")),
        "proxy": URL,
        "tls": wild(fixed({}, {"caFile": TEXT, "certificateFile": TEXT, "keyFile": TEXT})),
        "assumptions": wild(
            fixed({}, {"unlimitedAs": wild(word("null", "omit")), "firstOffset": wild(word("0", "1")), "offsetCounts": wild(word("pages"))})
        ),
    },
)
REQUESTS = fixed(
    {},
    dict.fromkeys(
        ["concurrency", "perSecond", "timeoutSeconds", "deadlineSeconds", "settleSeconds", "rowsPerPost", "pageSize", "retries"], NUMBER
    )
    | {"maxBodyBytes": wild(word("1024", "5"))},
)
THRESHOLD = wild(
    fixed({}, {"percent": wild(word("50", "101")), "amount": NUMBER, "op": wild(word("and", "or")), "factor": wild(word("2"))})
)
GUARDS = mapping(keys("raised", "rowsUnset", "protected"), wild(st.one_of(word("none"), THRESHOLD, sequence(THRESHOLD))), 2)
POLICY = fixed(
    {"name": wild(word("p", "5"))},
    {
        "maximum": wild(
            fixed(
                {"contracts": NUMBER},
                {
                    "products": wild(sequence(wild(word("*.OOF.CBT", "[a]")))),
                    "types": wild(sequence(wild(word("FUT", "5", "fut")))),
                    "labels": wild(mapping(keys("desk", "a=b"), wild(word("softs")), 2)),
                    "owner": wild(word("ef", "all")),
                },
            )
        ),
        "ticket": wild(fixed({}, {"keys": wild(sequence(wild(word("RISK", "risk")))), "applies": wild(word("all", "loosen"))})),
        "noLoosening": wild(fixed({"days": wild(sequence(wild(word("Fri", "Fry")))), "timeZone": wild(word("UTC", "X/Y", "a b"))}, {})),
        "environments": wild(sequence(wild(word("e", "f")))),
    },
)
APPROVALS = fixed(
    {},
    {
        "from": wild(word("signatures", "github", "gitlab", "email")),
        "signers": wild(word("approvers", "a/b", "../a", "a..b")),
        "approvers": wild(sequence(wild(word("sam", "@sam")))),
        "validHours": NUMBER,
        "verdict": wild(word("true", "false")),
        "environments": wild(sequence(wild(word("e", "f")))),
        "rules": wild(
            sequence(
                wild(fixed({"approvals": NUMBER}, {"applies": wild(word("all", "overridden", "x")), "factor": NUMBER, "lots": NUMBER}))
            )
        ),
    },
)
PROJECT = wild(
    fixed(
        {
            "apiVersion": wild(word("amsctl/v1")),
            "kind": wild(word("Project")),
            "spec": wild(
                fixed(
                    {},
                    {
                        "manifests": wild(sequence(wild(word("a", "b", "c")))),
                        "ownership": wild(sequence(wild(word("ef", "cmf")))),
                        "unsetMeans": wild(word("unlimited", "blocked")),
                        "undeclared": wild(word("report")),
                        "environments": wild(mapping(keys("e", "sand-box"), wild(ENVIRONMENT), 2)),
                        "requests": wild(REQUESTS),
                        "ledger": wild(fixed({}, {"url": wild(word("sqlite:///x", "postgresql://h")), "leaseSeconds": NUMBER})),
                        "windows": wild(sequence(wild(st.one_of(WINDOW, RECURRING)))),
                        "guards": wild(st.one_of(word("none"), GUARDS)),
                        "policies": wild(sequence(wild(POLICY))),
                        "approvals": wild(st.one_of(word("github", "email"), APPROVALS)),
                    },
                )
            ),
        },
        {"metadata": wild(fixed({}, {"name": wild(word("x"))}))},
    )
)
SETTINGS = settings(
    max_examples=300 if CAMPAIGN == 1 else 1500 * CAMPAIGN, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def findings_of(refused: list[compiled.Refused]) -> Findings:
    findings = Findings("a.yaml")
    for part in refused:
        explain(part, findings)
    return findings


@pytest.mark.no_cover
@SETTINGS
@given(ACCOUNT)
def test_accounts_are_accepted_by_both_or_by_neither(document: Node) -> None:
    """The strict decode of an account accepts what account.v1 accepts; what it refuses, the schema explains."""
    if not isinstance(document, Map) or compiled.kind_of(document) != "Account":
        return
    refused: list[compiled.Refused] = []
    record = compiled.account(document, refused)
    assert (record is not None) == validator("account.v1").is_valid(instance_of(document)) == (not refused)
    codes = [one.code for one in findings_of(refused).items]
    assert bool(codes) == bool(refused)
    assert "refused" not in codes


@pytest.mark.no_cover
@SETTINGS
@given(PROFILE)
def test_profiles_are_accepted_by_both_or_by_neither(document: Node) -> None:
    """The strict decode of a profile accepts what limitprofile.v1 accepts, and so does account.v1, beside which it may stand."""
    if not isinstance(document, Map) or compiled.kind_of(document) != "LimitProfile":
        return
    refused: list[compiled.Refused] = []
    record = compiled.profile(document, refused)
    assert (record is not None) == validator("limitprofile.v1").is_valid(instance_of(document)) == (not refused)
    assert validator("account.v1").is_valid(instance_of(document)) == (record is not None)
    codes = [one.code for one in findings_of(refused).items]
    assert bool(codes) == bool(refused)
    assert "refused" not in codes


@pytest.mark.no_cover
@SETTINGS
@given(PROJECT)
def test_projects_are_accepted_by_both_or_by_neither(document: Node) -> None:
    """The strict decode of a project file accepts what project.v1 accepts, before its meaning is looked at."""
    findings = Findings("amsctl.yaml")
    project = project_of(document, findings, "/")
    assert (project is not None) == validator("project.v1").is_valid(instance_of(document))
    assert "refused" not in [one.code for one in findings.items]
    assert project is not None or findings.items


PATTERNS = ("PRODUCT_PATTERN", "TYPE", "TICKET_KEY", "SIGNERS_PATH", "LOGIN")


def patterns(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
        return own.union(*(patterns(value) for value in node.values()))
    return set().union(*(patterns(item) for item in node)) if isinstance(node, list) else set()


def test_the_schemas_hold_the_patterns_of_the_code() -> None:
    """A pattern is written in two places; they are the same."""
    own = {value for name, value in vars(identifiers).items() if name.isupper() and isinstance(value, str)}
    assert patterns(schema("account.v1")) == own - {identifiers.ENVIRONMENT}
    assert patterns(schema("limitprofile.v1")) <= own
    assert patterns(schema("project.v1")) & own == {identifiers.ENVIRONMENT, identifiers.NAME, identifiers.LABEL_KEY}
    assert patterns(schema("project.v1")) >= {value for name, value in vars(safeguards).items() if name in PATTERNS}


def test_the_two_schemas_of_manifests_say_the_same() -> None:
    """limitprofile.v1 repeats definitions of account.v1, because each must stand alone in an editor."""
    ours, theirs = schema("limitprofile.v1")["definitions"], schema("account.v1")["definitions"]
    assert ours == {name: theirs[name] for name in ours}


def test_an_editor_that_types_scalars_accepts_what_amsctl_accepts() -> None:
    """A YAML language server sees 027 as a number: the plain schema does not flag it."""
    import jsonschema

    document = {
        "apiVersion": "amsctl/v1",
        "kind": "Account",
        "metadata": {"clearingFirm": 780, "accountNumber": 27, "labels": {"desk": True}},
        "spec": {
            "executionFirms": {
                "027": {"suspended": True, "profiles": [12], "limits": {"A.FUT.CME": {"ef": {"long": 5, "short": "unlimited"}}}}
            }
        },
    }
    for name in ("account.v1", "limitprofile.v1", "project.v1"):
        jsonschema.Draft7Validator.check_schema(schema(name))
    jsonschema.Draft7Validator(schema("account.v1")).validate(document)
    assert re.fullmatch(identifiers.EXECUTION_FIRM, "027")
