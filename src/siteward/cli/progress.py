"""What a person at a terminal sees while they wait: one line on stderr, drawn late and erased."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siteward.cli.session import Session
    from siteward.reconcile.apply.target import Progress

LONG_WAIT = 5.0


class Talker(Struct, frozen=True):
    """Tells of pauses: on a terminal all that are felt, elsewhere only the long ones."""

    quiet: bool
    terminal: bool

    def waits(self, seconds: float, why: str) -> None:
        """Say that nothing happens for a while, and why."""
        if not self.quiet and seconds >= (1.0 if self.terminal else LONG_WAIT):
            click.echo(f"waiting {seconds:.0f} s: {why}", err=True)


def talker(session: Session) -> Talker:
    """Return who speaks of pauses in this session."""
    return Talker(session.quiet, sys.stderr.isatty())


@contextmanager
def progress(session: Session, total: int) -> Iterator[Callable[[Progress], None]]:
    """Give what apply reports its steps to: a bar on a terminal, nothing elsewhere."""
    if session.quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("applying", total=total)

        def tell(progress: Progress) -> None:
            bar.update(task, description=_plain(progress.instance), advance=0 if progress.outcome is None else 1)

        yield tell


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
