"""What git tracks: nothing of the machine it was written on, nothing secret, nothing built."""

from __future__ import annotations

import re

import pytest

from tests.project.checkout import ROOT, tracked_files

# Written apart, so that this file does not contain what it looks for.
REGISTRIES = ("pypi" + ".org", "pythonhosted" + ".org", "index" + "-url", "find" + "-links")
MACHINE = re.compile("|".join((r"(?<![\w./-])/" + "work/", r"/opt/" + r"(dev|venv|pypi|wheels)", "/" + r"root/\.", r"\.\./" + "shared")))
KEYS = re.compile("BEGIN (RSA |EC |OPENSSH )?PRIVATE" + " KEY|" + "ghp" + "_[A-Za-z0-9]{20}|" + "AKIA" + "[A-Z0-9]{16}")


def texts() -> list[tuple[str, str]]:
    return [(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8", errors="replace")) for path in tracked_files()]


@pytest.mark.parametrize("word", REGISTRIES)
def test_no_package_registry_is_named(word: str) -> None:
    """Which index a machine installs from is its own setting."""
    # `--no-emit-index-url` keeps an index out of a lock: that is allowed.
    assert [name for name, text in texts() if word in text.replace("--no-emit-index-url", "")] == []


def test_no_path_of_one_machine_is_named() -> None:
    """The project speaks of itself alone."""
    found = [f"{name}: {match.group()}" for name, text in texts() if (match := MACHINE.search(text))]
    assert found == []


def test_no_secret_is_tracked() -> None:
    """No private key and no token stands in a file (tests make theirs as they run)."""
    assert [name for name, text in texts() if KEYS.search(text)] == []


def test_nothing_built_is_tracked() -> None:
    """Caches, environments, built packages and ledgers are made, not tracked."""
    built = re.compile(r"(^|/)(\.venv|dist|build|__pycache__|\.amsctl|\.hypothesis|[^/]+\.egg-info)/|\.(pyc|db|whl)$|(^|/)\.coverage")
    assert [name for name, _ in texts() if built.search(name)] == []


def test_files_are_plain_text() -> None:
    """UTF-8, Unix line ends, a newline at the end, and no invisible character that reads differently than it runs."""
    hidden = re.compile("[\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        if name.startswith(("tests/golden/", "examples/bad")) or path.suffix in {".png", ".svg"}:
            continue
        raw = path.read_bytes()
        text = raw.decode("utf-8")
        assert b"\r" not in raw, name
        assert not raw or raw.endswith(b"\n"), name
        assert not hidden.search(text), name
