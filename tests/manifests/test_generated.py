"""Damaged manifests by the thousand: each is read or refused with a place, quickly, and nothing else ever comes out."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

from amsctl.manifests.documents import read_content
from tests.conftest import CAMPAIGN
from tests.manifests.bad import GOOD
from tests.patience import unit_seconds

COUNT = int(os.environ.get("AMSCTL_GENERATED", 5_000 if CAMPAIGN == 1 else 20_000 * CAMPAIGN))
SEED = int(os.environ.get("AMSCTL_SEED", "20261121"))

_PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  defaultEnvironment: sandbox
  environments:
    sandbox: {url: http://127.0.0.1:8480/rest/v2, auth: {type: none}}
    nr:
      url: https://amsapinr.cmegroup.com/rest/v2
      auth: {type: oauth2, tokenUrl: https://authnr.cmegroup.com/as/token.oauth2, clientId: "${ID}", clientSecret: "${SECRET}"}
      tls: {caFile: ca.pem}
  requests: {concurrency: 8, perSecond: unlimited, timeoutSeconds: 0.5}
"""
_JSON = '{"apiVersion": "amsctl/v1", "kind": "LimitProfile", "metadata": {"name": "x"}, "spec": {"limits": {"A.FUT.CME": {"ef": {"long": 5}}}}}\n'
_GOOD = (("a.yaml", GOOD.encode()), ("b.yaml", _PROJECT.encode()), ("c.json", _JSON.encode()))
_SPLICES = (
    *(
        b"&a ",
        b"*a",
        b"!!int ",
        b"<<: ",
        b"? ",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b": ",
        b":",
        b"#",
        b'"',
        b"'",
        b"|\n",
        b">\n",
        b"\t",
        b"\r",
        b"\n",
    ),
    *(b"---\n", b"...\n", b"%YAML 1.1\n", b"\x00", b"\xff", b"\xc3\x28", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\xf0\x9f\x98\x80", b"[" * 40),
    *(
        b"{a: " * 40,
        b"x" * 5000,
        b"99999999999999999999",
        b"${",
        b"${}",
        b"https://[",
        b"\\u0000",
        b"@",
        b"`",
        b"~",
        b"null",
        b"true",
        b"\xc2\x85",
    ),
)


def _flip(content: bytearray, chance: random.Random) -> None:
    index = chance.randrange(len(content))
    content[index] ^= 1 << chance.randrange(8)


def _insert(content: bytearray, chance: random.Random) -> None:
    index = chance.randrange(len(content) + 1)
    content[index:index] = chance.choice(_SPLICES)


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def _remove(content: bytearray, chance: random.Random) -> None:
    index = chance.randrange(len(content))
    del content[index : index + chance.randrange(1, 30)]


def _splice(content: bytearray, chance: random.Random) -> None:
    other = chance.choice(_GOOD)[1]
    start = chance.randrange(len(other))
    index = chance.randrange(len(content) + 1)
    content[index:index] = other[start : start + chance.randrange(1, 80)]


def _swap_lines(content: bytearray, chance: random.Random) -> None:
    lines = bytes(content).split(b"\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    content[:] = b"\n".join(lines)


_DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _insert, _cut, _remove, _splice, _swap_lines)


def damaged(chance: random.Random) -> tuple[str, bytes]:
    name, good = chance.choice(_GOOD)
    content = bytearray(good)
    for _ in range(chance.randrange(1, 4)):
        if content:
            chance.choice(_DAMAGES)(content, chance)
    return name, bytes(content)


def test_a_damaged_manifest_is_read_or_refused_with_a_place() -> None:
    """Contract 1 and 2: whatever the bytes, findings with a place that lies in the file, no exception, and quickly."""
    chance = random.Random(SEED)
    refused = 0
    slowest = 0.0
    for number in range(COUNT):
        name, content = damaged(chance)
        begun = time.process_time()
        try:
            read = read_content(content, name, projects=True)
        except BaseException as error:
            raise AssertionError(f"file {number} of seed {SEED}: {content!r}") from error
        slowest = max(slowest, time.process_time() - begun)
        lines = content.count(b"\n") + content.count(b"\r") + 2
        for finding in read.findings:
            assert finding.source.file == name
            assert 1 <= finding.source.line <= lines, (number, content, finding)
            assert finding.source.column >= 1
            assert "\n" not in finding.message
            assert finding.code != "refused", (number, content, finding.message)
        refused += bool(read.findings)
    assert slowest < 200 * unit_seconds()
    assert COUNT // 2 < refused < COUNT, "the damage is neither harmless nor total"
