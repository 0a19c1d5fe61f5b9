"""Paths and revisions on the command line: how a shell completes them, and which name a file to be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem


def files(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file."""
    from click.shell_completion import CompletionItem  # only a shell asks

    return [CompletionItem(begun, type="file")]


def folders(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the path of a folder."""
    from click.shell_completion import CompletionItem  # only a shell asks

    return [CompletionItem(begun, type="dir")]


def revisions(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """Return the branches and tags that start with `begun`, and HEAD; none outside of a repository."""
    from pathlib import Path

    from siteward.reconcile.revisions.git import GitError, ask

    try:
        change_folder(ctx)
        listed = ask(Path.cwd(), "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/remotes", "refs/tags")
    except (click.ClickException, GitError):
        return []
    return [name for name in ("HEAD", *listed.decode().split()) if name.startswith(begun)]


def given_before(ctx: click.Context, name: str) -> str | None:
    """Return the value of a common option, after the verb or before it."""
    return next((context.params[name] for context in (ctx, ctx.parent) if context and context.params.get(name)), None)


def change_folder(ctx: click.Context) -> None:
    """Go where `-C` says, as the verb would. Raises `ClickException` where that is no folder."""
    from siteward.cli.session import change_directory

    change_directory(given_before(ctx, "directory"))


class NewFile(click.Path):
    """A file or folder to be written, as the type of an option."""

    def __init__(self) -> None:
        from pathlib import Path  # as below; `--help` has no use for it

        super().__init__(path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; raises `UsageError` for `-`."""
        return new_file(os.fsdecode(super().convert(value, param, ctx)))


def new_file(text: str) -> Path:
    """Return the path that a text names; raises `UsageError` for `-`, by which people mean standard output."""
    if text == "-":
        raise click.UsageError("`-` names no file: name one; a file that is called so is ./-")
    from pathlib import Path

    return Path(text)
