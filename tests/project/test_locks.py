"""The locked packages: complete, exact, hashed, and silent about where they came from."""

from __future__ import annotations

import re
from importlib.metadata import distribution

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.checkout import ROOT, pyproject

LOCKS = ("runtime.lock", "pipeline.lock", "dev.lock")


def lock(name: str) -> dict[str, tuple[Requirement, tuple[str, ...]]]:
    """Each locked package with its hashes, by canonical name."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        requirement = Requirement(line.partition("--hash")[0].strip())
        hashes = tuple(re.findall(r"--hash=(\S+)", line))
        key = canonicalize_name(requirement.name)
        assert key not in found, f"{key} is locked twice"
        found[key] = (requirement, hashes)
    return found


def asked_for(name: str) -> list[Requirement]:
    written = list(pyproject()["project"]["dependencies"])
    if name == "dev.lock":
        written += pyproject()["dependency-groups"]["dev"]
    if name == "pipeline.lock":
        written += pyproject()["project"]["optional-dependencies"]["postgresql"]
    return [Requirement(text) for text in written]


def version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    """One exact version each, and sha256 alone: pip installs nothing else."""
    locked = lock(name)
    assert len(locked) > 20
    for requirement, hashes in locked.values():
        assert version(requirement)
        assert not requirement.extras
        assert requirement.url is None
        assert hashes, f"{requirement} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in hashes)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_satisfy_what_is_asked_for(name: str) -> None:
    """A bound that is changed in pyproject.toml is locked again."""
    locked = lock(name)
    for requirement in asked_for(name):
        found, _ = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version(found)), f"{name}: {found} is not {requirement}; run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_locks_are_closed(name: str) -> None:
    """What a locked package needs is locked as well, in a version that it accepts: pip never has to choose."""
    locked = lock(name)
    environment = {str(key): str(value) for key, value in default_environment().items()} | {"extra": ""}
    checked = 0
    for requirement, _ in locked.values():
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        installed = distribution(requirement.name)
        if installed.version != version(requirement):
            continue  # a development machine with other versions; CI installs these
        checked += 1
        for needed in map(Requirement, installed.requires or ()):
            if needed.marker is None or needed.marker.evaluate(environment):
                found, _ = locked[canonicalize_name(needed.name)]
                assert needed.specifier.contains(version(found)), f"{requirement} needs {needed}, locked is {found}"
    assert checked > 10


def test_tests_run_with_what_users_run_with() -> None:
    """A package has one version in both locks."""
    dev = lock("dev.lock")
    for name in ("runtime.lock", "pipeline.lock"):
        users = lock(name)
        assert {key: version(requirement) for key, (requirement, _) in users.items()} == {key: version(dev[key][0]) for key in users}
    assert lock("pipeline.lock").keys() - lock("runtime.lock").keys() == {"psycopg", "psycopg-binary"}


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_host(name: str) -> None:
    """Where packages come from is the installing machine's business."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert not re.search(r"://|^-", text, re.MULTILINE)
