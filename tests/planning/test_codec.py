"""The plan file: what is written is read back, and nothing else is taken for a plan."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from amsctl.config import Safeguards
from amsctl.diagnostics import Source
from amsctl.errors import PlanFileError
from amsctl.model import Owner
from amsctl.planning.arrange import assemble
from amsctl.planning.codec import decode, digest_of, encode, sealed
from amsctl.planning.fingerprint import canonical, sha256, sha256_of_members
from amsctl.planning.plan import Git, Origin, Plan, Selection, Target
from tests.applying.test_executor import wish, world
from tests.applying.world import plan_of


def plan() -> Plan:
    made = plan_of(world(), {"A": wish()})
    origin = Origin(
        manifests_sha256="ab", git=Git(commit="c0ffee", author="A <a@b>", dirty=True), selection=Selection(paths=("p",), labels=("k=v",))
    )
    target = Target(
        environment="e", ams="e", url="u", service="ICC", principal="p", ownership=tuple(Owner), unset_means="blocked", protected=True
    )
    return sealed(replace(made, origin=origin, target=target))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every member and item of a JSON value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from leaves(item, (*path, name))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


DOCUMENT = encode(plan())
PATHS = list(leaves(DOCUMENT))


def test_what_is_written_is_read_back() -> None:
    assert decode(json.loads(json.dumps(DOCUMENT))) == plan()


def test_every_member_counts() -> None:
    """Whichever member is changed, taken away or added: the plan is refused, with the place where it stands."""
    assert len(PATHS) > 300
    for path in PATHS:
        for spoil in (None, "x", 1, True, [], {}, 1.5):
            spoiled = copy.deepcopy(DOCUMENT)
            parent = at(spoiled, path[:-1])
            if parent[path[-1]] == spoil and type(parent[path[-1]]) is type(spoil):
                continue
            parent[path[-1]] = spoil
            with pytest.raises(PlanFileError):
                decode(spoiled)
        removed = copy.deepcopy(DOCUMENT)
        del at(removed, path[:-1])[path[-1]]
        with pytest.raises(PlanFileError):
            decode(removed)


def test_unknown_members_are_named_with_their_place() -> None:
    for path in [(), *PATHS]:
        spoiled = copy.deepcopy(DOCUMENT)
        target = at(spoiled, path)
        if isinstance(target, dict) and "body" not in path and "query" not in path:
            target["unheard"] = 1
            with pytest.raises(PlanFileError, match="unheard"):
                decode(spoiled)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            {"format": "amsctl.plan/v2"},
            "this is not a plan that this version reads (format): expected amsctl.plan/v1, found 'amsctl.plan/v2'",
        ),
        ({"tool": {"name": "terraform", "version": "1"}}, "this plan was written by another tool (tool.name): expected amsctl"),
        ({"steps": {}}, "the plan file is not as it must be (steps): expected a list, found '{}'"),
        ({"created_at": None}, "the plan file is not as it must be (created_at): expected a text, found 'None'"),
        ({"target": []}, "the plan file is not as it must be (target): expected an object, found list"),
    ],
)
def test_refusals_say_what_and_where(edit: dict[str, object], expected: str) -> None:
    with pytest.raises(PlanFileError) as caught:
        decode({**DOCUMENT, **edit})
    assert str(caught.value).replace("found {}", "found '{}'").replace("found None", "found 'None'") == expected


def test_a_changed_plan_is_told_from_its_digest() -> None:
    spoiled = copy.deepcopy(DOCUMENT)
    spoiled["expires_at"] = "2099-01-01T00:00:00Z"
    with pytest.raises(PlanFileError, match=r"changed after it was written \(digest\)"):
        decode(spoiled)


def test_values_other_than_objects_are_no_plans() -> None:
    for value in (None, 1, "x", [], [DOCUMENT]):
        with pytest.raises(PlanFileError):
            decode(value)


def test_the_digest_binds_every_part() -> None:
    """Another target, principal, rule, commit, selection, observation or step is another digest: no approval carries over."""
    made = plan()
    others = [
        replace(made, target=replace(made.target, **{name: value}))  # type: ignore[arg-type]
        for name, value in {
            "environment": "f",
            "url": "v",
            "service": "X",
            "principal": "q",
            "ownership": (),
            "unset_means": "unlimited",
            "protected": False,
        }.items()
    ]
    others += [
        replace(made, origin=replace(made.origin, **edit))
        for edit in ({"manifests_sha256": "x"}, {"git": None}, {"selection": Selection()})
    ]  # type: ignore[arg-type]
    others += [
        replace(made, **edit) for edit in ({"created_at": "x"}, {"expires_at": "x"}, {"tool_version": "x"}, {"steps": made.steps[1:]})
    ]  # type: ignore[arg-type]
    others += [replace(made, observed=(replace(made.observed[0], sha256="x"),)), replace(made, changes=made.changes[1:])]
    others += [replace(made, changes=(replace(made.changes[0], source=Source("z", 1, 1)), *made.changes[1:]))]
    digests = {digest_of(other) for other in others}
    assert len(digests) == len(others)
    assert made.digest not in digests


def test_guards_that_are_off_are_told_in_every_plan() -> None:
    made = plan()
    for protected in (False, True):
        target = replace(made.target, protected=protected)
        told = assemble(
            [], target=target, origin=made.origin, created_at="a", expires_at="b", tool_version="0", safeguards=Safeguards(guards={})
        ).findings
        assert [(finding.code, finding.blocks) for finding in told] == [("guards-off", protected)]


texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_canonical_json_is_rfc_8785(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(st.dictionaries(keys, st.lists(values, max_size=3) | values, max_size=4))
def test_a_hash_taken_piece_by_piece_is_that_of_the_whole(members: dict[str, object]) -> None:
    """Lists may come as iterators, empty ones too; the plan's digest is taken this way and is that of the plan file's object."""
    pieces = {name: iter(value) if isinstance(value, list) else value for name, value in members.items()}
    assume(all(name < "\ud800" for name in members))
    assert sha256_of_members(pieces) == sha256(members)


def test_the_digest_is_over_the_object_in_the_file() -> None:
    """Whoever has RFC 8785 and SHA-256 can check a plan file without amsctl."""
    rest = {name: value for name, value in DOCUMENT.items() if name != "digest"}
    assert DOCUMENT["digest"] == "sha256:" + hashlib.sha256(rfc8785.dumps(rest)).hexdigest()


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        sha256({"at": object()})
    with pytest.raises(ValueError, match="Out of range"):
        canonical(float("nan"))
