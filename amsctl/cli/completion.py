"""``amsctl completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command, build

EPILOG = """\
Examples:
  amsctl completion bash > ~/.local/share/bash-completion/completions/amsctl
  amsctl completion zsh > "${fpath[1]}/_amsctl"
  amsctl completion fish > ~/.config/fish/completions/amsctl.fish
"""


@click.command("completion", cls=Command, epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_session
def command(session: Session, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(build(), {}, "amsctl", "_AMSCTL_COMPLETE")
    # The bash class would run bash to see its version; the script itself is all that is wanted.
    session.console.result(script.source_template % script.source_vars())
