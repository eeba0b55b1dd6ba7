# ruff: noqa: E501 - files are written as they are
"""The canonical form: stable, of the same meaning, with every comment."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amsctl.config import Project
from amsctl.diagnostics import Source
from amsctl.errors import ManifestErrors
from amsctl.manifests.documents import read_content
from amsctl.manifests.format import FormatError, _checked, canonical
from amsctl.manifests.layout import layout
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project
from amsctl.manifests.starter import starter_files
from amsctl.manifests.validate import validate_paths
from amsctl.resources import examples_folder
from tests.conftest import CAMPAIGN

UNTIDY = """\
# head


kind: Account # k
# about api
apiVersion: 'amsctl/v1'
spec:
    executionFirms:
        027:   # norway
            limits:
                # row comment

                'CJ.FUT.NYMEX':
                    cmf: {short: 1,   # inside
                          long: 2}
                    ef: {short:    3, long: unlimited}
                "DRS.FUT.CBT":   "unset"
                # commented out
                # XX.FUT.CBT: unset
            # after limits
            profiles:
            - NO
            - "softs"  # second
            suspended: true
        3N1: {}
    # about status
    status: Active
metadata: {accountNumber: 1E3, clearingFirm: 'GREENTEA', labels: {desk: 'on', "a b": "x # y"}}
# the end

---
# second
apiVersion: amsctl/v1
kind: LimitProfile
metadata: {name: NO}
spec: {limits: {}}
# bye
"""
TIDY = """\
# head

# about api
apiVersion: amsctl/v1
kind: Account # k
metadata: {clearingFirm: GREENTEA, accountNumber: "1E3", labels: {desk: "on", a b: "x # y"}}
spec:
  # about status
  status: Active
  executionFirms:
    "027":     # norway
      suspended: true
      # after limits
      profiles:
        - "NO"
        - softs        # second
      limits:
        # row comment

        CJ.FUT.NYMEX:
          ef: {long: unlimited, short: 3}
          cmf: {long: 2, short: 1}    # inside
        DRS.FUT.CBT: unset
        # commented out
        # XX.FUT.CBT: unset
    3N1: {}
# the end
---
# second
apiVersion: amsctl/v1
kind: LimitProfile
metadata: {name: "NO"}
spec: {limits: {}}
# bye
"""


def test_the_canonical_form() -> None:
    """Order of keys, quotes where other tools misread, comments where they belong; and it is stable."""
    assert canonical(UNTIDY, file="a.yaml") == TIDY
    assert canonical(TIDY, file="a.yaml") == TIDY


def test_line_ends_and_byte_order_mark_are_normalised() -> None:
    """CRLF, CR and a byte order mark go; the meaning stays."""
    assert canonical("\ufeff" + TIDY.replace("\n", "\r\n"), file="a.yaml") == TIDY
    assert canonical(TIDY.replace("\n", "\r"), file="a.yaml") == TIDY


PROFILE = "apiVersion: amsctl/v1\nkind: LimitProfile\nmetadata: {name: x}\nspec:\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# only a comment\n\n\n# and another", "# only a comment\n\n# and another\n"),
        ("", ""),
        ("---\n" + PROFILE + "  limits: {}\n...\n", "---\n" + PROFILE + "  limits: {}\n"),
        ("--- # why\n" + PROFILE + "  limits: {}\n", "---\n# why\n" + PROFILE + "  limits: {}\n"),
        (
            PROFILE + "  limits: {\n    # in\n    A.FUT.CME: unset,\n    B.FUT.CME: {}  # out\n  }\n",
            PROFILE + "  # in\n  # out\n  limits: {A.FUT.CME: unset, B.FUT.CME: {}}\n",
        ),
        (
            PROFILE + "  limits:\n    A.FUT.CME: unset\n\n\n    B.FUT.CME: unset\n\n",
            PROFILE + "  limits:\n    A.FUT.CME: unset\n\n    B.FUT.CME: unset\n",
        ),
        (PROFILE + "  limits:\n    A.FUT.CME: unset\n  # level\n", PROFILE + "  limits:\n    A.FUT.CME: unset\n  # level\n"),
        (PROFILE + "  limits:\n    A.FUT.CME: unset   # 'quote\n", PROFILE + "  limits:\n    A.FUT.CME: unset   # 'quote\n"),
        (PROFILE + "  limits:\n    A.FUT.CME: unset\n# end\n", PROFILE + "  limits:\n    A.FUT.CME: unset\n# end\n"),
        (
            "{apiVersion: amsctl/v1, kind: LimitProfile, metadata: {name: x#y}, spec: {limits: {}}} # c\n",
            "# c\napiVersion: amsctl/v1\nkind: LimitProfile\nmetadata: {name: x#y}\nspec: {limits: {}}\n",
        ),
    ],
)
def test_comments_blank_lines_and_markers(before: str, after: str) -> None:
    """Each comment keeps its neighbour, a file of comments is kept, blank lines never pile up."""
    assert canonical(before, file="a.yaml") == after
    assert canonical(after, file="a.yaml") == after


def test_a_long_mapping_in_braces_is_written_one_entry_a_line() -> None:
    """Lines end before they are cut off on a screen."""
    rows = ", ".join(f"P{number}.FUT.CME: {{ef: {{long: {number}, short: 1}}}}" for number in range(9))
    formatted = canonical(PROFILE + f"  limits: {{{rows}}}\n", file="a.yaml")
    assert formatted.splitlines()[5] == "    P0.FUT.CME: {ef: {long: 0, short: 1}}"
    assert canonical(formatted, file="a.yaml") == formatted


def test_json_is_written_with_two_blanks_and_numbers_as_they_were() -> None:
    """JSON manifests alike."""
    text = '{"kind":"LimitProfile","spec":{"limits":{"A.FUT.CME":{"ef":{"short":1,"long":2}},"B.FUT.CME":{}}},"metadata":{"name":12.50},"apiVersion":"amsctl/v1"}'
    formatted = canonical(text, file="a.json")
    assert formatted.splitlines()[:6] == [
        "{",
        '  "apiVersion": "amsctl/v1",',
        '  "kind": "LimitProfile",',
        '  "metadata": {',
        '    "name": 12.50',
        "  },",
    ]
    assert formatted.endswith('      "B.FUT.CME": {}\n    }\n  }\n}\n')
    assert canonical(formatted, file="a.json") == formatted
    account = '{"apiVersion":"amsctl/v1","kind":"Account","metadata":{"clearingFirm":"F","accountNumber":"N"},"spec":{"executionFirms":{"3N1":{"profiles":["a"]},"3N2":{"profiles":[]}}}}'
    assert '"profiles": [\n          "a"\n        ]' in canonical(account, file="a.json")


@pytest.mark.parametrize("text", ["a: [", "kind: Account\n", "a: &a b\n", "a: b\na: c\n"])
def test_an_unsound_file_is_refused_and_not_touched(text: str) -> None:
    """Nothing that cannot be read is rewritten."""
    with pytest.raises(ManifestErrors):
        canonical(text, file="a.yaml")


def test_a_result_of_another_meaning_or_without_a_comment_is_never_returned() -> None:
    """The last line of defence against a defect of the formatter itself."""
    source = PROFILE + "  limits: {A.FUT.CME: unset}  # why\n"
    with pytest.raises(FormatError, match="meaning"):
        _checked(source, source.replace("A.FUT", "B.FUT"), "a.yaml", layout(source))
    with pytest.raises(FormatError, match="meaning"):
        _checked(source, "a: [", "a.yaml", layout(source))
    with pytest.raises(FormatError, match="comment"):
        _checked(source, source.replace("  # why", ""), "a.yaml", layout(source))


# --- properties ---

_NAMES = (
    "softs",
    "NO",
    "027",
    "1E3",
    "on",
    "null",
    "12:30",
    "a b",
    "x#y",
    "it's",
    'say "x"',
    "a: b",
    "- x",
    "{x}",
    "[x]",
    "~",
    "2026-11-21",
    "0x1F",
    "*x",
    "50%",
)
_COMMENTS = ("# plain", "#no blank", "# it's", '# "quoted"', "# a: b", "#", "# {", "# é")


class _Writer:
    """An untidy but sound file, from chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def word(self, text: str) -> str:
        bare = text not in ("a: b", "- x", "{x}", "[x]", "*x", "it's") and not set(text) & set("{}[]\"',")
        escaped, doubled = text.replace('"', '\\"'), text.replace("'", "''")
        return self.chance.choice([f'"{escaped}"', f"'{doubled}'", *([text] * 3 if bare else [])])

    def noise(self, indent: int) -> list[str]:
        lines = []
        for _ in range(self.chance.choice((0, 0, 0, 1, 2))):
            lines.append(self.chance.choice(("", " " * self.chance.choice((0, indent, indent + 2)) + self.chance.choice(_COMMENTS))))
        return lines

    def group(self, entries: list[tuple[str, object]], indent: int, *, flow: bool) -> str | list[str]:
        self.chance.shuffle(entries)
        if flow:
            gap = self.chance.choice(("", " ", "\n" + " " * (indent + 4), "  # c\n" + " " * (indent + 4)))
            return "{" + ", ".join(f"{gap}{key}: {self.flow(value, indent)}" for key, value in entries) + "}"
        lines: list[str] = []
        for key, value in entries:
            lines += self.noise(indent)
            behind = self.chance.choice(("", "", "   " + self.chance.choice(_COMMENTS)))
            if isinstance(value, dict) and value and self.chance.random() < 0.7:
                lines.append(" " * indent + f"{key}:{behind}")
                lines += self.group(list(value.items()), indent + self.chance.choice((1, 2, 4)), flow=False)
            else:
                lines.append(" " * indent + f"{key}: {self.flow(value, indent)}{behind}")
        return lines

    def flow(self, value: object, indent: int) -> str:
        if isinstance(value, dict):
            group = self.group(list(value.items()), indent, flow=True)
            assert isinstance(group, str)
            return group
        return "[" + ", ".join(value) + "]" if isinstance(value, list) else str(value)

    def limits(self) -> dict[str, object]:
        def side() -> dict[str, object]:
            return {leg: self.chance.choice(("0", "5", "unlimited", '"unlimited"')) for leg in self.chance.sample(("long", "short"), 2)}

        rows: dict[str, object] = {}
        for product in self.chance.sample(("A.FUT.CME", "1E3.FUT.CME", "6E.OOF.CME", '"B.FUT.CBT"'), self.chance.randrange(4)):
            rows[product] = self.chance.choice(("unset", "'unset'", {"ef": side()}, {"cmf": side(), "ef": side()}, {}))
        return rows

    def file(self) -> str:
        profile = {
            "apiVersion": "amsctl/v1",
            "kind": self.word("LimitProfile"),
            "metadata": {"name": "prof"},
            "spec": {"limits": self.limits()},
        }
        firms = {
            self.word(name): {"suspended": self.chance.choice(("true", "false")), "profiles": ["prof"], "limits": self.limits()}
            for name in self.chance.sample(("027", "1E3", "3N1", "0x1"), 2)
        }
        account = {
            "kind": "Account",
            "apiVersion": "amsctl/v1",
            "metadata": {
                "clearingFirm": self.word(self.chance.choice(_NAMES)),
                "accountNumber": self.word(self.chance.choice(_NAMES)),
                "labels": {self.word(self.chance.choice(_NAMES)): self.word(self.chance.choice(_NAMES))},
            },
            "spec": {"status": "Active", "executionFirms": firms},
        }
        parts = []
        for document in (profile, account):
            lines = self.group(list(document.items()), 0, flow=False)
            parts.append("\n".join([*self.noise(0), *lines, *self.noise(0)]))
        return (
            self.chance.choice(("", "---\n", "\ufeff"))
            + self.chance.choice(("\n---\n", "\n--- # x\n")).join(parts)
            + self.chance.choice(("", "\n", "\n\n"))
        )


def desired(text: str, root: Path) -> object:
    (root / "a.yaml").write_text(text, encoding="utf-8", newline="")
    found = load(Project(root=str(root), source=Source("amsctl.yaml", 1, 1)))
    return [
        (
            one.key,
            one.labels,
            one.status,
            [(firm.id, firm.suspended, [(row.product, row.legs, row.unset) for row in firm.rows]) for firm in one.execution_firms],
        )
        for one in found.accounts()
    ]


@pytest.mark.no_cover
@settings(max_examples=100 if CAMPAIGN == 1 else 400 * CAMPAIGN, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_formatting_is_stable_and_keeps_meaning_and_comments(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """fmt of fmt is fmt, load of fmt is load, and no comment is lost, whatever the file looked like."""
    text = _Writer(random.Random(seed)).file()
    if read_content(text.encode(), "a.yaml").findings:
        assert {one.code for one in read_content(text.encode(), "a.yaml").findings} <= {"account-naming", "account-number", "yaml-syntax"}
        if any(one.severity.value == "error" for one in read_content(text.encode(), "a.yaml").findings):
            return
    formatted = canonical(text, file="a.yaml")
    assert canonical(formatted, file="a.yaml") == formatted
    assert all(formatted.count(comment) >= text.count(f"{comment}\n") for comment in ("# it's", "#no blank", "# {"))
    root = tmp_path_factory.mktemp("repo")
    assert desired(formatted, root) == desired(text, root)


# --- what ships ---


def test_the_example_is_sound_and_canonical() -> None:
    """examples/limits is what a user copies from."""
    root = examples_folder()
    checked = validate_paths(load_project(root))
    assert (checked.diagnostics, checked.accounts) == ((), 9)
    files = [path for path in root.rglob("*") if path.suffix in (".yaml", ".json")]
    assert len(files) == 8
    for path in files:
        assert canonical(path.read_text(), file=path.name) == path.read_text(), path


def test_what_init_writes_is_sound_and_canonical(tmp_path: Path) -> None:
    """A new repository validates at once, and the formatter has nothing to do."""
    files = starter_files("github")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        if name.endswith(".yaml") and not name.startswith("."):
            assert canonical(text, file=name) == text, name
    assert {"amsctl.yaml", ".gitignore", "README.md", ".github/workflows/limits.yml"} < files.keys()
    checked = validate_paths(load_project(tmp_path))
    assert (checked.diagnostics, checked.accounts) == ((), 1)
