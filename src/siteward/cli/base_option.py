"""`--base`: the revision whose policy also applies to a change, beside the policy of the change itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.paths import revisions
from siteward.cli.session import NONE, StoppedError, actors_of, base_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siteward.declaration.load import Declaration
    from siteward.reconcile.revisions.base_policy import BasePolicy

option = click.option(
    "--base",
    metavar="REF",
    shell_complete=revisions,
    help="Apply the rules of this revision (the target branch) too; automatic in jobs about a change; `none`: do not.",
)


def base_policy_from(base: str | None, path: Path, command: str) -> Callable[[Declaration], BasePolicy | None]:
    """Return the function that makes the base policy for the declaration at `path`; `None` where there is no base.

    The function raises `StoppedError` where the base cannot be read or is not valid. It has a base without a
    declaration where only the actors of the change are known.
    """

    def build(head: Declaration) -> BasePolicy | None:
        actors = actors_of(os.environ)
        ref, old, fork = _read_base(base, path, command)
        if not ref and not actors:
            return None
        from siteward.reconcile.revisions.base_policy import BasePolicy

        return BasePolicy(head=head, ref=ref, base=old, fork=fork, actors=actors)

    return build


def _read_base(base: str | None, path: Path, command: str) -> tuple[str, Declaration | None, Declaration | None]:
    """Return the base by name, its declaration, and the declaration at the commit where the checkout left it."""
    ref = base or base_of(os.environ)
    if ref is None or ref == NONE:
        return "", None, None
    from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, fork_point, in_repository

    if base is None and not in_repository(path.parent):
        return "", None, None
    try:
        commit = commit_at(path.parent, ref)
        fork = fork_point(path.parent, commit)
        old = _declaration_at(path, commit, ref, command)
        return ref, old, old if fork == commit else _declaration_at(path, fork, ref, command)
    except NoSuchRevisionError as problem:
        unreadable = error("base-unreadable", str(problem), hint=problem.hint)
        raise StoppedError(Report(command=command, diagnostics=(unreadable,))) from problem


def _declaration_at(path: Path, commit: str, ref: str, command: str) -> Declaration | None:
    from siteward.reconcile.revisions.git import read_at

    loaded = read_at(path, commit)
    if loaded is None or loaded.declaration is not None:
        return loaded.declaration if loaded else None
    invalid = error(
        "base-not-valid",
        f"the declaration at {ref} is not valid, so its rules cannot be applied to this change",
        hint="fix the target branch first; or, where you may decide that, use the rules of this checkout alone: `--base none`",
    )
    blocking = (diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks)
    raise StoppedError(Report(command=command, diagnostics=(invalid, *blocking)))
