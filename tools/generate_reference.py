"""Write docs/reference from what the program itself says: its commands, its exit codes, its schemas, its defaults.

``python tools/generate_reference.py`` writes; ``--check`` compares and fails when a page is stale. The order and the text depend on nothing
but the sources, so that two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from amsctl import config, errors  # noqa: E402  the checkout's own package, whatever is installed
from amsctl.cli.shell import build  # noqa: E402
from tools import schema_page  # noqa: E402

REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by tools/generate_reference.py (`make docs`): change the sources, not this page. -->\n"

MEANINGS = {
    errors.ExitCode.DONE: "done: nothing to change (`plan`), or everything verified (`apply`)",
    errors.ExitCode.ERROR: "error, nothing written: a bad manifest, a bad configuration, the AMS unreachable, an incomplete read",
    errors.ExitCode.CHANGES: "changes pending: `plan --detailed-exitcode`",
    errors.ExitCode.REFUSED: "refused by a guard, a policy or a blocking finding; nothing written",
    errors.ExitCode.STALE: "stale: live state, the other side's limits, the target or the manifests are no longer what the plan saw; nothing (further) written",
    errors.ExitCode.PARTIAL: "partial: some steps landed, some failed or were blocked",
    errors.ExitCode.UNVERIFIED: "written but not verified: an answer or a read-back differs from what was asked, or an outcome stays unknown",
    errors.ExitCode.LATER: "locked, frozen or outside a window: try later",
    errors.ExitCode.APPROVAL: "approval missing or invalid, or declined; nothing written",
    errors.ExitCode.USAGE: "the command line does not make sense; nothing was done",
    errors.ExitCode.INTERRUPTED: "interrupted (Ctrl-C), after running calls were drained and recorded",
    errors.ExitCode.TERMINATED: "terminated (SIGTERM), after running calls were drained and recorded",
}

TITLES = {
    "project.v1": ("project.md", "The project file: amsctl.yaml"),
    "plan.v1": ("plan.md", "The plan: amsctl.plan/v1"),
    "report.v1": ("report.md", "The apply report: amsctl.report/v1"),
    "events.v1": ("events.md", "Events of an apply: amsctl.events/v1"),
}
MANIFESTS = ("account.v1", "limitprofile.v1")


def main() -> int:
    """Write the pages, or compare them; 0 when all is well."""
    parser = argparse.ArgumentParser(description="Write docs/reference.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    check = parser.parse_args().check
    stale = stale_pages()
    for path in stale:
        print(f"{'stale' if check else 'writing'}: {path.relative_to(ROOT)}", file=sys.stderr)
    if check:
        return 1 if stale else 0
    wanted = pages()
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path in stale:
        if path.name in wanted:
            path.write_text(wanted[path.name], encoding="utf-8")
        else:
            path.unlink()
    return 0


def stale_pages() -> list[Path]:
    """Pages that are missing, differ, or describe something that is gone."""
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in REFERENCE.glob("*.md")}
    return [REFERENCE / name for name in sorted(wanted.keys() | there.keys()) if wanted.get(name) != there.get(name)]


def pages() -> dict[str, str]:
    """Every page by its file name."""
    schemas = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "schemas").glob("*.json"))}
    found = {"commands.md": commands_page(), "exit-codes.md": exit_codes_page(), "manifests.md": manifests_page(schemas)}
    for name, (file, title) in TITLES.items():
        found[file] = schema_text(name, title, schemas[name], defaults() if name == "project.v1" else None)
    found["outputs.md"] = outputs_page({name: schema for name, schema in schemas.items() if name not in {*TITLES, *MANIFESTS}})
    found["README.md"] = index_page(found)
    return found


def index_page(found: dict[str, str]) -> str:
    """What there is to look up."""
    lines = [f"- [{title_of(text)}]({name})" for name, text in sorted(found.items())]
    return NOTE + "\n# Reference\n\nGenerated from the program itself; a test fails when a page is stale.\n\n" + "\n".join(lines) + "\n"


def title_of(text: str) -> str:
    """The first heading of a page."""
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


# --- commands ---


def commands_page() -> str:
    """The help of every command, as pages print it."""
    group = build()
    root = click.Context(group, info_name="amsctl", help_option_names=group.context_settings["help_option_names"])
    parts = [
        NOTE,
        "# Commands",
        "`amsctl [options] COMMAND`. The global options may stand before the command or after it.",
        help_block(group, root),
    ]
    for name in group.list_commands(root):
        command = group.get_command(root, name)
        assert command is not None
        parts += list(command_parts(command, click.Context(command, info_name=name, parent=root)))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def command_parts(command: click.Command, context: click.Context) -> Iterator[str]:
    """A command and the commands below it."""
    yield f"## {context.command_path}"
    yield help_block(command, context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from command_parts(child, click.Context(child, info_name=name, parent=context))


def help_block(command: click.Command, context: click.Context) -> str:
    """What ``--help`` prints, at a fixed width."""
    context.terminal_width = context.max_content_width = 100
    return "```text\n" + click.unstyle(command.get_help(context)).strip("\n") + "\n```"


# --- exit codes ---


def exit_codes_page() -> str:
    """The table of exit codes, and the errors behind each."""
    assert set(MEANINGS) == set(errors.ExitCode), "an exit code without a meaning, or a meaning without a code"
    lines = [NOTE, "# Exit codes", "", "The same for every command.", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {MEANINGS[code]} |" for code in errors.ExitCode]
    lines += [
        "",
        "## Errors",
        "",
        "With `--json-logs`, an error carries one of these codes.",
        "",
        "| code | exit | meaning |",
        "|---|---|---|",
    ]
    for kind in sorted(error_kinds(), key=lambda kind: (int(kind.exit_code), kind.code)):
        code = "130 or 143" if kind is errors.Interrupted else int(kind.exit_code)
        lines.append(f"| `{kind.code}` | {code} | {first_sentences(kind)} |")
    return "\n".join(lines) + "\n"


def error_kinds() -> Iterator[type[errors.AmsctlError]]:
    """Every kind of error that names its own code."""
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.AmsctlError) and kind is not errors.AmsctlError and "code" in vars(kind):
            yield kind


def first_sentences(kind: type) -> str:
    """The first paragraph of a class's docstring, on one line."""
    return " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split()).replace("|", "\\|").replace("``", "`")


# --- formats ---


def manifests_page(schemas: dict[str, schema_page.Schema]) -> str:
    """Both kinds of manifest."""
    parts = [NOTE, "# Manifests", MANIFESTS_LEAD]
    for name, kind in zip(MANIFESTS, ("account", "limitProfile"), strict=True):
        schema = schemas[name]
        part = {**schema["definitions"][kind], "definitions": schema["definitions"]}
        parts += [f"## {part['title']}", f"{part['description']} Schema: `schemas/{name}.json`.", schema_page.table(part)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


MANIFESTS_LEAD = """\
YAML (`.yml`, `.yaml`) or JSON (`.json`), UTF-8, one or more documents a file. Anchors, aliases, tags, merge keys and duplicate keys are errors.
Identifiers (firm, account, execution firm, product, label, profile) are the text as written, quoted or not: `027` stays `027`.
**What is not written is not managed**: it is observed and left as it is.
"""


def schema_text(name: str, title: str, schema: schema_page.Schema, known_defaults: dict[str, str] | None) -> str:
    """The page of one format."""
    lead = f"Schema: `schemas/{name}.json`." + (f" {schema['description']}" if schema.get("description") else "")
    parts = [NOTE, f"# {title}", lead]
    for word, branch in schema_page.alternatives(schema).items():
        parts += [f"## `{word}`"] if word else []
        parts.append(schema_page.table(branch, defaults=known_defaults))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def outputs_page(schemas: dict[str, schema_page.Schema]) -> str:
    """Every other format that a command prints."""
    parts = [
        NOTE,
        "# Outputs of the other commands",
        "What `--format json` prints; `--format yaml` prints the same where a command has it.",
    ]
    for name, schema in schemas.items():
        parts += [f"## amsctl.{name.replace('.v', '/v')}", f"Schema: `schemas/{name}.json`. {schema.get('description', '')}".strip()]
        parts.append(schema_page.table(schema))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def defaults() -> dict[str, str]:
    """What a key of the project file means when it is not written, read from the values themselves."""
    found = {}
    for prefix, kind in (
        ("spec", config.Project),
        ("spec.requests", config.Requests),
        ("spec.ledger", config.LedgerSettings),
        ("spec.windows[]", config.Window),
        ("spec.environments.<environmentName>", config.Environment),
        ("spec.environments.<environmentName>.auth", config.Auth),
        ("spec.environments.<environmentName>.assumptions", config.Assumptions),
    ):
        for field in dataclasses.fields(kind):
            if field.default not in (dataclasses.MISSING, None, ()):
                found[f"{prefix}.{camel(field.name)}"] = written(field.default)
    return found


def camel(name: str) -> str:
    """The key that stands for a field: ``page_size`` is ``pageSize``."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def written(value: object) -> str:
    """A default as it would be written in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return f"[{', '.join(written(item) for item in value)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


if __name__ == "__main__":
    raise SystemExit(main())
