"""Whether a merge is no more than what follows from its two parents: then whoever merged has made nothing of it.

No program merges here: a merge driver is a program of a repository's configuration. What is not plain for sure is not plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from amsctl.provenance.commits import Commit, merge_bases
from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository
from amsctl.provenance.trees import Entry, Kind, Tree, tree_of

_MOST_LINES: Final = 2_000
"""So many lines of a file are compared, between the first and the last that differ."""
_MOST_BYTES: Final = 4 * 1024 * 1024


def is_plain_merge(repository: Repository, commit: Commit) -> bool | Unknown:
    """Whether a commit merges two others and holds exactly what both have made since their newest common commit. Not where both changed the same lines."""
    return len(commit.parents) == 2 and _is_of(repository, commit.parents[0], commit.parents[1], commit.id)


def is_squash_of(repository: Repository, commit: Commit, head: str) -> bool | Unknown:
    """Whether a commit holds exactly what its parent and ``head`` have made since their newest common commit: the squash merge of that, or its rebase."""
    return len(commit.parents) == 1 and _is_of(repository, commit.parents[0], head, commit.id)


def _is_of(repository: Repository, ours: str, theirs: str, merged: str) -> bool | Unknown:
    bases = merge_bases(repository, ours, theirs)
    if isinstance(bases, Unknown):
        return bases
    if len(bases) != 1:
        return False
    trees = []
    for one in (bases[0], ours, theirs, merged):
        tree = tree_of(repository, one)
        if isinstance(tree, Unknown):
            return tree
        trees.append(tree)
    return _is_merged(trees)


def _is_merged(trees: Sequence[Tree]) -> bool | Unknown:
    """The trees of the base, of both sides and of what became of them, folder by folder; a folder that is the same everywhere is not looked into."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        listed: list[dict[str, Entry]] = []
        for tree in trees:
            entries = tree.entries(folder)
            if isinstance(entries, Unknown):
                return entries
            listed.append({entry.name: entry for entry in entries})
        for name in sorted(set().union(*listed)):
            base, ours, theirs, merged = (names.get(name) for names in listed)
            if _is_taken(base, ours, theirs, merged):
                continue
            there = [entry for entry in (base, ours, theirs, merged) if entry is not None]
            if all(entry.kind is Kind.FOLDER for entry in there):
                waiting.append(there[0].path)
                continue
            same = _is_text_of_both(trees, (base, ours, theirs, merged))
            if same is not True:
                return same
    return True


def _is_taken(base: Entry | None, ours: Entry | None, theirs: Entry | None, merged: Entry | None) -> bool:
    """Whether one side alone has changed an entry, or both in the same way, and that is what became of it."""
    if _same(ours, theirs) or _same(base, theirs):
        return _same(merged, ours)
    return _same(base, ours) and _same(merged, theirs)


def _same(one: Entry | None, other: Entry | None) -> bool:
    return one == other


def _is_text_of_both(trees: Sequence[Tree], entries: Sequence[Entry | None]) -> bool | Unknown:
    """Whether a file that both sides have changed holds the changes of both."""
    texts: list[list[bytes]] = []
    for tree, entry in zip(trees, entries, strict=True):
        if entry is None or entry.kind is not Kind.FILE:
            return False
        content = tree.content(entry, most_bytes=_MOST_BYTES)
        if isinstance(content, Unknown):
            return content
        texts.append(content.splitlines(keepends=True))
    return merged_lines(texts[0], texts[1], texts[2]) == texts[3]


def merged_lines(base: Sequence[bytes], ours: Sequence[bytes], theirs: Sequence[bytes]) -> list[bytes] | None:
    """The lines of ``base`` with the changes of both sides; ``None`` where their changes meet, or there are too many lines to tell."""
    one, other = _changes(base, ours), _changes(base, theirs)
    if one is None or other is None:
        return None
    changes = sorted({*one, *other}, key=lambda change: change[:2])
    merged: list[bytes] = []
    at = -1
    for start, end, lines in changes:
        if start <= at:
            return None
        merged += [*base[max(at, 0) : start], *lines]
        at = end
    return [*merged, *base[max(at, 0) :]]


def _changes(base: Sequence[bytes], side: Sequence[bytes]) -> list[tuple[int, int, tuple[bytes, ...]]] | None:
    """What a side has made of which lines of the base; ``None`` where there are too many to tell."""
    first = 0
    while first < min(len(base), len(side)) and base[first] == side[first]:
        first += 1
    last = 0
    while last < min(len(base), len(side)) - first and base[len(base) - 1 - last] == side[len(side) - 1 - last]:
        last += 1
    before, after = base[first : len(base) - last], side[first : len(side) - last]
    if max(len(before), len(after)) > _MOST_LINES:
        return None
    found = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return [(first + i, first + j, tuple(after[k:m])) for tag, i, j, k, m in found if tag != "equal"]
