"""The reader's limits: bombs are refused in under a second, in bounded memory, and never crash the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from amsctl.manifests import findings as limits
from amsctl.manifests import reader
from amsctl.manifests.documents import read_content
from amsctl.manifests.findings import Findings, decode
from amsctl.manifests.nodes import Map, Seq
from amsctl.manifests.reader import read
from tests.patience import unit_seconds

BOMBS = {
    "brackets": (b"[" * 50_000, "too-deep"),
    "braces": (b"{a: " * 50_000, "too-deep"),
    "braces without blanks": (b"{" * 50_000, "complex-key"),
    "hyphens": (b"- " * 50_000, "too-deep"),
    "question marks": (b"? " * 50_000, "complex-key"),
    "indentation": ("\n".join(" " * depth + "a:" for depth in range(3000)).encode(), "too-deep"),
    "laughs": (b"a: &a [x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + n, 98 + n, b"*%c," % (97 + n) * 10) for n in range(9)), "alias"),
    "aliases": (b"a: &a x\n" + b"".join(b"k%d: *a\n" % n for n in range(100_000)), "too-many-findings"),
    "merges": (b"a: &a {b: c}\n" + b"<<: *a\n" * 50_000, "too-many-findings"),
    "tags": (b"a: !" + b"x" * 500_000 + b" b", "tag"),
    "anchors": (b"a: &" + b"x" * 500_000 + b" b", "anchor"),
    "long key": (b"x" * 2_000_000 + b": 1", "yaml-syntax"),
    "long text": (b"a: " + b"x" * 9_000_000, "too-long"),
    "quotes": (b'a: "' + b"x" * 9_000_000, "yaml-syntax"),
    "many values": (b"a: [" + b"1," * 1_100_000 + b"]", "too-many-values"),
    "many keys": (b"a: {" + b"".join(b"k%d, " % n for n in range(600_000)) + b"}", "too-many-values"),
    "documents": (b"---\na\n" * 200_000, "too-many-findings"),
    "empty documents": (b"---\n" * 1_000_000, None),
    "comments": (b"#" * 9_000_000, None),
    "blank lines": (b"\n" * 9_000_000, None),
    "large": (b" " * (10 * 1024 * 1024 + 1), "too-large"),
    "nul": (b"\0" * 1_000_000, "unseen-character"),
    "utf-16": ("kind: Account".encode("utf-16"), "encoding"),
    "latin-1": (b"# \xe4\nkind: Account", "encoding"),
    "escapes": (b'a: "' + b"\\x41" * 1_000_000 + b'"', "too-long"),
    "json brackets": (b'{"a": ' * 50_000, "too-deep"),
    "json arrays": (b"[" * 100_000 + b"]" * 100_000, "too-deep"),
}

CALLS = 12_000_000
"""Calls of functions that a file may cost: twice as many as the worst of them does, on every machine, and no more than two or three seconds of work."""
UNITS = 6_000
"""CPU time that a file may take, in units of plain Python: about a minute, which nothing takes that does not blow up within a call of libyaml."""
_CHILD = """
import json, resource, sys, time
from amsctl.config import Project
from amsctl.diagnostics import Source
from amsctl.errors import AmsctlError, ManifestErrors
from amsctl.manifests.load import load
from tests.patience import unit_seconds
def peak():
    # the kernel hands a parent's ru_maxrss down to its children, so a large test worker would be measured instead
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun, calls = time.process_time(), 0
def called(*_):
    global calls
    calls += 1
sys.setprofile(called)
try:
    load(Project(root=sys.argv[1], source=Source("amsctl.yaml", 1, 1)))
    codes = []
except ManifestErrors as error:
    codes = [one.code for one in error.diagnostics]
except AmsctlError as error:
    codes = [error.code]
sys.setprofile(None)
spent = time.process_time() - begun
print(json.dumps([codes, spent / unit_seconds(), peak() / 1024, calls]))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_time_and_memory(name: str, tmp_path: Path) -> None:
    """Brackets, aliases, long texts and many values: refused by a real process with at most twelve million calls of functions (two seconds or three) and
    200 MB, without a signal; what libyaml does by itself within a call is bounded by a time that only a blow-up takes.
    """
    content, code = BOMBS[name]
    (tmp_path / ("a.json" if name.startswith("json") else "a.yaml")).write_bytes(content)
    ran = subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], capture_output=True, timeout=240, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    codes, units, megabytes, calls = json.loads(ran.stdout)
    assert code in codes if code is not None else codes == ["config"]
    assert len(codes) <= limits.MAX_FINDINGS + 1
    assert megabytes < 200
    assert calls < CALLS
    assert units < UNITS


def test_nested_brackets_take_no_time() -> None:
    """libyaml is quadratic in nested brackets; the reader stops at the limit instead of reading on."""
    begun = time.process_time()
    read_content(b"[" * 50_000, "a.yaml")
    assert time.process_time() - begun < 100 * unit_seconds()


def documents(text: str) -> tuple[list[object], Findings]:
    findings = Findings("a.yaml")
    content = decode(text.encode(), findings)
    assert content is not None
    return list(read(content, findings)), findings


def test_positions_are_those_of_an_editor() -> None:
    """Lines and columns count from 1, in characters, and a byte order mark counts as nothing."""
    (root,), findings = documents("\ufeffé: [ü, 'x']\r\nb:\r\n  c: d\n")
    assert isinstance(root, Map)
    pos, names = root.entries["é"]
    assert isinstance(names, Seq)
    assert [pos, names.items[0], names.items[1]] == [1 << 24 | 1, ("ü", True, 1 << 24 | 5), ("x", False, 1 << 24 | 8)]
    pos, inner = root.entries["b"]
    assert isinstance(inner, Map)
    assert (pos, inner.entries["c"]) == (2 << 24 | 1, (3 << 24 | 3, ("d", True, 3 << 24 | 6)))
    assert not findings.items


@pytest.mark.parametrize("content", [b"abc\n\xffdef", b"\xc3\xa4\xc3\xa4\n\xc3"])
def test_a_bad_byte_is_named_with_its_place(content: bytes) -> None:
    """A file that is not UTF-8: line and column of the first bad byte."""
    findings = Findings("a.yaml")
    assert decode(content, findings) is None
    (finding,) = findings.items
    assert (finding.code, finding.source.line, finding.source.column) == ("encoding", 2, 1)
    assert finding.found is not None
    assert finding.found.startswith("byte 0x")


def test_values_are_counted_over_all_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on values is one of the file, not of a document."""
    monkeypatch.setattr(reader, "MAX_NODES", 50)
    _, findings = documents("---\na: b\n" * 20)
    assert [finding.code for finding in findings.items] == ["too-many-values"]


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Only regular files are read."""
    from amsctl.manifests.files import Unreadable, content_of

    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(Unreadable) as caught:
        content_of(str(tmp_path / "a.yaml"))
    assert caught.value.code == "not-a-file"
