"""`siteward completion`: prints the script by which a shell completes verbs, options and declared names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script of SHELL.

    \b
    cd ~/.local/share/bash-completion/completions
    siteward completion bash > siteward
    siteward completion zsh > "${fpath[1]}/_siteward"
    siteward completion fish > ~/.config/fish/completions/siteward.fish
    """  # noqa: D301 — \b tells click to keep the lines
    from siteward.cli.app import main

    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(script(main, {}, "siteward", "_SITEWARD_COMPLETE").source())
    return 0
