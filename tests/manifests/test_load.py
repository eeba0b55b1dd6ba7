"""Loading a repository: which files, which accounts, how profiles are merged, and that order never matters."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amsctl.config import Project
from amsctl.diagnostics import Severity, Source
from amsctl.errors import ConfigError, ManifestErrors, UsageError
from amsctl.manifests.files import Start, discover
from amsctl.manifests.load import Desired, load
from amsctl.manifests.validate import validate_paths
from amsctl.model import UNLIMITED, AccountKey, AccountStatus, DesiredRow, Undeclared

HEAD = "apiVersion: amsctl/v1\n"


def project(root: Path, *manifests: str) -> Project:
    names = manifests or (".",)
    return Project(root=str(root), source=Source("amsctl.yaml", 1, 1), manifests=names)


def account(number: str, spec: str = "{}", firm: str = "F", labels: str = "{}") -> str:
    return f"{HEAD}kind: Account\nmetadata: {{clearingFirm: {firm}, accountNumber: {number}, labels: {labels}}}\nspec: {spec}\n"


def profile(name: str, limits: str) -> str:
    return f"{HEAD}kind: LimitProfile\nmetadata: {{name: {name}}}\nspec: {{limits: {limits}}}\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def rows(desired: Desired) -> dict[str, DesiredRow]:
    (only,) = desired.accounts()
    return {row.product: row for firm in only.execution_firms for row in firm.rows}


def codes(root: Path, **options: object) -> list[str]:
    with pytest.raises(ManifestErrors) as caught:
        load(project(root), **options)  # type: ignore[arg-type]
    return [one.code for one in caught.value.diagnostics]


# --- what an account says ---


def test_every_part_of_an_account_arrives(tmp_path: Path) -> None:
    """Each value comes with its place; what is not written is None."""
    spec = "\n  status: Inactive\n  undeclared: unset\n  executionFirms:\n    B02:\n      suspended: true\n      limits:\n"
    spec += "        X.FUT.CME: {cmf: {short: unlimited}, ef: {long: 0}}\n        A.OOF.CME: unset\n    A01: {}\n"
    write(tmp_path, {"a.yaml": account("N1", spec, labels="{desk: softs, a: b}")})
    (only,) = load(project(tmp_path)).accounts()
    assert (only.key, only.status, only.undeclared) == (AccountKey("F", "N1"), AccountStatus.INACTIVE, Undeclared.UNSET)
    assert (only.source, only.status_source) == (Source("a.yaml", 3, 44), Source("a.yaml", 5, 11))
    assert only.labels == {"a": "b", "desk": "softs"}
    first, second = only.execution_firms
    assert (first.id, first.suspended, first.suspended_source, first.rows) == ("A01", None, None, ())
    assert (second.id, second.suspended, second.suspended_source, second.source) == (
        "B02",
        True,
        Source("a.yaml", 9, 18),
        Source("a.yaml", 8, 5),
    )
    tombstone, row = second.rows
    assert (tombstone.product, tombstone.unset, tombstone.legs, tombstone.source) == (
        "A.OOF.CME",
        True,
        (None,) * 4,
        Source("a.yaml", 12, 9),
    )
    assert (row.legs, row.unset) == ((0, None, None, UNLIMITED), False)
    assert row.sources == (Source("a.yaml", 11, 57), None, None, Source("a.yaml", 11, 34))


def test_nothing_written_is_nothing_managed(tmp_path: Path) -> None:
    """Contract 1: missing is never zero and never a deletion."""
    write(tmp_path, {"a.yaml": account("N1", "{executionFirms: {A01: {limits: {X.FUT.CME: {ef: {}}, Y.FUT.CME: {}}}}}")})
    (only,) = load(project(tmp_path)).accounts()
    assert (only.status, only.status_source, only.undeclared) == (None, None, None)
    assert [(row.legs, row.unset) for row in only.execution_firms[0].rows] == [((None,) * 4, False)] * 2


# --- profiles ---


@pytest.mark.parametrize(
    ("first", "second", "limits", "legs", "unset"),
    [
        ("{ef: {long: 1, short: 2}}", "{ef: {long: 3}}", None, (3, 2, None, None), False),
        ("{ef: {long: 1}}", "{ef: {long: 3}}", "{ef: {long: 5}, cmf: {short: 6}}", (5, None, None, 6), False),
        ("{ef: {long: 1}}", "unset", None, (None,) * 4, True),
        ("unset", "{ef: {long: 3}}", None, (3, None, None, None), False),
        ("unset", "{ef: {long: 3}}", "unset", (None,) * 4, True),
        ("{ef: {long: 1, short: 1}}", "unset", "{cmf: {long: 7}}", (None, None, 7, None), False),
        ("unset", "{}", None, (None,) * 4, True),
        ("{ef: {long: 0}}", "{ef: {short: unlimited}}", "{ef: {long: unlimited}}", (UNLIMITED, UNLIMITED, None, None), False),
    ],
)
def test_later_profiles_win_and_limits_win_over_all(
    first: str, second: str, limits: str | None, legs: object, unset: bool, tmp_path: Path
) -> None:
    """Contract 1: leg by leg, later profiles over earlier ones, limits over all, and the same for tombstones."""
    own = f", limits: {{X.FUT.CME: {limits}}}" if limits is not None else ""
    spec = f"{{executionFirms: {{A01: {{profiles: [one, two]{own}}}}}}}"
    files = {"a.yaml": account("N1", spec), "z/two.yaml": profile("two", f"{{X.FUT.CME: {second}}}")}
    write(tmp_path, files | {"z/one.json": ""})
    (tmp_path / "z/one.json").unlink()
    write(tmp_path, {"z/one.yml": profile("one", f"{{X.FUT.CME: {first}}}")})
    row = rows(load(project(tmp_path)))["X.FUT.CME"]
    assert (row.legs, row.unset) == (legs, unset)


def test_a_value_of_a_profile_names_the_file_of_the_profile(tmp_path: Path) -> None:
    """The place of a value is where it is written, not where it is used."""
    write(
        tmp_path,
        {
            "a.yaml": account("N1", "{executionFirms: {A01: {profiles: [p], limits: {X.FUT.CME: {ef: {short: 9}}}}}}"),
            "p.yaml": profile("p", "{X.FUT.CME: {ef: {long: 1, short: 2}}, Y.FUT.CME: {ef: {long: 5}}}"),
        },
    )
    found = rows(load(project(tmp_path)))
    assert [one.file if one else None for one in found["X.FUT.CME"].sources] == ["p.yaml", "a.yaml", None, None]
    assert found["Y.FUT.CME"].source.file == "p.yaml"


# --- selection ---


def test_accounts_are_selected_by_number_by_firm_and_number_and_by_label(tmp_path: Path) -> None:
    """--account repeats as an or, -l as an and; the digest covers all files whatever is selected."""
    write(
        tmp_path,
        {
            "a.yaml": account("N1", labels="{desk: x, tier: a}") + "---\n" + account("N2", labels="{desk: x}"),
            "b.yaml": account("N1", firm="G", labels="{desk: y}"),
        },
    )
    ours = project(tmp_path)
    everything = load(ours)
    assert everything.keys() == (("F", "N1"), ("F", "N2"), ("G", "N1"))
    assert load(ours, accounts=["N1"]).keys() == (("F", "N1"), ("G", "N1"))
    assert load(ours, accounts=["G/N1", "N2"]).keys() == (("F", "N2"), ("G", "N1"))
    assert load(ours, labels=["desk=x"]).keys() == (("F", "N1"), ("F", "N2"))
    some = load(ours, labels=["desk=x", "tier=a"])
    assert some.keys() == (("F", "N1"),)
    assert len(some) == 1
    assert some.manifests_sha256 == everything.manifests_sha256
    assert [firm for firm, _ in everything.firms] == ["F", "G"]
    assert everything.firms[0][1] == Source("a.yaml", 3, 44)


@pytest.mark.parametrize(
    ("options", "word"), [({"accounts": ["N9"]}, "N9"), ({"labels": ["desk=z"]}, "desk=z"), ({"accounts": ["N1"], "labels": ["d=e"]}, "N1")]
)
def test_a_selection_of_nothing_is_an_error(options: dict[str, list[str]], word: str, tmp_path: Path) -> None:
    """Selecting nothing must never look like having nothing to do."""
    write(tmp_path, {"a.yaml": account("N1")})
    with pytest.raises(ConfigError, match=word):
        load(project(tmp_path), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["desk", "=x", ""])
def test_a_label_selection_is_key_and_value(label: str, tmp_path: Path) -> None:
    """A misspelled selection is a usage error."""
    write(tmp_path, {"a.yaml": account("N1")})
    with pytest.raises(UsageError):
        load(project(tmp_path), labels=[label])


# --- which files ---


def test_only_manifests_are_read_each_once_and_sorted(tmp_path: Path) -> None:
    """Hidden names, other suffixes, the project file and own outputs are left out; links and repeated paths read nothing twice."""
    write(
        tmp_path,
        {
            "amsctl.yaml": "not: [even, yaml",
            "b/two.yml": account("N2"),
            "a.yaml": account("N1"),
            "c.json": '{"apiVersion": "amsctl/v1", "kind": "Account", "metadata": {"clearingFirm": "F", "accountNumber": "N3"}, "spec": {}}',
            ".github/workflows/ci.yaml": "on: push",
            "README.md": "x",
            "plan.json": '{"format": "amsctl.plan/v1", "digest": "…"}',
        },
    )
    (tmp_path / "link.yaml").symlink_to("a.yaml")
    (tmp_path / "d").symlink_to("b")
    (tmp_path / "loop").symlink_to(".")
    desired = load(project(tmp_path, ".", "a.yaml", "b"))
    assert desired.files == ("a.yaml", "b/two.yml", "c.json")
    assert desired.keys() == (("F", "N1"), ("F", "N2"), ("F", "N3"))


def test_a_link_that_leaves_the_repository_is_refused(tmp_path: Path) -> None:
    """A manifest is never read from elsewhere."""
    write(tmp_path, {"repo/a.yaml": account("N1"), "other/b.yaml": account("N2")})
    (tmp_path / "repo/b.yaml").symlink_to("../other/b.yaml")
    (tmp_path / "repo/c").symlink_to("../other")
    (tmp_path / "repo/d.yaml").symlink_to("nowhere.yaml")
    assert codes(tmp_path / "repo") == ["link-outside", "link-outside", "broken-link"]


def test_special_files_and_other_projects_are_refused(tmp_path: Path) -> None:
    """A FIFO is not waited for, a folder that cannot be told apart is not read as ours."""
    write(tmp_path, {"a.yaml": account("N1"), "inner/amsctl.yaml": "x"})
    os.mkfifo(tmp_path / "b.yaml")
    assert codes(tmp_path) == ["not-a-file", "nested-project"]


@pytest.mark.parametrize(("manifests", "code"), [(("nowhere",), "no-such-path"), (("..",), "outside"), (("../x.yaml",), "outside")])
def test_the_list_of_manifests_stays_inside_and_exists(manifests: tuple[str, ...], code: str, tmp_path: Path) -> None:
    """A folder that is not there is an error: its accounts would silently be unmanaged."""
    write(tmp_path, {"repo/a.yaml": account("N1"), "x.yaml": account("N2")})
    with pytest.raises(ManifestErrors) as caught:
        load(project(tmp_path / "repo", *manifests))
    assert [one.code for one in caught.value.diagnostics] == [code]


@pytest.mark.parametrize("files", [{}, {"p.yaml": profile("p", "{}")}, {"a.yaml": "# nothing\n---\n"}])
def test_a_repository_without_accounts_is_an_error(files: dict[str, str], tmp_path: Path) -> None:
    """An empty repository must never look like a wish to delete, nor like nothing to do."""
    write(tmp_path, files)
    with pytest.raises(ConfigError, match="no Account"):
        load(project(tmp_path))


def test_paths_replace_the_list_and_profiles_are_still_found(tmp_path: Path) -> None:
    """PATH arguments choose accounts; profiles may stand anywhere in the project."""
    write(
        tmp_path,
        {
            "acc/a.yaml": account("N1", "{executionFirms: {A01: {profiles: [p]}}}"),
            "acc/b.yaml": account("N2"),
            "pro/p.yaml": profile("p", "{X.FUT.CME: {ef: {long: 1}}}"),
        },
    )
    desired = load(project(tmp_path), ["acc/a.yaml"], base=str(tmp_path))
    assert desired.keys() == (("F", "N1"),)
    assert desired.files == ("acc/a.yaml", "acc/b.yaml", "pro/p.yaml")
    assert rows(desired)["X.FUT.CME"].legs[0] == 1
    with pytest.raises(ManifestErrors) as caught:
        load(project(tmp_path), ["acc/c.yaml"], base=str(tmp_path))
    assert caught.value.diagnostics[0].code == "no-such-path"
    with pytest.raises(ConfigError, match="no Account in the given paths"):
        load(project(tmp_path), ["pro"], base=str(tmp_path))


def test_an_output_of_amsctl_named_as_manifest_is_an_error(tmp_path: Path) -> None:
    """A plan is no manifest."""
    write(tmp_path, {"a.yaml": account("N1"), "plan.json": '{"format": "amsctl.plan/v1"}'})
    assert codes(tmp_path, paths=["a.yaml", "plan.json"], base=str(tmp_path)) == ["not-a-manifest"]


def test_all_findings_of_all_files_come_in_one_run_and_sorted(tmp_path: Path) -> None:
    """Contract 1: not the first alone; also what an unsound account says about profiles and its own key."""
    write(
        tmp_path,
        {
            "b.yaml": account("N1", "{status: x, executionFirms: {A01: {profiles: [q]}}}"),
            "a.yaml": account("N1", "{executionFirms: {A01: {profiles: [q], limits: {X.FUT.CME: {ef: {long: -1}}}}}}"),
            "c.yaml": "a: [",
        },
    )
    with pytest.raises(ManifestErrors, match="6 errors") as caught:
        load(project(tmp_path))
    found = caught.value.diagnostics
    assert [(one.source.file, one.code) for one in found] == [
        ("a.yaml", "unknown-profile"),
        ("a.yaml", "amount"),
        ("b.yaml", "duplicate-account"),
        ("b.yaml", "choice"),
        ("b.yaml", "unknown-profile"),
        ("c.yaml", "yaml-syntax"),
    ]
    assert list(found) == sorted(found, key=lambda one: one.sort_key())


def test_an_account_number_against_the_naming_rule_is_a_warning(tmp_path: Path) -> None:
    """Such accounts exist (AMS 3.9): said, never refused."""
    write(
        tmp_path, {"a.yaml": "---\n".join(account(f'"{number}"') for number in ("-A1", "A-1", "A1-", "AB-1", "ABCDEFGHIJKLM", " A", "AB1"))}
    )
    warnings = load(project(tmp_path)).warnings
    assert [(one.severity, one.source.line) for one in warnings] == [(Severity.WARNING, line) for line in (3, 8, 13, 23, 28)]


# --- determinism and memory ---

_NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=_NAMES, seed=st.integers(0, 1000))
def test_the_order_and_names_of_files_never_matter(names: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever the files are called and in which order they are written: the same accounts, with the same values."""
    chance = random.Random(seed)
    documents = [account(f"N{number}", f"{{executionFirms: {{A01: {{profiles: [p{number % 2}]}}}}}}") for number in range(6)]
    documents += [profile("p0", "{X.FUT.CME: {ef: {long: 1}}}"), profile("p1", "{X.FUT.CME: unset}")]
    results = []
    for _ in range(2):
        chance.shuffle(documents)
        chance.shuffle(names)
        root = tmp_path_factory.mktemp("repo")
        parts = {name: documents[index :: len(names)] for index, name in enumerate(names)}
        write(root, {f"{name}/{name}.yaml": "---\n".join(texts) for name, texts in parts.items() if texts})
        desired = load(project(root))
        results.append(
            [(one.key, [(row.product, row.legs, row.unset) for row in one.execution_firms[0].rows]) for one in desired.accounts()]
        )
        assert [one.key for one in desired.accounts()] == sorted(desired.keys())
    assert results[0] == results[1]


def test_the_digest_covers_path_and_bytes(tmp_path: Path) -> None:
    """A renamed file and a changed comment change the digest; nothing else does."""
    write(tmp_path, {"a.yaml": account("N1")})
    first = load(project(tmp_path)).manifests_sha256
    assert first == load(project(tmp_path)).manifests_sha256
    assert first.startswith("sha256:")
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    second = load(project(tmp_path)).manifests_sha256
    write(tmp_path, {"b.yaml": account("N1") + "# x\n"})
    assert len({first, second, load(project(tmp_path)).manifests_sha256}) == 3


_GROWTH = """
import resource, sys
from amsctl.config import Project
from amsctl.diagnostics import Source
from amsctl.manifests.load import load
def peak():
    # the kernel hands a parent's ru_maxrss down to its children, so a large test worker would be measured instead
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
project = Project(root=sys.argv[1], source=Source("amsctl.yaml", 1, 1))
load(project, ["a000.yaml"], base=sys.argv[1])
before = peak()
desired = load(project)
rows = sum(len(firm.rows) for account in desired.accounts() for firm in account.execution_firms)
print(rows, (peak() - before) // 1024)
"""


def test_memory_does_not_grow_with_the_book(tmp_path: Path) -> None:
    """60,000 rows, about 12 MB of text, are loaded and walked within 24 MB."""
    limits = ", ".join(f"P{number:02d}.FUT.CME: {{ef: {{long: {number}, short: 7}}, cmf: {{long: 8, short: 9}}}}" for number in range(100))
    for number in range(150):
        accounts = [account(f"N{number}X{part}", f"{{executionFirms: {{A01: {{limits: {{{limits}}}}}}}}}") for part in range(4)]
        write(tmp_path, {f"a{number:03d}.yaml": "---\n".join(accounts)})
    ran = subprocess.run([sys.executable, "-c", _GROWTH, str(tmp_path)], capture_output=True, check=True, timeout=240)
    count, growth = map(int, ran.stdout.split())
    assert count == 60_000
    assert growth < 24


# --- validate ---


def test_validate_works_with_and_without_a_project(tmp_path: Path) -> None:
    """`amsctl validate PATH` needs no project file; what it looked at is counted."""
    write(tmp_path, {"a.yaml": account("N1", "{executionFirms: {A01: {profiles: [p]}}}"), "p.yaml": profile("p", "{}")})
    whole = validate_paths(None, base=str(tmp_path))
    assert (whole.files, whole.documents, whole.accounts, whole.diagnostics) == (2, 2, 1, ())
    alone = validate_paths(None, ["a.yaml"], base=str(tmp_path))
    assert [(one.code, one.severity) for one in alone.diagnostics] == [("unknown-profile", Severity.WARNING)]
    assert alone.errors == ()
    assert validate_paths(project(tmp_path), ["a.yaml"], base=str(tmp_path)).diagnostics == ()
    assert validate_paths(project(tmp_path)).accounts == 1
    (tmp_path / "p.yaml").unlink()
    assert [one.code for one in validate_paths(project(tmp_path)).errors] == ["unknown-profile"]


def test_validate_checks_a_project_file(tmp_path: Path) -> None:
    """A project file among the paths is judged as one."""
    write(tmp_path, {"amsctl.yaml": "apiVersion: amsctl/v1\nkind: Project\nspec: {unsetMeans: all}\n"})
    (error,) = validate_paths(None, ["amsctl.yaml"], base=str(tmp_path)).errors
    assert (error.code, error.source) == ("choice", Source("amsctl.yaml", 3, 20))


def test_validate_of_nothing_is_an_error(tmp_path: Path) -> None:
    """No manifest, no success."""
    for ours, paths in ((None, ()), (None, (".",)), (project(tmp_path), ())):
        with pytest.raises(ConfigError, match="no "):
            validate_paths(ours, paths, base=str(tmp_path))
    write(tmp_path, {"p.yaml": profile("p", "{}")})
    with pytest.raises(ConfigError, match="no Account"):
        validate_paths(project(tmp_path))
    assert validate_paths(None, ["p.yaml"], base=str(tmp_path)).documents == 1


def test_a_path_may_lie_outside_of_the_project(tmp_path: Path) -> None:
    """What the user names is read where it is; its own folder is then its boundary."""
    write(tmp_path, {"repo/a.yaml": account("N1"), "other/b.yaml": account("N2")})
    found = discover(str(tmp_path / "repo"), [Start(str(tmp_path / "other"), None)], explicit=True)
    assert [(one.shown, one.explicit) for one in found.files] == [(str(tmp_path / "other/b.yaml"), False)]


_STARTED = """
import sys
from amsctl.manifests.validate import validate_paths
assert validate_paths(None, [sys.argv[1]]).diagnostics == ()
print(sorted({"yaml", "jsonschema", "ruamel", "asyncio", "httpx", "deepdiff"} & sys.modules.keys()))
"""


def test_a_sound_plain_file_is_validated_without_heavy_imports(tmp_path: Path) -> None:
    """`amsctl validate ONE_FILE` starts quickly: neither YAML nor JSON Schema is imported for it."""
    write(tmp_path, {"a.yaml": account("N1", "{executionFirms: {3N1: {limits: {X.FUT.CME: {ef: {long: 1, short: 2}}}}}}")})
    ran = subprocess.run([sys.executable, "-c", _STARTED, str(tmp_path / "a.yaml")], capture_output=True, check=True, timeout=240)
    assert ran.stdout.decode().strip() == "[]"


def test_a_file_that_grows_or_vanishes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size is looked at before and after reading; a file that is gone is a finding, not a crash."""
    from amsctl.manifests import files

    write(tmp_path, {"a.yaml": account("N1")})
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    with pytest.raises(files.Unreadable, match="too large"):
        files.content_of(str(tmp_path / "a.yaml"))
    with pytest.raises(files.Unreadable) as caught:
        files.content_of(str(tmp_path / "gone.yaml"))
    assert caught.value.code == "unreadable"
    assert files.first_bytes(str(tmp_path / "gone.json"), 10) == b""
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result((0o100644, 0, 0, 1, 0, 0, 5, 0, 0, 0)))
    with pytest.raises(files.Unreadable, match="too large"):
        files.content_of(str(tmp_path / "a.yaml"))


def test_a_folder_that_cannot_be_read_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without permission must not look like an empty one."""
    write(tmp_path, {"a.yaml": account("N1"), "inner/b.yaml": account("N2")})
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("inner"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert codes(tmp_path) == ["unreadable"]
