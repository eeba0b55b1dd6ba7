"""The project file and its environments: what may stand there, what is read from the environment, and what is never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from amsctl.config import (
    USUAL_GUARDS,
    Applies,
    ApprovalRule,
    Approvals,
    ApprovalSource,
    Assumptions,
    AuthType,
    Calendar,
    LedgerSettings,
    MakersFrom,
    Maximum,
    NoLoosening,
    OffsetCounts,
    Policy,
    Project,
    Requests,
    Secret,
    TicketNeeded,
    UnlimitedAs,
    UnlimitedShownAs,
    Weekday,
)
from amsctl.diagnostics import Source
from amsctl.errors import ConfigError, ManifestErrors
from amsctl.manifests.project import load_project, names_of, resolve_address, resolve_environment, resolve_ledger
from amsctl.model import Owner, Undeclared, UnsetMeans
from tests.hostile.canaries import CANARIES

HEAD = "apiVersion: amsctl/v1\nkind: Project\n"


def loaded(root: Path, spec: str) -> Project:
    (root / "amsctl.yaml").write_text(f"{HEAD}spec:{spec}\n")
    return load_project(root)


def with_environment(root: Path, environment: str) -> Project:
    return loaded(root, f"\n  environments:\n    e: {environment}")


def codes(root: Path, spec: str) -> list[tuple[str, int, int]]:
    with pytest.raises(ManifestErrors) as caught:
        loaded(root, spec)
    return [(one.code, one.source.line, one.source.column) for one in caught.value.diagnostics]


FULL = """
  manifests: [accounts, "halts"]
  ownership: [cmf]
  unsetMeans: blocked
  undeclared: unset
  defaultEnvironment: b
  environments:
    a: {url: "https://h.example/rest/v2/"}
    b:
      url: https://x.example/rest/v2
      auth: {type: session, clientId: "API_${WHO}", clientSecret: "${SECRET}", logonPath: /in}
      protected: true
      tls: {caFile: ca.pem, certificateFile: /c.pem, keyFile: k.pem}
      proxy: http://127.0.0.1:3128
      assumptions: {unlimitedAs: "null", firstOffset: 0, offsetCounts: rows}
  requests: {concurrency: 2, perSecond: unlimited, timeoutSeconds: 0.5, deadlineSeconds: 9, settleSeconds: 1, rowsPerPost: 7, pageSize: 3,
    maxBodyBytes: 2048, retries: 0}
  ledger: {url: "postgresql://u:${SECRET}@h/d", leaseSeconds: 2}
  guards: none"""


def test_every_key_of_the_contract_arrives(tmp_path: Path) -> None:
    """Contract 1: each setting reaches its value."""
    project = loaded(tmp_path, FULL)
    assert project.root == str(tmp_path.resolve())
    assert project.manifests == ("accounts", "halts")
    assert project.manifests_sources == (Source("amsctl.yaml", 4, 15), Source("amsctl.yaml", 4, 25))
    assert (project.ownership, project.unset_means, project.undeclared) == ((Owner.CMF,), UnsetMeans.BLOCKED, Undeclared.UNSET)
    assert project.guards == {}
    assert project.requests == Requests(
        concurrency=2,
        per_second=None,
        timeout_seconds=0.5,
        deadline_seconds=9,
        settle_seconds=1,
        rows_per_post=7,
        page_size=3,
        max_body_bytes=2048,
        retries=0,
    )
    chosen = resolve_environment(project, None, {"WHO": "me", "SECRET": CANARIES["the session password"]})
    assert (chosen.name, chosen.url, chosen.protected, chosen.proxy) == ("b", "https://x.example/rest/v2", True, "http://127.0.0.1:3128")
    assert (chosen.auth.type, chosen.auth.client_id, chosen.auth.client_secret) == (
        AuthType.SESSION,
        "API_me",
        Secret(CANARIES["the session password"]),
    )
    assert chosen.auth.logon_path == "/in"
    assert (chosen.tls.ca_file, chosen.tls.certificate_file) == (str(tmp_path.resolve() / "ca.pem"), "/c.pem")
    assert chosen.tls.written == {}
    assert chosen.assumptions == Assumptions(unlimited_as=UnlimitedAs.NULL, first_offset=0, offset_counts=OffsetCounts.ROWS)
    assert chosen.source == Source("amsctl.yaml", 12, 7)
    assert resolve_environment(project, "a", {}).url == "https://h.example/rest/v2"
    assert resolve_ledger(project, {"SECRET": "p"}) == Secret("postgresql://u:p@h/d")
    assert (project.ledger.lease_seconds, project.ledger.source) == (2, Source("amsctl.yaml", 20, 17))


def test_what_is_not_written_has_its_default(tmp_path: Path) -> None:
    """Contract 1: the defaults, of which unsetMeans is the dangerous reading."""
    project = loaded(tmp_path, " {}")
    assert (project.manifests, project.ownership) == ((".",), (Owner.EF, Owner.CMF))
    assert (project.unset_means, project.undeclared, project.guards) == (UnsetMeans.UNLIMITED, Undeclared.REPORT, USUAL_GUARDS)
    assert (project.requests, project.ledger, project.windows) == (Requests(), LedgerSettings(), ())
    assert resolve_ledger(project, {}) == Secret(f"sqlite:///{tmp_path.resolve()}/.amsctl/ledger.db")
    with pytest.raises(ConfigError, match="no environment"):
        resolve_environment(project, None, {})


def test_an_environment_is_chosen_by_name_default_or_being_the_only_one(tmp_path: Path) -> None:
    """-e wins over the default; without either, one environment is enough and two are not."""
    two = "\n  environments: {one: {url: 'https://a'}, two: {url: 'https://b'}}"
    project = loaded(tmp_path, two)
    assert resolve_environment(project, "two", {}).url == "https://b"
    with pytest.raises(ConfigError, match=r"no environment is chosen.*one, two"):
        resolve_environment(project, None, {})
    with pytest.raises(ConfigError, match=r"no environment is called tow.*did you mean two"):
        resolve_environment(project, "tow", {})
    with pytest.raises(ConfigError, match="no environment is called zzzz"):
        resolve_environment(project, "zzzz", {})
    assert resolve_environment(with_environment(tmp_path, "{url: 'https://a'}"), None, {}).name == "e"
    assert resolve_environment(loaded(tmp_path, two + "\n  defaultEnvironment: two"), None, {}).name == "two"


# --- ${NAME} ---


def test_missing_variables_are_named_with_their_place_and_only_where_chosen(tmp_path: Path) -> None:
    """Contract 1: a missing variable is an error that names it; one of another environment is not asked for."""
    project = loaded(tmp_path, FULL)
    with pytest.raises(ConfigError) as caught:
        resolve_environment(project, "b", {"SECRET": "hush"})
    assert "WHO" in str(caught.value)
    assert "amsctl.yaml:13:39" in str(caught.value)
    assert "hush" not in str(caught.value)
    with pytest.raises(ConfigError, match="WHO, SECRET"):
        resolve_environment(project, "b", {})
    with pytest.raises(ConfigError, match="SECRET"):
        resolve_ledger(project, {})


@pytest.mark.parametrize(("value", "word"), [("", "empty"), ("hush\n", "cannot be printed"), ("hu\x1bsh", "cannot be printed")])
def test_a_variable_that_cannot_be_a_value_is_refused_unseen(value: str, word: str, tmp_path: Path) -> None:
    """An empty secret or one with a line end is a mistake; it is never repeated."""
    project = with_environment(tmp_path, '{url: "https://h", auth: {type: basic, clientId: i, clientSecret: "${S}"}}')
    with pytest.raises(ConfigError, match=word) as caught:
        resolve_environment(project, None, {"S": value})
    assert "hu" not in str(caught.value).replace("environment", "")


@pytest.mark.parametrize("text", ["${A-B}", "${", "${}", "x${1A}", "${A"])
def test_a_dollar_brace_that_names_nothing_is_refused(text: str, tmp_path: Path) -> None:
    """A misspelled reference must not be sent as a password."""
    project = with_environment(tmp_path, f'{{url: "https://h", auth: {{type: basic, clientId: i, clientSecret: "{text}"}}}}')
    with pytest.raises(ConfigError, match="names no environment variable"):
        resolve_environment(project, None, {"A": "x", "B": "y"})


def test_a_value_is_not_looked_into_again_and_other_places_are_not_replaced(tmp_path: Path) -> None:
    """${NAME} is read inside environments and ledger only, once."""
    project = loaded(tmp_path, '\n  manifests: ["${A}"]\n  environments: {e: {url: "https://h", auth: {type: none, clientId: "${A}"}}}')
    assert project.manifests == ("${A}",)
    assert resolve_environment(project, None, {"A": "${B}", "B": "x"}).auth.client_id == "${B}"


def test_no_secret_is_in_any_message_or_text(tmp_path: Path) -> None:
    """Contract 1: a secret never appears, not even where the project file is wrong."""
    spec = "\n  environments:\n    e:\n      url: hush1\n      auth: {type: basic, clientId: [hush2], clientSecret: {a: hush3}, tokenUrl: hush4}\n"
    spec += "      proxy: hush5"
    spec += "\n  ledger: {url: hush6}"
    with pytest.raises(ManifestErrors) as caught:
        loaded(tmp_path, spec)
    said = " ".join(one.message for one in caught.value.diagnostics)
    assert len(caught.value.diagnostics) == 6
    assert "hush" not in said
    project = with_environment(tmp_path, '{url: "https://h", auth: {type: basic, clientId: i, clientSecret: hush}}')
    assert "hush" not in repr(resolve_environment(project, None, {}))


# --- the ledger ---


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("sqlite:///.amsctl/ledger.db", "sqlite:///{root}/.amsctl/ledger.db"),
        ("sqlite:///a/../b.db", "sqlite:///{root}/b.db"),
        ("sqlite:////var/lib/amsctl.db", "sqlite:////var/lib/amsctl.db"),
        ("sqlite:///${PLACE}/l.db", "sqlite:////srv/x/l.db"),
        ("${WHOLE}", "postgresql://u:hush@h/d?sslmode=require"),
    ],
)
def test_the_ledger_of_a_file_has_an_absolute_path(url: str, wanted: str, tmp_path: Path) -> None:
    """Whoever opens it stands somewhere else; a relative path begins where amsctl.yaml stands."""
    project = loaded(tmp_path, f"\n  ledger: {{url: '{url}'}}")
    environ = {"PLACE": "/srv/x", "WHOLE": "postgresql://u:hush@h/d?sslmode=require"}
    assert resolve_ledger(project, environ) == Secret(wanted.format(root=tmp_path.resolve()))
    assert "hush" not in repr(project)


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:", "sqlite:///folder/", "sqlite:///hush?mode=ro", "sqlite:///hush#x"])
@pytest.mark.parametrize("written", [True, False])
def test_a_ledger_that_keeps_nothing_is_refused_unseen(url: str, written: bool, tmp_path: Path) -> None:
    """No file, a folder, memory, or options that could switch durability off; the text is never repeated."""
    project = loaded(tmp_path, f"\n  ledger: {{url: '{url if written else '${U}'}'}}")
    with pytest.raises(ConfigError, match="address of the ledger cannot be used") as caught:
        resolve_ledger(project, {"U": url})
    assert caught.value.where == "amsctl.yaml:4:17"
    assert "hush" not in str(caught.value)


def test_a_variable_that_is_no_ledger_is_refused_unseen(tmp_path: Path) -> None:
    """What a variable holds is judged like what is written."""
    project = loaded(tmp_path, "\n  ledger: {url: '${U}'}")
    with pytest.raises(ConfigError) as caught:
        resolve_ledger(project, {"U": "mysql://hush"})
    assert "hush" not in str(caught.value)
    assert resolve_ledger(project, {}) == Secret(f"sqlite:///{tmp_path.resolve()}/.amsctl/ledger.db")


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ("ledger: {}", 120),
        ("ledger: {leaseSeconds: 61}", 61),
        ("ledger: {leaseSeconds: 3.5}\n  requests: {timeoutSeconds: 1.25}", 3.5),
        ("requests: {timeoutSeconds: 59}", 120),
        ("requests: {timeoutSeconds: 100}", 201),
        ("requests: {timeoutSeconds: 100}\n  ledger: {url: 'sqlite:///x'}", 201),
    ],
)
def test_a_lease_outlasts_a_call(spec: str, seconds: float, tmp_path: Path) -> None:
    """The default grows with the timeout: who writes no lease is not told of one."""
    assert loaded(tmp_path, f"\n  {spec}").ledger.lease_seconds == seconds


def test_a_lease_that_a_call_could_outlast_is_refused(tmp_path: Path) -> None:
    """A POST must be over before somebody else may write."""
    with pytest.raises(ManifestErrors) as caught:
        loaded(tmp_path, "\n  requests: {timeoutSeconds: 30}\n  ledger: {leaseSeconds: 60.9}")
    (found,) = caught.value.diagnostics
    assert (found.code, found.source) == ("lease", Source("amsctl.yaml", 5, 26))
    assert (found.expected, found.found) == ("at least 61, twice requests.timeoutSeconds and 1 s", "60.9")
    assert "over before the lease is" in str(found.hint)


# --- the calendar ---


@pytest.mark.parametrize(
    ("environment", "calendar"),
    [
        ("{url: 'https://amsapinr.cmegroup.com/rest/v2'}", Calendar.CME),
        ("{url: 'https://AMSAPI.CMEGROUP.COM.:8443/rest/v2'}", Calendar.CME),
        ("{url: 'https://cmegroup.com/rest/v2'}", Calendar.CME),
        ("{url: 'https://amsapi.cmegroup.com/rest/v2', calendar: none}", Calendar.NONE),
        ("{url: 'https://notcmegroup.com/rest/v2'}", Calendar.NONE),
        ("{url: 'https://cmegroup.com.example/rest/v2'}", Calendar.NONE),
        ("{url: 'https://example/amsapi.cmegroup.com'}", Calendar.NONE),
        ("{url: 'http://127.0.0.1:8480/rest/v2'}", Calendar.NONE),
        ("{url: 'http://127.0.0.1:8480/rest/v2', calendar: cme}", Calendar.CME),
    ],
)
def test_the_calendar_is_cmes_on_cmes_hosts_and_a_setting_elsewhere(environment: str, calendar: Calendar, tmp_path: Path) -> None:
    """The sandbox and the demo work at the weekend."""
    chosen = resolve_environment(with_environment(tmp_path, environment), None, {})
    assert chosen.calendar is calendar


# --- addresses ---

NR, PRODUCTION = "https://authnr.cmegroup.com/as/token.oauth2", "https://auth.cmegroup.com/as/token.oauth2"


@pytest.mark.parametrize(
    ("url", "token", "mixed"),
    [
        ("https://amsapinr.cmegroup.com/rest/v2", NR, False),
        ("https://amsapinr.cmegroup.com/rest/v2", PRODUCTION, True),
        ("https://AMSAPINR.CMEGROUP.COM./rest/v2", PRODUCTION, True),
        ("https://amsapi.cmegroup.com/rest/v2", NR, True),
        ("https://amsapi.cmegroup.com/rest/v2", PRODUCTION, False),
        ("https://amsapinr.cmegroup.com.example/rest/v2", PRODUCTION, False),
        ("http://127.0.0.1:8480/rest/v2", NR, False),
        ("https://amsapinr.cmegroup.com/rest/v2", "https://own.example/token", False),
    ],
)
def test_new_release_and_production_are_never_mixed(url: str, token: str, mixed: bool, tmp_path: Path) -> None:
    """AMS 2: API IDs are per environment."""
    auth = "type: oauth2, clientId: i, clientSecret: s"
    if mixed:
        assert (
            codes(tmp_path, f"\n  environments:\n    e: {{url: '{url}', auth: {{{auth}, tokenUrl: '{token}'}}}}")[0][0]
            == "mixed-environments"
        )
    else:
        with_environment(tmp_path, f"{{url: '{url}', auth: {{{auth}, tokenUrl: '{token}'}}}}")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://ams.example/rest", "insecure"),
        ("http://10.0.0.1/rest", "insecure"),
        ("http://127.0.0.1.example/rest", "insecure"),
        ("https://u:p@h/rest", "url-credentials"),
        ("https://u@h/rest", "url-credentials"),
        ("https://h/rest?x=1", "url"),
        ("https://h/rest?", "url"),
        ("https://h/rest#x", "url"),
        ("https://h:x/rest", "url"),
        ("https://h:99999/rest", "url"),
        ("https://[::1/rest", "url"),
        ("https:///rest", "url"),
        ("https://h/re st", "url"),
        ("https://h\\@evil/rest", "url"),
        ("https://hé/rest", "url"),
        ("ftp://h/rest", "url"),
        ("h/rest", "url"),
        ("", "length"),
    ],
)
def test_an_address_that_would_leak_is_refused(url: str, code: str, tmp_path: Path) -> None:
    """Credentials go over https or stay on this machine; an address holds none, and no query or fragment."""
    auth = "auth: {type: basic, clientId: i, clientSecret: s}"
    found = codes(tmp_path, f"\n  environments:\n    e: {{url: '{url}', {auth}}}")
    assert found[0] == (code, 5, 14)


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ("{url: 'https://${HOST}/rest'}", "url"),
        ("{url: '${URL}'}", "url"),
        ("{url: 'https://h/${TOKEN}'}", "url"),
        ("{url: 'https://h', auth: {type: oauth2, clientId: i, clientSecret: s, tokenUrl: 'https://h/${TOKEN}'}}", "url"),
        ("{url: 'https://h', auth: {type: session, clientId: i, clientSecret: s, logonPath: '/in/${TOKEN}'}}", "logon-path"),
        ("{url: 'https://h', proxy: 'http://${HOST}:3128'}", "url"),
        ("{url: 'https://h', proxy: 'http://u:p@h/${TOKEN}'}", "url"),
        ("{url: 'https://h', proxy: 'http://u:p@${HOST}'}", "url"),
    ],
)
def test_a_variable_never_stands_in_a_host_or_a_path(environment: str, code: str, tmp_path: Path) -> None:
    """What a variable of the job holds would be sent there."""
    (found,) = codes(tmp_path, f"\n  environments:\n    e: {environment}")
    assert found[0] == code


def test_what_a_variable_holds_is_shown_only_where_it_is_an_api_id(tmp_path: Path) -> None:
    """A plan names the API ID; a token that stands in its place is not shown."""
    project = with_environment(tmp_path, "{url: 'https://h', auth: {type: basic, clientId: '${ID}', clientSecret: s}}")
    assert resolve_environment(project, None, {"ID": "API_FIRM"}).auth.principal == "API_FIRM"
    hidden = resolve_environment(project, None, {"ID": "ghs_hush"}).auth
    assert (hidden.principal, hidden.client_id) == ("${ID}", "ghs_hush")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8480/rest", "http://localhost/r", "http://[::1]:1/r", "http://a.localhost/r", "https://h.example/r"]
)
def test_an_address_that_leaks_nothing_is_accepted(url: str, tmp_path: Path) -> None:
    """The sandbox on this machine needs no TLS."""
    project = with_environment(tmp_path, f"{{url: '{url}', auth: {{type: basic, clientId: i, clientSecret: s}}}}")
    assert resolve_environment(project, None, {}).url == url


def test_without_credentials_http_is_allowed_anywhere(tmp_path: Path) -> None:
    """Nothing secret is sent."""
    assert with_environment(tmp_path, "{url: 'http://sandbox.example/rest', auth: {type: none}}").environments


# --- wrong project files ---


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (" {policies: []}", ("length", 3, 18)),
        (" {policies: [{name: a}]}", ("policy", 3, 19)),
        (" {policies: [{name: a, ticket: {keys: [RISK]}, maximum: {contracts: 1}}]}", ("policy", 3, 19)),
        (" {policies: [{name: a, maximum: {}}]}", ("missing-key", 3, 29)),
        (" {policies: [{name: a, maximum: {contracts: unlimited}}]}", ("type", 3, 50)),
        (" {policies: [{name: a, maximum: {contracts: 1, products: ['Z[C].FUT']}}]}", ("product-pattern", 3, 64)),
        (" {policies: [{name: a, maximum: {contracts: 1, types: [fut]}}]}", ("segment-type", 3, 61)),
        (" {policies: [{name: a, maximum: {contracts: 1, labels: {}}}]}", ("length", 3, 61)),
        (" {policies: [{name: a, maximum: {contracts: 1, labels: {a=b: c}}}]}", ("label", 3, 62)),
        (" {policies: [{name: a, ticket: {keys: [risk]}}]}", ("ticket-key", 3, 45)),
        (" {policies: [{name: a, noLoosening: {days: [Fri]}}]}", ("missing-key", 3, 29)),
        (" {policies: [{name: a, noLoosening: {days: [Friday], timeZone: UTC}}]}", ("choice", 3, 50)),
        (" {policies: [{name: a, noLoosening: {days: [Fri], timeZone: Mars/Olympus}}]}", ("time-zone", 3, 66)),
        (" {policies: [{name: a, ticket: {keys: [RISK]}}, {name: a, ticket: {keys: [RISK]}}]}", ("repeated", 3, 61)),
        (" {policies: [{name: a, ticket: {keys: [RISK]}, environments: [x]}]}", ("environment", 3, 68)),
        (" {approvals: email}", ("choice", 3, 19)),
        (" {approvals: github}", ("choice", 3, 19)),
        (" {approvals: {from: github}}", ("approvals", 3, 19)),
        (" {approvals: {makers: forge}}", ("approvals", 3, 19)),
        (" {approvals: {makers: guessed}}", ("choice", 3, 28)),
        (" {policies: [{name: a, ticket: {}}]}", ("missing-key", 3, 29)),
        (" {baseBranch: main~1}", ("branch", 3, 20)),
        (" {baseBranch: --upload-pack=x}", ("branch", 3, 20)),
        (" {baseBranch: a..b}", ("branch", 3, 20)),
        (" {planValid: 169}", ("bounds", 3, 19)),
        (" {guardsAgainst: {days: -1}}", ("bounds", 3, 30)),
        (" {ledger: {ephemeral: true}}", ("choice", 3, 28)),
        (' {environments: {e: {url: "https://h", ams: "a b"}}}', ("name", 3, 50)),
        (' {environments: {e: {url: "https://h", assumptions: {unlimitedShownAs: none}}}}', ("choice", 3, 77)),
        (" {approvals: {from: github, signers: a}}", ("approvals", 3, 19)),
        (" {approvals: {approvers: [sam]}}", ("approvals", 3, 19)),
        (" {approvals: {from: gitlab, approvers: ['@sam']}}", ("login", 3, 46)),
        (" {approvals: {signers: ../approvers}}", ("path", 3, 29)),
        (" {approvals: {validHours: 169}}", ("bounds", 3, 32)),
        (" {approvals: {rules: []}}", ("length", 3, 27)),
        (" {approvals: {rules: [{factor: 2}]}}", ("missing-key", 3, 28)),
        (" {approvals: {rules: [{approvals: 1, factor: 2, lots: 2}]}}", ("length", 3, 28)),
        (" {approvals: {rules: [{approvals: 1, applies: never}]}}", ("choice", 3, 52)),
        (" {approvals: {environments: [x]}}", ("environment", 3, 35)),
        (" {windows: []}", ("length", 3, 17)),
        (" {guards: all}", ("choice", 3, 16)),
        (" {guards: {}}", ("length", 3, 16)),
        (" {guards: {raised: all}}", ("choice", 3, 25)),
        (" {guards: {raised: []}}", ("length", 3, 25)),
        (" {guards: {raised: {}}}", ("threshold", 3, 17)),
        (" {guards: {raised: {factor: 2}}}", ("threshold", 3, 17)),
        (" {guards: {raised: {amount: 1, op: and}}}", ("missing-key", 3, 17)),
        (" {guards: {raised: {amount: 1, percent: 101}}}", ("bounds", 3, 46)),
        (" {guards: {raised: {amount: -1}}}", ("bounds", 3, 34)),
        (" {guards: {raised: [{amount: 1}, {amount: 1, op: xor}]}}", ("choice", 3, 55)),
        (" {guards: {rowsUnset: {factor: 2, amount: 1}}}", ("unknown-key", 3, 29)),
        (" {guards: {rowsunset: none}}", ("unknown-key", 3, 17)),
        (" {manifests: accounts}", ("type", 3, 19)),
        (" {manifests: []}", ("length", 3, 19)),
        (" {manifests: [a, a]}", ("repeated", 3, 23)),
        (' {manifests: [""]}', ("length", 3, 20)),
        (" {ownership: [me]}", ("choice", 3, 20)),
        (" {ownership: []}", ("length", 3, 19)),
        (" {unsetMeans: zero}", ("choice", 3, 20)),
        (" {defaultEnvironment: x}", ("default-environment", 3, 28)),
        (" {defaultEnvironment: y, environments: {yy: {url: 'https://h'}}}", ("default-environment", 3, 28)),
        (" {environments: {}, x: 1}", ("unknown-key", 3, 26)),
        (" {environments: {'a b': {url: 'https://h'}}}", ("environment", 3, 23)),
        (" {environments: {a: {}}}", ("missing-key", 3, 23)),
        (" {environments: {a: {url: 'https://h', auth: {}}}}", ("missing-key", 3, 45)),
        (" {environments: {a: {url: 'https://h', auth: {type: basic}}}}", ("missing-key", 3, 45)),
        (" {environments: {a: {url: 'https://h', auth: {type: kerberos}}}}", ("choice", 3, 58)),
        (" {environments: {a: {url: 'https://h', auth: {type: oauth2, clientId: a, clientSecret: b}}}}", ("missing-key", 3, 45)),
        (" {environments: {a: {url: 'https://h', auth: {type: none, logonPath: x}}}}", ("logon-path", 3, 75)),
        (" {environments: {a: {url: 'https://h', tls: {keyFile: k}}}}", ("missing-key", 3, 45)),
        (" {environments: {a: {url: 'https://h', tls: {verify: false}}}}", ("unknown-key", 3, 51)),
        (" {environments: {a: {url: 'https://h', protected: yes}}}", ("type", 3, 56)),
        (" {environments: {a: {url: 'https://h', assumptions: {firstOffset: 2}}}}", ("bounds", 3, 72)),
        (" {requests: {concurrency: 0}}", ("bounds", 3, 32)),
        (" {requests: {concurrency: 1e3}}", ("type", 3, 32)),
        (" {requests: {concurrency: '8'}}", ("type", 3, 32)),
        (" {requests: {perSecond: 0}}", ("rate", 3, 30)),
        (" {requests: {perSecond: -1}}", ("rate", 3, 30)),
        (" {requests: {timeoutSeconds: 0}}", ("bounds", 3, 35)),
        (" {requests: {timeoutSeconds: 3601}}", ("bounds", 3, 35)),
        (" {requests: {timeout: 1}}", ("unknown-key", 3, 19)),
        (" {ledger: {path: x}}", ("unknown-key", 3, 17)),
        (" {ledger: {url: 'mysql://x'}}", ("url", 3, 22)),
        (" {ledger: {leaseSeconds: 0}}", ("bounds", 3, 31)),
        (" {ledger: {leaseSeconds: 86401}}", ("bounds", 3, 31)),
        (" {ledger: {leaseSeconds: '9'}}", ("type", 3, 31)),
        (" {ledger: []}", ("type", 3, 16)),
        (" {environments: {a: {url: 'https://h', calendar: nyse}}}", ("choice", 3, 55)),
        (" {undeclared: keep}", ("choice", 3, 20)),
        (" []", ("type", 3, 7)),
        ("", ("type", 3, 6)),
        (" {}\n---\na: b", ("document", 5, 1)),
        (" {", ("yaml-syntax", 4, 1)),
    ],
)
def test_a_wrong_project_file_is_refused_at_its_place(spec: str, expected: tuple[str, int, int], tmp_path: Path) -> None:
    """Unknown keys are errors everywhere, and so is what is out of bounds."""
    assert expected in codes(tmp_path, spec)


def test_policies_and_approvals_of_an_account_are_sent_where_they_stand(tmp_path: Path) -> None:
    """A key that stands in the wrong place is told where it belongs."""
    with pytest.raises(ManifestErrors) as caught:
        loaded(tmp_path, " {requests: {policies: [], approvals: {}}}")
    assert [one.hint for one in caught.value.diagnostics] == [
        f"{key} stand in the spec of amsctl.yaml" for key in ("policies", "approvals")
    ]


SAFEGUARDS = """
  environments: {a: {url: "https://h"}, b: {url: "https://i"}}
  policies:
    - name: corn
      maximum: {contracts: 500, products: ["ZC.*.CBT"], types: [OOF, FUT], labels: {desk: softs, "1": 010}, owner: ef}
      environments: [b]
    - {name: why, ticket: {keys: [RISK], applies: all}}
    - {name: any, ticket: {keys: [RISK]}}
    - {name: fridays, noLoosening: {days: [Sat, Fri], timeZone: America/Chicago}}
  approvals:
    from: signatures
    signers: keys/approvers
    validHours: 8
    verdict: true
    environments: [a]
    rules: [{approvals: 1, applies: all}, {approvals: 2, factor: 2}, {approvals: 2, lots: 1000}, {approvals: 3, applies: overridden}]"""


def test_policies_and_approvals_arrive(tmp_path: Path) -> None:
    """Each rule reaches its value; days in the order of the week, labels as key=value text as written; at an environment only those that are for it."""
    project = loaded(tmp_path, SAFEGUARDS)
    corn = Maximum(contracts=500, products=("ZC.*.CBT",), types=("OOF", "FUT"), labels=("1=010", "desk=softs"), owner=Owner.EF)
    fridays = NoLoosening(days=(Weekday.FRIDAY, Weekday.SATURDAY), time_zone="America/Chicago")
    assert project.policies == (
        Policy(name="corn", rule=corn, environments=("b",)),
        Policy(name="why", rule=TicketNeeded(keys=("RISK",), applies=Applies.ALL)),
        Policy(name="any", rule=TicketNeeded(keys=("RISK",))),
        Policy(name="fridays", rule=fridays),
    )
    assert project.approvals == Approvals(
        source=ApprovalSource.SIGNATURES,
        signers="keys/approvers",
        valid_hours=8,
        verdict=True,
        environments=("a",),
        rules=(
            ApprovalRule(approvals=1, applies=Applies.ALL),
            ApprovalRule(approvals=2, factor=2),
            ApprovalRule(approvals=2, lots=1000),
            ApprovalRule(approvals=3, overridden=True),
        ),
    )
    at_a, at_b = project.safeguards.at("a"), project.safeguards.at("b")
    assert ([policy.name for policy in at_a.policies], at_a.approvals) == (["why", "any", "fridays"], project.approvals)
    assert ([policy.name for policy in at_b.policies], at_b.approvals) == (["corn", "why", "any", "fridays"], None)
    assert project.safeguards.ask_for_labels
    assert not loaded(tmp_path, " {policies: [{name: a, maximum: {contracts: 1}}]}").safeguards.ask_for_labels


GITLAB_BY_ADDRESSES = Approvals(source=ApprovalSource.GITLAB, approvers=("kim",), makers_from=MakersFrom.ADDRESSES)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{from: gitlab, approvers: [kim], makers: addresses}", GITLAB_BY_ADDRESSES),
        ("{makers: signed}", Approvals(makers_from=MakersFrom.SIGNED)),
        ("signatures", Approvals()),
        ("{}", Approvals()),
        ("{from: github, approvers: [Sam, kim@x]}", Approvals(source=ApprovalSource.GITHUB, approvers=("Sam", "kim@x"))),
    ],
)
def test_approvals_have_a_short_form(written: str, expected: Approvals, tmp_path: Path) -> None:
    """One word says where approvals come from; one for whatever lets more through is then needed."""
    assert loaded(tmp_path, f" {{approvals: {written}}}").approvals == expected
    assert expected.rules == (ApprovalRule(approvals=1),)


def test_what_proves_who_made_a_commit() -> None:
    """The forge's record where reviews count, signatures where they do, and addresses only where that is written."""
    assert Approvals().makers is MakersFrom.SIGNED
    assert Approvals(source=ApprovalSource.GITHUB, approvers=("kim",)).makers is MakersFrom.FORGE
    assert GITLAB_BY_ADDRESSES.makers is MakersFrom.ADDRESSES


def test_the_settings_around_a_plan_arrive(tmp_path: Path) -> None:
    """Branch of record, life of a plan, days that guards look back, place of the ledger, name of the AMS and its way to show no limit."""
    spec = (
        " {baseBranch: release/2, planValid: 48, guardsAgainst: {days: 7}, ledger: {ephemeral: accepted},"
        ' environments: {e: {url: "https://h", ams: "011", assumptions: {unlimitedShownAs: side-absent}}}}'
    )
    project = loaded(tmp_path, spec)
    assert (project.base_branch, project.plan_valid_hours, project.guards_days, project.ledger.ephemeral) == ("release/2", 48, 7, True)
    environment = resolve_environment(project, "e", {})
    assert (environment.ams_name, environment.assumptions.unlimited_shown_as) == ("011", UnlimitedShownAs.SIDE_ABSENT)


def test_the_settings_around_a_plan_have_defaults(tmp_path: Path) -> None:
    """main, a day, thirty days, no throw-away ledger, the environment's own name, and null."""
    project = loaded(tmp_path, ' {environments: {e: {url: "https://h"}}}')
    assert (project.base_branch, project.plan_valid_hours, project.guards_days, project.ledger.ephemeral) == ("main", 24, 30, False)
    environment = resolve_environment(project, "e", {})
    assert (environment.ams_name, environment.assumptions.unlimited_shown_as) == ("e", UnlimitedShownAs.NULL)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xff\xfe", b"a: &a\nb: *a", b"- x", b"a: &a x\n" + b"b: *a\n" * 200])
def test_a_project_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    """Empty, undecodable or of another shape."""
    (tmp_path / "amsctl.yaml").write_bytes(content)
    with pytest.raises(ManifestErrors):
        load_project(tmp_path)


def test_a_missing_project_file_says_what_to_do(tmp_path: Path) -> None:
    """The first thing that a new user sees."""
    with pytest.raises(ConfigError, match=r"no amsctl\.yaml.*amsctl init"):
        load_project(tmp_path)
    (tmp_path / "amsctl.yaml").mkdir()
    with pytest.raises(ManifestErrors):
        load_project(tmp_path)


# --- one AMS has one name ---

TWO = """
  environments:
    paper: {url: "https://ams.example/rest/v2", ams: prod}
    live: {url: "%s"%s}
  defaultEnvironment: live"""


@pytest.mark.parametrize("url", ["https://ams.example/rest/v2", "https://AMS.example.:443/rest/x/%%2e%%2E/%%762/"])
@pytest.mark.parametrize("name", ["", ", ams: other", ", ams: Prod"])
def test_two_names_for_one_address_are_refused(tmp_path: Path, url: str, name: str) -> None:
    """A second environment with the address of another one, under another name, would pass by its freezes and locks: both places are named."""
    with pytest.raises(ManifestErrors) as refused:
        loaded(tmp_path, TWO % (url % (), name))
    (finding,) = refused.value.diagnostics
    assert (finding.code, finding.what) == ("two-names", "one AMS has two names: environment paper has this address")
    assert finding.expected == "ams: prod"
    assert (finding.source.line, finding.related and finding.related.line) == (6, 5)
    assert "write the same ams: NAME into both" in (finding.hint or "")


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("approvals: {from: signatures, environments: [paper]}", "approvals are"),
        ("approvals: {from: signatures, environments: [test, live]}", "approvals are"),
        ("policies: [{name: p, maximum: {contracts: 5}}, {name: q, maximum: {contracts: 5}, environments: [live]}]", "a policy is"),
        (
            "windows: [{name: w, effect: deny, timeZone: UTC, weekly: {days: [Fri], from: '10:00', to: '11:00'}, environments: [paper]}]",
            "a window is",
        ),
    ],
)
def test_environments_of_one_ams_are_under_one_set_of_rules(tmp_path: Path, rule: str, what: str) -> None:
    """Whoever may choose the environment would choose the rules; with all of them named, or others alone, it is right."""
    text = TWO % ("https://ams.example/rest/v2", ", ams: prod") + '\n    test: {url: "https://test.example"}\n  '
    text = text.replace("\n  defaultEnvironment: live\n    test", "\n    test")
    with pytest.raises(ManifestErrors) as refused:
        loaded(tmp_path, text + rule)
    (finding,) = refused.value.diagnostics
    assert (finding.code, finding.source.line) == ("one-ams", 8)
    assert finding.what.startswith(f"{what} for some environments of one AMS alone")
    assert finding.expected == "paper, live, or none of them"
    for kept in ("[paper, live]", "[test]", "[live, test, paper]"):
        loaded(tmp_path, text + re.sub(r"(environments: )\[.*?\]", rf"\1{kept}", rule))


def test_one_name_for_one_address_is_right(tmp_path: Path) -> None:
    """Two environments may be one AMS: with other credentials, protected or not."""
    project = loaded(tmp_path, TWO % ("https://ams.example/rest/v2/", ", ams: prod"))
    assert {resolve_environment(project, name, {}).ams_name for name in ("paper", "live")} == {"prod"}
    assert resolve_address(project, "live") == ("live", "prod", "https://ams.example/rest/v2")
    assert names_of(project) == {"https://ams.example/rest/v2": "prod"}


@pytest.mark.parametrize("name", ['""', '" "', "a b", "-a", '"a\\n"', '"\\e[2J"', "a/b", '"*"', "a" * 64, "é", '"http://x"'])
def test_an_odd_name_of_an_ams_is_refused(tmp_path: Path, name: str) -> None:
    """What cannot be said or seen names nothing."""
    with pytest.raises(ManifestErrors):
        loaded(tmp_path, f"\n  environments: {{a: {{url: https://a.example, ams: {name}}}}}")
