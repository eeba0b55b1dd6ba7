"""Commits as they were written: who, what for, signed how; and which lie between two. Complete, or Unknown.

Parents are read from the objects themselves, each held against its id: no graft, replacement, commit graph or end of a shallow clone can leave a commit
out. A commit between base and head that is not as git writes it is Unknown: what it says of people could be read in two ways.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository

MOST_COMMITS: Final = 20_000
"""How many commits may lie between two; more are Unknown, never cut."""
_MOST_WALKED: Final = 500_000
_BEYOND: Final = 1_000
"""How many commits of both sides are looked at beyond the last that times say may matter: clocks are wrong now and then."""
_PERSON: Final = re.compile(rb"([^<>\n]*) ?<([^<>\n]*)> ([0-9]{1,12}) ([+-][0-9]{4})\Z")
_DATE: Final = re.compile(rb"> ([0-9]{1,18}) [+-][0-9]+\Z")
_NAMES_SOMEBODY: Final = re.compile(
    r"^[ \t>]*([A-Za-z][A-Za-z0-9-]*-by|From|Author|Committer)[ \t]*:[ \t]*(\S.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"<\s*([^<>\s]+)\s*>")
_TAGGER: Final = re.compile(rb"^tagger (.*)$", re.MULTILINE)
_ENCODING: Final = re.compile(
    r"(?:iso-?8859-[0-9]+|latin-?[0-9]+|(?:windows|cp)-?125[0-9]|koi8-[ru]|shift_?jis|euc-?(?:jp|kr)|big5|gbk|gb18030)\Z", re.IGNORECASE
).match
_SIGNATURES: Final = {40: b"gpgsig", 64: b"gpgsig-sha256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody, as a commit writes them, and when: seconds since 1970. Bytes that are no UTF-8 stand as ``\\xNN``."""

    name: str
    address: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Somebody whom a message names: ``word`` is that of the line (``co-authored-by``, lower case), ``address`` is empty where the line has none."""

    word: str
    name: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature of a commit, or of a tag that it merged: of any kind, verified by nobody yet, with the bytes that it is of."""

    signature: bytes
    payload: bytes

    @property
    def is_ssh(self) -> bool:
        """Whether it is one of SSH: ``ssh-keygen -Y verify -n git`` judges it."""
        return self.signature.startswith(b"-----BEGIN SSH SIGNATURE-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit. ``named`` are those whom its message names, and the taggers of tags that it merged. ``raw`` is all of it, byte for byte."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str
    named: tuple[Named, ...]
    signature: Signature | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Node:
    """What a walk needs of a commit."""

    parents: tuple[str, ...]
    seconds: int


def commit_at(repository: Repository, commit: str) -> Commit | Unknown:
    """One commit by its id."""
    raw = repository.objects.read(commit, type="commit")
    return raw if isinstance(raw, Unknown) else decoded(commit, raw)


def commits_between(repository: Repository, base: str, head: str, *, most: int = MOST_COMMITS) -> tuple[Commit, ...] | Unknown:
    """Every commit that ``head`` has and ``base`` lacks, newest first: complete, or Unknown. None where ``base`` has them all.

    Where times run backwards, and the only way from ``base`` to a commit leads through more than a thousand that both have, that commit may be among them,
    never the other way round. Unknown where an object is missing (a shallow or partial clone), where the two have no commit in common, and where there are
    more than ``most``.
    """
    walk = _Walk(repository)
    found = walk.between(base, head, most)
    if isinstance(found, Unknown):
        return found
    commits: list[Commit] = []
    for commit, raw in zip(found, repository.objects.read_all(found, type="commit"), strict=True):
        one = raw if isinstance(raw, Unknown) else decoded(commit, raw)
        if isinstance(one, Unknown):
            return one
        commits.append(one)
    return tuple(commits)


def is_ancestor(repository: Repository, ancestor: str, descendant: str) -> bool | Unknown:
    """Whether a commit is another one or one of its ancestors."""
    return _Walk(repository).is_ancestor(ancestor, descendant)


def merge_bases(repository: Repository, one: str, other: str) -> tuple[str, ...] | Unknown:
    """The newest commits that both have, of which none is an ancestor of another: one, unless branches were merged both ways; none where they have none in
    common. Unknown where the history is not whole.
    """
    walk = _Walk(repository)
    found = walk.shared(one, other)
    if isinstance(found, Unknown) or len(found) < 2:
        return found
    kept = []
    for commit in found:
        reached = [walk.is_ancestor(commit, another) for another in found if another != commit]
        unknown = next((answer for answer in reached if isinstance(answer, Unknown)), None)
        if unknown is not None:
            return unknown
        if True not in reached:
            kept.append(commit)
    return tuple(kept)


def first_parent_path(repository: Repository, old: str, new: str, *, most: int = MOST_COMMITS) -> tuple[str, ...] | Unknown:
    """The commits of a branch after ``old`` up to ``new``, newest first, along first parents: what the branch itself stood at, one after the other."""
    walk = _Walk(repository)
    path: list[str] = []
    at = new
    while at != old:
        node = walk.node(at)
        if isinstance(node, Unknown):
            return node
        path.append(at)
        if not node.parents:
            return Unknown(reason=f"{old[:12]} is no commit that the branch stood at on its way to {new[:12]}")
        if len(path) > most:
            return _too_many(most)
        at = node.parents[0]
    return tuple(path)


def newest_without(repository: Repository, tip: str, change: str) -> str | Unknown | None:
    """The newest commit of a branch, along first parents from ``tip``, that lacks the commit ``change``; ``None`` where even the first has it."""
    walk = _Walk(repository)
    path = [tip]  # newest first, as far as it was needed
    low, step = -1, 1  # path[low] has the change
    while True:
        at, end = walk.along(path, low + step)
        has = walk.is_ancestor(change, path[at])
        if isinstance(has, Unknown):
            return has
        if not has:
            return _first_without(walk, path, change, low, at)
        if at < low + step:
            return end
        low, step = at, step * 2


def _first_without(walk: _Walk, path: Sequence[str], change: str, low: int, high: int) -> str | Unknown:
    """Between one that has the change and an older one that lacks it: the newest that lacks it."""
    while high - low > 1:
        middle = (low + high) // 2
        has = walk.is_ancestor(change, path[middle])
        if isinstance(has, Unknown):
            return has
        low, high = (middle, high) if has else (low, middle)
    return path[high]


class _Walk:
    """Commits along their parents; each is read once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._nodes: dict[str, _Node] = {}

    def node(self, commit: str) -> _Node | Unknown:
        """What one commit says of its parents and its time."""
        found = self._nodes.get(commit)
        if found is None:
            if len(self._nodes) >= _MOST_WALKED:
                return _too_many(_MOST_WALKED)
            raw = self._repository.objects.read(commit, type="commit")
            if isinstance(raw, Unknown):
                return raw.because("the history is not whole") if self._repository.shallow else raw
            found = self._nodes[commit] = _node(raw)
        return found

    def along(self, path: list[str], index: int) -> tuple[int, Unknown | None]:
        """The path of first parents made as long as ``index``, or as far as it goes: where that is, and why it goes no further if that is unknown."""
        while len(path) <= index:
            node = self.node(path[-1])
            if isinstance(node, Unknown) or not node.parents:
                return len(path) - 1, node if isinstance(node, Unknown) else None
            parent = self.node(node.parents[0])
            if isinstance(parent, Unknown):
                return len(path) - 1, parent
            path.append(node.parents[0])
        return index, None

    def is_ancestor(self, ancestor: str, descendant: str) -> bool | Unknown:
        """Exact: no commit on a way from ``descendant`` to ``ancestor`` is an ancestor of the latter, so none is passed over."""
        queue = self._paint(ancestor, descendant, until=ancestor)
        return queue if isinstance(queue, Unknown) else queue.sides[ancestor] == _BOTH

    def between(self, base: str, head: str, most: int) -> list[str] | Unknown:
        """The commits that only ``head`` has, newest first."""
        queue = self._paint(base, head)
        if isinstance(queue, Unknown):
            return queue
        self._beyond(queue)
        painted = queue.sides
        if _BOTH not in painted.values():
            return Unknown(reason=f"{base[:12]} and {head[:12]} have no commit in common", hint="name the branch that the change is for")
        found = [commit for commit, paint in painted.items() if paint == _HEAD]
        if len(found) > most:
            return _too_many(most)
        return sorted(found, key=lambda commit: (-self._nodes[commit].seconds, commit))

    def shared(self, one: str, other: str) -> tuple[str, ...] | Unknown:
        """The commits that both have and that no commit which was reached from both has for a parent: the newest of them, and maybe older ones."""
        queue = self._paint(one, other)
        if isinstance(queue, Unknown):
            return queue
        both = [commit for commit, paint in queue.sides.items() if paint == _BOTH]
        older = {parent for commit in both for parent in self._nodes[commit].parents}
        return tuple(sorted(set(both) - older))

    def _paint(self, base: str, head: str, *, until: str | None = None) -> _Queue | Unknown:
        """Each commit reached, with the sides that reach it. It ends when all that is left to look at is reached from both sides, and older than all
        that the head alone reaches.
        """
        queue = _Queue()
        for commit, side in ((base, _BASE), (head, _HEAD)):
            failed = self._reach(queue, commit, side)
            if failed is not None:
                return failed
        while queue.goes_on() and (until is None or queue.sides[until] != _BOTH):
            commit = queue.pop()
            for parent in self._nodes[commit].parents:
                failed = self._reach(queue, parent, queue.sides[commit])
                if failed is not None:
                    return failed
        return queue

    def _beyond(self, queue: _Queue) -> None:
        """Go on for a while: a commit that is older than its parent may be all that shows that both sides have what the head alone was seen to reach. A
        history that is cut there leaves it at what is known: the head's alone, which asks for more.
        """
        for _ in range(_BEYOND):
            if not (queue.waits and queue.head_alone):
                return
            commit = queue.pop()
            for parent in self._nodes[commit].parents:
                if self._reach(queue, parent, _BOTH) is not None:
                    return

    def _reach(self, queue: _Queue, commit: str, side: int) -> Unknown | None:
        node = self.node(commit)
        if isinstance(node, Unknown):
            return node
        queue.add(commit, side, node.seconds)
        return None


class _Queue:
    """Commits to look at, the newest first, and which sides reach each."""

    def __init__(self) -> None:
        self.sides: dict[str, int] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._waiting: set[str] = set()
        self._open = 0  # how many of those that wait are reached from one side alone
        self._oldest: int | None = None  # of those that the head alone was seen to reach
        self.head_alone = 0  # how many it is seen to reach alone

    def add(self, commit: str, side: int, seconds: int) -> None:
        """A side reaches a commit; what it did not know it is to look at."""
        before = self.sides.get(commit, 0)
        after = self.sides[commit] = before | side
        if after == before:
            return
        waits = commit in self._waiting
        self.head_alone += (after == _HEAD) - (before == _HEAD)
        self._open += (after != _BOTH) - (waits and before != _BOTH)
        if after == _HEAD:
            self._oldest = seconds if self._oldest is None else min(self._oldest, seconds)
        if not waits:
            self._waiting.add(commit)
            heapq.heappush(self._heap, (-seconds, after != _HEAD, commit))

    def pop(self) -> str:
        """The next one."""
        *_, commit = heapq.heappop(self._heap)
        self._waiting.discard(commit)
        self._open -= self.sides[commit] != _BOTH
        return commit

    def goes_on(self) -> bool:
        """Whether what waits may still change what is known."""
        if self._open > 0 or not self.waits or not self.head_alone:
            return self._open > 0
        assert self._oldest is not None
        return -self._heap[0][0] >= self._oldest

    @property
    def waits(self) -> bool:
        """Whether there is one more to look at."""
        return bool(self._heap)


_BASE: Final = 1
_HEAD: Final = 2
_BOTH: Final = 3


def _too_many(most: int) -> Unknown:
    return Unknown(
        reason=f"there are more than {most} commits to look at",
        hint="name the branch that the change is for; or make the change on top of it",
    )


def _node(raw: bytes) -> _Node:
    header = raw.partition(b"\n\n")[0].split(b"\n")
    parents = [line[len(b"parent ") :].decode("ascii", "replace") for line in header if line.startswith(b"parent ")]
    committed = next((line for line in header if line.startswith(b"committer ")), b"")
    date = _DATE.search(committed)
    return _Node(tuple(parents), 0 if date is None else int(date.group(1)))


# --- a commit object ---


def decoded(commit: str, raw: bytes) -> Commit | Unknown:
    """What a commit object says. Unknown where it is not as git writes one."""
    head, blank, body = raw.partition(b"\n\n")
    if not blank:
        head, body = raw.removesuffix(b"\n"), b""
    lines = head.split(b"\n")
    headers = _headers(lines)
    problem = "a NUL" if b"\0" in raw else _problem(headers)
    if problem is not None:
        return Unknown(reason=f"the commit {commit[:12]} is not as git writes one: {problem}", hint="git fsck says more")
    named = dict(headers)
    people = [_person(named[word]) for word in (b"author", b"committer")]
    if None in people:
        return Unknown(reason=f"the commit {commit[:12]} names nobody in a way that is clear", hint="git fsck says more")
    author, committer = people
    assert author is not None
    assert committer is not None
    message = _text(body, named.get(b"encoding", b""))
    tagged = [_person(match) for value in (value for name, value in headers if name == b"mergetag") for match in _TAGGER.findall(value)]
    return Commit(
        id=commit,
        tree=named[b"tree"].decode("ascii"),
        parents=tuple(value.decode("ascii") for name, value in headers if name == b"parent"),
        author=author,
        committer=committer,
        message=message,
        named=(*_named(message), *(Named(word="tagger", name=one.name, address=one.address) for one in tagged if one is not None)),
        signature=_signature(lines, body, blank, len(commit)),
        raw=raw,
    )


def _headers(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Names and values, with the lines that continue them joined."""
    headers: list[tuple[bytes, bytes]] = []
    for line in lines:
        if line.startswith(b" ") and headers:
            name, value = headers[-1]
            headers[-1] = (name, value + b"\n" + line[1:])
        else:
            name, _, value = line.partition(b" ")
            headers.append((name, value))
    return headers


def _problem(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """What is not as git writes it: the order of the first headers, one that stands twice, an id that is none."""
    names = [name for name, _ in headers]
    parents = 0
    while names[1 + parents : 2 + parents] == [b"parent"]:
        parents += 1
    if names[:1] != [b"tree"] or names[1 + parents : 3 + parents] != [b"author", b"committer"]:
        return "tree, parents, author, committer do not stand in this order"
    once = [name for name in names if name not in {b"parent", b"mergetag"}]
    twice = next((name for name in once if once.count(name) > 1), None)
    if twice is not None or b"parent" in names[1 + parents :]:
        return f"{(twice or b'parent').decode('ascii', 'replace')!r} stands twice"
    if any(not re.fullmatch(b"[0-9a-f]{40}|[0-9a-f]{64}", value) for name, value in headers if name in {b"tree", b"parent"}):
        return "an object id is none"
    return None


def _person(line: bytes) -> Person | None:
    match = _PERSON.match(line)
    if match is None:
        return None
    name, address, seconds = match.group(1), match.group(2), int(match.group(3))
    return Person(name=_text(name.strip()), address=_text(address.strip()), seconds=seconds)


def _text(raw: bytes, encoding: bytes = b"") -> str:
    """Text as it was meant: in the encoding that the commit names, else UTF-8; bytes that are none as ``\\xNN``."""
    named = encoding.decode("ascii", "replace")
    try:
        return raw.decode(named if _ENCODING(named) else "utf-8")
    except (UnicodeError, LookupError):
        return raw.decode("utf-8", "backslashreplace")


def _named(message: str) -> list[Named]:
    """Those whom the lines of a message name, wherever the line stands."""
    found: list[Named] = []
    for match in _NAMES_SOMEBODY.finditer(message):
        word, text = match.group(1).lower(), match.group(2)
        addresses = _ADDRESS.findall(text) or ([text] if "@" in text and " " not in text else [""])
        name = _ADDRESS.sub("", text).strip()
        found += [Named(word=word, name=name, address=address) for address in addresses]
    return found


def _signature(lines: Sequence[bytes], body: bytes, blank: bytes, digits: int) -> Signature | None:
    """The signature, and the commit without it and any other: what git signs."""
    kept: list[bytes] = []
    signed: list[bytes] = []
    inside: bytes | None = None
    for line in lines:
        name, _, value = line.partition(b" ")
        if line.startswith(b" ") and inside is not None:
            value = line[1:]
        else:
            inside = name if name.startswith(b"gpgsig") else None
        if inside == _SIGNATURES[digits]:
            signed.append(value)
        elif inside is None:
            kept.append(line)
    if not signed:
        return None
    return Signature(signature=b"\n".join(signed) + b"\n", payload=b"\n".join(kept) + (blank or b"\n") + body)
