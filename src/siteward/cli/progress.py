"""The progress of `apply` on stderr: a bar on a terminal, and elsewhere a line now and then where it takes long."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from siteward.access.diagnostic import plural, round_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from siteward.access.plan import Plan
    from siteward.cli.session import Session
    from siteward.reconcile.apply.target import Progress

_LONG, _PERIOD = 5.0, 60.0
"""The shortest rest that is told in a log, and the time between two such lines, in seconds."""


class TimeLeft:
    """The seconds that a run still takes, until its last instance is done: as planned, until an instance is begun."""

    def __init__(self, planned: Mapping[str, float]) -> None:
        self._left = dict(planned)

    def note(self, progress: Progress) -> float:
        """Take over what an event tells of its instance, and return what is left; instances go side by side."""
        self._left[progress.instance] = progress.left
        return max(self._left.values())


@contextmanager
def progress_on_stderr(session: Session, plan: Plan | None) -> Iterator[Callable[[Progress], None]]:
    """Give the listener to which apply reports its progress; without a plan, an interrupted run goes on."""
    parts = plan.instances if plan else ()
    left = TimeLeft({part.instance: part.seconds for part in parts if part.runnable})
    if session.quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(sum(len(part.runnable) for part in parts), left) as listener:
            yield listener
    else:
        yield _lines(left)


@contextmanager
def _bar(total: int, left: TimeLeft) -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    name, rest = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[left]}", markup=False)
    with Bar(name, BarColumn(), MofNCompleteColumn(), rest, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("applying", total=total, left="")

        def advance(progress: Progress) -> None:
            seconds = left.note(progress)
            rest = f"about {round_time(seconds)} left" if seconds >= 1 else ""
            description = "".join(char if char.isprintable() else "?" for char in progress.instance)
            bar.update(task, description=description, advance=0 if progress.outcome is None else 1, left=rest)

        yield advance


def _lines(left: TimeLeft) -> Callable[[Progress], None]:
    """Return a listener that tells, after the first bundle and then each minute, how long it still takes."""
    told: dict[str, float] = {}

    def tell(progress: Progress) -> None:
        seconds, now = left.note(progress), time.monotonic()
        due = now - told.get(progress.instance, -_PERIOD) >= _PERIOD
        if progress.outcome is None or seconds < _LONG or not due:
            return
        told[progress.instance] = now
        done = f"{progress.at} of {plural(progress.of, 'step')}"
        click.echo(f"{progress.instance}: {done}, about {round_time(seconds)} left", err=True)

    return tell
