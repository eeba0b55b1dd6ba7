"""The frame around the commands: global options, lazy loading, help with examples."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from typing import Final, NamedTuple

import click

from amsctl.cli.console import Color
from amsctl.cli.session import Session


class Entry(NamedTuple):
    """Where a command lives and what it does, in one line. The module's ``command`` is the click command; its help must begin with ``line``."""

    module: str
    line: str


COMMANDS: Final[dict[str, Entry]] = {
    "demo": Entry("amsctl.cli.demo", "Show a plan and an apply against the sandbox, from start to end."),
    "init": Entry("amsctl.cli.init", "Write a new limits repository."),
    "validate": Entry("amsctl.cli.validate", "Check manifests offline: syntax, schema, meaning."),
    "fmt": Entry("amsctl.cli.fmt", "Write manifests in their canonical form; comments are kept."),
    "plan": Entry("amsctl.cli.plan", "Show what would change at the AMS; writes nothing there."),
    "show": Entry("amsctl.cli.show", "Show a saved plan or an apply report."),
    "diff": Entry("amsctl.cli.diff", "Show what two saved plans do not have in common."),
    "approve": Entry("amsctl.cli.approve", "Approve a saved plan: sign its digest with an OpenSSH key."),
    "apply": Entry("amsctl.cli.apply", "Carry out a plan and verify every step."),
    "resume": Entry("amsctl.cli.resume", "Go on with a run after a crash, a signal or a failure."),
    "resolve": Entry("amsctl.cli.resolve", "Read accounts that are in quarantine, and lift the quarantine."),
    "rollback": Entry("amsctl.cli.rollback", "Write the plan that takes back what RUN changed; writes nothing at the AMS."),
    "get": Entry("amsctl.cli.get", "Show what the AMS holds now."),
    "ledger": Entry("amsctl.cli.ledger", "Show, check and export the record of every write."),
    "ci": Entry("amsctl.cli.ci", "Comment, read reviews, fetch the reviewed plan, keep an issue."),
    "lock": Entry("amsctl.cli.lock", "Show who may write now, or break a lock."),
    "freeze": Entry("amsctl.cli.freeze", "Stop every write to a clearing firm, or to all of them."),
    "thaw": Entry("amsctl.cli.thaw", "Allow writes again after a freeze."),
    "sandbox": Entry("amsctl.cli.sandbox", "Run a stand-in for the AMS to rehearse against."),
    "completion": Entry("amsctl.cli.completion", "Print the completion script of a shell."),
}
"""Every command, in the order of the help. A module is imported only when its command runs or its own help is shown."""


class _Framed(click.Command):
    """Help that is printed where every result is printed, with examples."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """``-h`` and ``--help``."""
        return _help_option(super().get_help_option(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, unwrapped: they are meant to be copied."""
        _write_examples(self.epilog, formatter)


class Command(_Framed):
    """A command that takes the global options after its name too, and whose epilog (the examples) is shown as it is written."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # click's own signature, passed on
        self.params.extend(_global_options(hidden=True))


class CommandGroup(_Framed, click.Group):
    """Commands under one name, such as ``amsctl ledger``; the global options are taken after each of the words."""

    command_class = Command

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"no_args_is_help": False, **kwargs})  # type: ignore[arg-type]  # click's own signature, passed on
        self.params.extend(_global_options(hidden=True))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order in which they were written."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with a guess where the name is unknown."""
        _check_name(args, self.commands, ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(_Framed, click.Group):
    """The commands of ``COMMANDS``; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported; ``None`` when there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry.module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own, with a guess where the name is unknown."""
        _check_name(args, COMMANDS, ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line each, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.line) for name, entry in COMMANDS.items()])


def _help_option(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.callback = _show_help
    return option


def _show_help(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        _session(ctx).console.result(ctx.get_help())
        ctx.exit(0)


def _write_examples(epilog: str | None, formatter: click.HelpFormatter) -> None:
    if epilog:
        formatter.write_paragraph()
        formatter.write(epilog.strip("\n") + "\n")


def _check_name(args: list[str], known: Collection[str], ctx: click.Context) -> None:
    if not args or args[0] in known or args[0].startswith("-"):
        return
    from difflib import get_close_matches

    close = get_close_matches(args[0], known, n=1)
    guess = f"Did you mean {close[0]!r}?" if close else f"See {ctx.command_path} --help."
    raise click.UsageError(f"No such command {args[0]!r}. {guess}", ctx)


# --- global options: before the command or after it ---


def _session(ctx: click.Context) -> Session:
    session = ctx.find_object(Session)
    assert session is not None
    return session


def _set_directory(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None or ctx.resilient_parsing:
        return
    session = _session(ctx)
    session.named = os.path.join(session.named, value)
    session.inside = os.path.join(session.inside, value)
    try:
        os.chdir(value)
    except OSError as error:
        raise click.UsageError(f"-C {value}: {error.strerror}", ctx) from None


def _set_environment(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        _session(ctx).environment_name = value


def _set_json_logs(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        _session(ctx).console.json_logs = True


def _set_verbosity(ctx: click.Context, _: click.Parameter, value: int) -> None:
    if value and not ctx.resilient_parsing:
        _session(ctx).console.verbosity = value


def _set_color(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None and not ctx.resilient_parsing:
        _session(ctx).console.color = Color(value)


def _global_options(*, hidden: bool) -> list[click.Option]:
    shared = {"expose_value": False, "hidden": hidden, "is_eager": True}

    def option(*names: str, **attributes: object) -> click.Option:
        return click.Option(names, **shared, **attributes)  # type: ignore[arg-type]  # click's own keywords, passed on

    return [
        option("-C", "directory", metavar="DIR", callback=_set_directory, help="Run as if started in DIR."),
        option("-e", "--environment", metavar="ENV", callback=_set_environment, help="The environment of amsctl.yaml to use."),
        option("--json-logs", is_flag=True, callback=_set_json_logs, help="Write messages as JSON, one object a line."),
        option("-v", "--verbose", count=True, callback=_set_verbosity, help="Tell more; repeat for still more."),
        option(
            "--color",
            type=click.Choice([color.value for color in Color]),
            callback=_set_color,
            help="When to use colour; the default is auto.",
        ),
    ]


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from amsctl.version import version

        _session(ctx).console.result(f"amsctl {version()}")
        ctx.exit(0)


EPILOG: Final = """\
Examples:
  amsctl demo                   see everything once, nothing to set up
  amsctl init limits            start a repository of your own
  amsctl -C limits validate     check it; no network, no credentials
  amsctl -C limits -e new-release plan -o p.json
  amsctl -C limits -e new-release apply p.json

Exit codes:
  0 done, 1 error and nothing written, 2 changes pending, 3 refused, 4 stale,
  5 partial, 6 written but not verified, 7 try later, 8 not approved,
  64 usage, 130 and 143 interrupted
"""


def build() -> LazyGroup:
    """The whole command line."""
    return LazyGroup(
        name="amsctl",
        help="Pre-trade limits for CME Globex as reviewed, versioned, declarative manifests: plan, review, apply.",
        epilog=EPILOG,
        params=[
            *_global_options(hidden=False),
            click.Option(
                ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version and exit."
            ),
        ],
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=False,
    )
