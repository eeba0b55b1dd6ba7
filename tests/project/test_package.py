"""The built package: what is in it, and that it works away from the checkout."""

from __future__ import annotations

import hashlib
import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.project.checkout import ROOT, pyproject
from tools import check_package

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the folders of a virtual environment are called otherwise")

EPOCH = "1767225600"


def build(target: str, folder: Path) -> Path:
    """One built file, made offline by the build backend itself."""
    arguments = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment that has the wheel, and the packages of this one by a path line; never the checkout."""
    home = tmp_path_factory.mktemp("home") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    (packages,) = home.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    own = [path for path in (*site.getsitepackages(), site.getusersitepackages()) if Path(path).is_dir()]
    # Plain paths on sys.path, added last: their own .pth lines (the editable checkout) are not followed.
    (packages / "zz_dependencies.pth").write_text("\n".join(own) + "\n", encoding="utf-8")
    script = home / "bin" / "amsctl"
    module, _, function = pyproject()["project"]["scripts"]["amsctl"].partition(":")
    script.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n", encoding="utf-8")
    script.chmod(0o755)
    return home / "bin"


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command away from the checkout, without this process's Python settings."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith(("PYTHON", "AMSCTL", "COV"))}
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, env=environment, stdin=subprocess.DEVNULL)


def test_wheel_holds_code_schemas_and_examples(wheel: Path) -> None:
    """Schemas, the example repository and the typing marker ship with the code; nothing else does."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert list(check_package.faults_of_wheel(names)) == []
    assert {"amsctl/py.typed", "amsctl/schemas/account.v1.json", "amsctl/examples/limits/amsctl.yaml"} <= set(names)
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_what_is_missing_or_foreign_is_found(wheel: Path) -> None:
    """The look into the wheel can fail."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    found = list(check_package.faults_of_wheel(names - {"amsctl/py.typed"} | {"tests/conftest.py"}))
    assert found == ["missing from the wheel: amsctl/py.typed", "does not belong in the wheel: tests/conftest.py"]


def test_same_sources_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds the same commit gets the same wheel."""
    again = build("wheel", tmp_path)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == hashlib.sha256(wheel.read_bytes()).hexdigest()


def test_wheel_asks_for_what_pyproject_says(wheel: Path) -> None:
    """Name, version, Python and dependencies reach the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    project = pyproject()["project"]
    assert f"\nVersion: {project['version']}\n" in metadata
    assert f"\nRequires-Python: {project['requires-python']}\n" in metadata
    extras = project["optional-dependencies"]
    assert metadata.count("\nRequires-Dist: ") == len(project["dependencies"]) + sum(map(len, extras.values()))
    assert all(f"\nProvides-Extra: {name}\n" in metadata for name in extras)


def test_installed_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    """`amsctl --version` from the wheel."""
    done = run([str(installed / "amsctl"), "--version"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert pyproject()["project"]["version"] in done.stdout


def test_installed_command_finds_its_schemas_and_examples(installed: Path, tmp_path: Path) -> None:
    """The packaged examples are valid by the packaged schemas, read from the installed package alone."""
    program = "import json, amsctl.resources as r; print(json.dumps([str(r.examples_folder()), str(r.schemas_folder())]))"
    done = run([str(installed / "python"), "-c", program], tmp_path)
    examples, schemas = json.loads(done.stdout)
    assert examples.startswith(str(installed.parent))
    assert schemas.startswith(str(installed.parent))
    done = run([str(installed / "amsctl"), "-C", examples, "validate"], tmp_path)
    assert done.returncode == 0, done.stderr


def test_installed_package_is_typed_and_public(installed: Path, tmp_path: Path) -> None:
    """The public names can be imported from the wheel, away from the checkout."""
    program = "import amsctl; from amsctl import apply, load_manifests, plan, read_live; print(amsctl.__file__)"
    done = run([str(installed / "python"), "-c", program], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed.parent))


def test_source_archive_is_whole(tmp_path: Path) -> None:
    """From the source archive the same wheel can be built, and nobody's leftovers are in it."""
    import tarfile

    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = [member.name for member in archive.getmembers() if member.isfile()]
    assert list(check_package.faults_of_archive(names)) == []
