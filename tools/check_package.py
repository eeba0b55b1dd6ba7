"""Look into the built files of `dist/`: exactly one wheel and one source archive, whole, and of the version that the tag says.

Run by `make package`; `make package TAG=v1.2.3` compares the tag too. Standard library only: it also runs where nothing is installed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
UNWANTED = re.compile(r"(^|/)(\.git|\.venv|\.amsctl|__pycache__|\.hypothesis)(/|$)|\.(pyc|db)$|(^|/)\.env")


def files_below(folder: str) -> set[str]:
    """Names of the checkout's files below a folder, relative to the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not UNWANTED.search(path.relative_to(ROOT).as_posix())
    }


def expected_in_wheel() -> set[str]:
    """What a wheel must hold beside its metadata."""
    beside = {f"amsctl/{name}" for folder in ("schemas", "examples/limits") for name in files_below(folder)}
    pipelines = {f"amsctl/pipelines/gitlab/{name.removeprefix('templates/')}" for name in files_below("templates")}
    called = files_below(".github/actions") | {name for name in files_below(".github/workflows") if "/limits-" in name}
    pipelines |= {f"amsctl/pipelines/github/{name.removeprefix('.github/')}" for name in called}
    pipelines.add("amsctl/pipelines/pipeline.lock")
    return files_below("amsctl") | beside | pipelines


def faults_of_wheel(names: Iterable[str]) -> Iterator[str]:
    """What is missing from a wheel or does not belong there, one sentence each."""
    found = {name for name in names if ".dist-info/" not in name}
    expected = expected_in_wheel()
    yield from (f"missing from the wheel: {name}" for name in sorted(expected - found))
    yield from (f"does not belong in the wheel: {name}" for name in sorted(found - expected))


def faults_of_archive(names: Iterable[str]) -> Iterator[str]:
    """What is missing from a source archive or does not belong there; names begin with the archive's own folder."""
    found = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in names}
    wanted = (
        files_below("amsctl")
        | files_below("schemas")
        | files_below("examples")
        | files_below("templates")
        | files_below(".github")
        | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"}
    )
    yield from (f"missing from the source archive: {name}" for name in sorted(wanted - found))
    yield from (f"does not belong in the source archive: {name}" for name in sorted(found) if UNWANTED.search(name))


def faults(folder: Path, tag: str | None) -> Iterator[str]:
    """Everything wrong with the files of a folder."""
    wheels, archives = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    others = sorted(path.name for path in folder.iterdir() if path not in wheels + archives)
    if len(wheels) != 1 or len(archives) != 1 or others:
        yield f"expected one wheel and one source archive, found {len(wheels)} and {len(archives)}, and {others or 'nothing else'}"
        return
    version = wheels[0].name.split("-")[1]
    if archives[0].name != f"amsctl-{version}.tar.gz":
        yield f"two versions: {wheels[0].name} and {archives[0].name}"
    if tag and tag != f"v{version}":
        yield f"the tag is {tag}, the version in pyproject.toml is {version}"
    if f"## {version}" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no section for {version}"
    with zipfile.ZipFile(wheels[0]) as wheel:
        yield from faults_of_wheel(name for name in wheel.namelist() if not name.endswith("/"))
    with tarfile.open(archives[0]) as archive:
        yield from faults_of_archive(member.name for member in archive.getmembers() if member.isfile())


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    parser = argparse.ArgumentParser(description="Look into the built files.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    parser.add_argument("--tag", default=None)
    given = parser.parse_args()
    found = list(faults(given.folder, given.tag))
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if not found:
        print("; ".join(f"{path.name} ({path.stat().st_size} bytes)" for path in sorted(given.folder.iterdir())))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
