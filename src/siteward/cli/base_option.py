"""`--base`: the revision whose rules judge a change beside its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.session import NONE, StoppedError, actors_of, base_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siteward.declaration.load import Declaration
    from siteward.reconcile.revisions.base_policy import BasePolicy

option = click.option(
    "--base",
    metavar="REF",
    help="Apply the rules of this revision (the target branch) too; automatic in jobs about a change; `none`: do not.",
)


def base_policy_from(base: str | None, path: Path, command: str) -> Callable[[Declaration], BasePolicy | None]:
    """Return what builds the gate for a declaration at `path`; it stops the verb where the base cannot be read."""

    def build(head: Declaration) -> BasePolicy | None:
        actors = actors_of(os.environ)
        ref, old, fork = _declarations(base, path, command)
        if not ref and not actors:
            return None
        from siteward.reconcile.revisions.base_policy import BasePolicy

        return BasePolicy(head=head, ref=ref, base=old, fork=fork, actors=actors)

    return build


def _declarations(base: str | None, path: Path, command: str) -> tuple[str, Declaration | None, Declaration | None]:
    """Return the base by name, its declaration, and that of where the checkout left it."""
    ref = base or base_of(os.environ)
    if ref is None or ref == NONE:
        return "", None, None
    from siteward.reconcile.revisions.git import NoSuchRevisionError, commit_at, fork_point, in_repository

    if base is None and not in_repository(path.parent):
        return "", None, None
    try:
        commit = commit_at(path.parent, ref)
        fork = fork_point(path.parent, commit)
        old = _declaration(path, commit, ref, command)
        return ref, old, old if fork == commit else _declaration(path, fork, ref, command)
    except NoSuchRevisionError as problem:
        told = error("base-unreadable", str(problem), hint=problem.hint)
        raise StoppedError(Report(command=command, diagnostics=(told,))) from problem


def _declaration(path: Path, commit: str, ref: str, command: str) -> Declaration | None:
    from siteward.reconcile.revisions.git import read_at

    loaded = read_at(path, commit)
    if loaded is None or loaded.declaration is not None:
        return loaded.declaration if loaded else None
    told = error(
        "base-not-valid",
        f"the declaration at {ref} is not valid, so its rules cannot be applied to this change",
        hint="fix the target branch first; or, where you may decide that, use the rules of this checkout alone: `--base none`",
    )
    raise StoppedError(
        Report(
            command=command, diagnostics=(told, *(diagnostic for diagnostic in loaded.diagnostics if diagnostic.blocks))
        )
    )
