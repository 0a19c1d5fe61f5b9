"""`--base`: the revision whose rules judge a change beside its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.forge import NONE, actors_of, base_of
from siteward.cli.session import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siteward.declaration.load import Declaration
    from siteward.reconcile.gate import Gate

option = click.option(
    "--base",
    metavar="REF",
    help="Let the rules of this revision judge too; by itself in jobs about a change. `none` for no other.",
)


def gate_from(base: str | None, path: Path, command: str) -> Callable[[Declaration], Gate | None]:
    """Return what builds the gate for a declaration at `path`; it stops the verb where the base cannot be read."""

    def build(head: Declaration) -> Gate | None:
        actors = actors_of(os.environ)
        ref, old, fork = _declarations(base, path, command)
        if not ref and not actors:
            return None
        from siteward.reconcile.gate import Gate

        return Gate(head=head, ref=ref, base=old, fork=fork, actors=actors)

    return build


def _declarations(base: str | None, path: Path, command: str) -> tuple[str, Declaration | None, Declaration | None]:
    """Return the base by name, its declaration, and that of where the checkout left it."""
    ref = base or base_of(os.environ)
    if ref is None or ref == NONE:
        return "", None, None
    from siteward.reconcile.revisions.trees import NoSuchRevision, commit_at, fork_point, in_repository

    if base is None and not in_repository(path.parent):
        return "", None, None
    try:
        commit = commit_at(path.parent, ref)
        fork = fork_point(path.parent, commit)
        old = _declaration(path, commit, ref, command)
        return ref, old, old if fork == commit else _declaration(path, fork, ref, command)
    except NoSuchRevision as problem:
        told = error("base-unreadable", str(problem), hint=problem.hint)
        raise Stopped(Report(command=command, diagnostics=(told,))) from problem


def _declaration(path: Path, commit: str, ref: str, command: str) -> Declaration | None:
    from siteward.reconcile.revisions.trees import read_at

    loaded = read_at(path, commit)
    if loaded is None or loaded.declaration is not None:
        return loaded.declaration if loaded else None
    told = error(
        "base-not-valid",
        f"the declaration at {ref} is not valid, so its rules cannot judge this change",
        hint="mend the base first; or, where you may decide that, judge by this checkout alone: `--base none`",
    )
    raise Stopped(Report(command=command, diagnostics=(told, *(each for each in loaded.diagnostics if each.blocks))))
