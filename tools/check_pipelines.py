"""Hold every workflow, action and template against the schemas of GitHub and GitLab, and look for what is unsafe in them. Run by `make lint`.

Of a GitLab template the second document is checked, with its inputs filled in: the first describes them, for which there is no schema.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def run(command: Sequence[str]) -> int:
    """The exit code of a tool beside this Python."""
    return subprocess.run([str(BIN / command[0]), *command[1:]], cwd=ROOT, check=False).returncode


def against_schema(name: str, files: Iterable[Path]) -> int:
    """0 when all files are as the schema of that name wants them."""
    return run(["check-jsonschema", "--builtin-schema", f"vendor.{name}", *map(str, files)])


def filled(template: Path, folder: Path) -> Path:
    """The pipeline of a GitLab template with every input filled in."""
    _, _, pipeline = template.read_text(encoding="utf-8").partition("\n---\n")
    to = folder / template.name
    to.write_text(re.sub(r"\$\[\[ inputs\.[a-z-]+ \]\]", "filled-in", pipeline), encoding="utf-8")
    return to


def main() -> int:
    """0 when nothing is wrong."""
    github = ROOT / ".github"
    sys.path.insert(0, str(ROOT))
    from amsctl.manifests.starter import starter_files

    workflows, actions = sorted((github / "workflows").glob("*.yml")), sorted((github / "actions").glob("*/action.yml"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = folder / "limits"
        for ci in ("github", "gitlab"):
            for path, text in starter_files(ci).items():
                (written / path).parent.mkdir(parents=True, exist_ok=True)
                (written / path).write_text(text, encoding="utf-8")
        own = sorted((written / ".github" / "workflows").glob("*.yml"))
        templates = [filled(template, folder) for template in sorted((ROOT / "templates").glob("*.yml"))]
        failed = against_schema("github-workflows", [*workflows, *own])
        failed |= against_schema("github-actions", actions)
        failed |= against_schema("gitlab-ci", [*templates, written / ".gitlab-ci.yml"])
        failed |= run(["zizmor", "--offline", "--no-progress", "--quiet", "--persona", "pedantic", str(github), str(written / ".github")])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
