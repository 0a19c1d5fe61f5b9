"""One story: a world, a plan, an apply under bad weather, resumed until it ends, and what must be true of it.

A second stand-in with the same world and the same file is applied in fair weather: its end is the end to reach.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from chaos import weather, worlds
from chaos.facts import admins
from chaos.watch import Owners, Watch
from chaos.weather import HARMLESS, Blow, Weather
from rig import NOW, Killed, Rig
from siteward import platforms
from siteward.access.model import Access, Account, Grant, Key, account_of
from siteward.access.plan import Plan
from siteward.access.report import Report
from siteward.platforms.fakery import Fake
from siteward.reconcile.apply import apply as spine
from siteward.reconcile.apply.target import Journals, Options
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.chain import JournalBrokenError
from siteward.reconcile.plan import Target
from siteward.transport.secrets import Secret

RELEASES = tuple(
    (name, release) for name in platforms.names() for release in platforms.fake(name).releases if release != "ce-3"
)
CYCLE = 25
"""Of so many seeds in a row one is about Community Edition, whose stand-in needs a database and is slow."""
LIVES = 6
FAIR = 8


def release_of(seed: int) -> tuple[str, str]:
    """Return the platform and release that a seed is about."""
    turn, at = divmod(seed, CYCLE)
    if at == CYCLE - 1:
        return "plausible", "ce-3"
    return RELEASES[(turn * (CYCLE - 1) + at) % len(RELEASES)]


@dataclass
class Ended:
    """What became of a story: what is wrong, and what happened, in words."""

    seed: int
    platform: str
    release: str
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    writes: int = 0


class Stage(Rig):
    """A rig under a weather."""

    weather: Weather

    def set(self, weather: Weather, own: str) -> None:
        """Put a weather between the instance and its server; the environment confirms whose credentials these are."""
        self.weather = weather
        link, env = replace(self.instance.link, transport=weather), {**self.instance.env, "SITEWARD_IT_SELF": own}
        self.instance = replace(self.instance, link=link, env=env, self_account=own)

    def run(self, reviewed: Plan | None) -> Report:
        """Apply a plan, or resume the run that has no end."""
        targets = {"it": Target(declaration=self.project.declaration, instance=self.instance, passwords=self.passwords)}
        options = Options(passwords=self.passwords, allow_delete=True)
        rest: dict[str, Any] = {"config_digest": self.project.loaded.digest, "clock": self.weather.clock}
        if reviewed is None:
            return spine.resume(targets, self.journals, options, **rest)
        return spine.apply(reviewed, targets, self.journals, options, **rest)


def play(seed: int, folder: Path) -> Ended:
    """Play the story of a seed in an empty folder."""
    dice = random.Random(seed)
    platform, release = release_of(seed)
    ended = Ended(seed, platform, release)
    start = worlds.draw(dice, platform, release)
    key = Secret("a-journal-key", "test") if dice.random() < 0.3 else None
    calm, storm = (_stage(start, folder / name, key) for name in ("calm", "storm"))
    for stage in (calm, storm):
        _prepare(stage, start)
    for stage in (calm, storm):
        if stage.weather.watch.wrong:
            ended.wrong += [f"before the storm: {words}" for words in stage.weather.watch.wrong]
            return ended
    first = _to_the_end(ended, calm, "in fair weather")
    ended.blows = weather.draw(dice, calm.weather.requests, calm.weather.writes, calm.weather.lines)
    with weather.under(storm.weather):
        storm.weather.dice = random.Random(seed + 1)
        storm.weather.begin(ended.blows)
        storm.weather.told = ended.told
        _storm(ended, storm, calm, first)
    ended.writes = storm.weather.writes
    ended.wrong += [f"in fair weather: {words}" for words in calm.weather.watch.wrong] + storm.weather.watch.wrong
    return ended


def _stage(start: worlds.Start, folder: Path, key: Secret | None) -> Stage:
    fake = platforms.fake(start.platform).of(start.world, start.release, clock=lambda: NOW)
    stage = Stage(folder, fake, start.documents[0])
    stage.journals = Journals(folder=stage.journals.folder, key=key)
    _enter(stage, start, start.documents[0], fake)
    return stage


def _enter(stage: Stage, start: worlds.Start, document: dict[str, Any], fake: Fake) -> None:
    """Let a stage stand under a new weather, with owners who have declared that document."""
    path = reading.path_of(stage.journals.folder, "it")
    memory = reading.recall(path, stage.journals.key).memory
    known = memory.users if memory else {}
    left = [name for name, login in known.items() if name not in document["users"] and login in admins(fake)]
    owners = Owners(document, start.logins, start.own, left)
    stage.set(Weather(fake, Watch(fake, path, owners), tuple(start.logins.values())), start.own)


def _prepare(stage: Stage, start: worlds.Start) -> None:
    """Apply the files before the last one, and declare the last."""
    for document in start.documents[1:]:
        with weather.under(stage.weather):
            reviewed = stage.plan().plan
            if reviewed is not None:
                stage.run(reviewed)
        wrong = stage.weather.watch.wrong
        stage.declare(document)
        _enter(stage, start, document, stage.fake)
        stage.weather.watch.wrong += wrong


def _to_the_end(ended: Ended, stage: Stage, words: str) -> Access | None:
    """Plan and apply until nothing is left that may be done; return what was live after the first apply."""
    first: Access | None = None
    with weather.under(stage.weather):
        for _ in range(FAIR):
            report = stage.plan()
            if report.plan is None or not report.plan.instances:
                ended.wrong.append(f"{words}: no plan: {[(d.code, d.message) for d in report.diagnostics]}")
                return first
            if first is not None and not any(part.runnable for part in report.plan.instances):
                return first
            applied = stage.run(report.plan)
            ended.told.append(f"{words}: {_describe(applied)}")
            _check_outcomes(ended, stage, applied, words)
            first = first or stage.access()
            if not _moves(applied):
                return first  # what is left is refused, with a reason, which is checked
    ended.wrong.append(f"{words}: after {FAIR} applies there is still something to do")
    return first


def _moves(report: Report) -> bool:
    """Return whether an apply did, or tried, anything: else another would end the same."""
    return any(outcome.status in {"done", "already", "failed", "unknown"} for outcome in report.outcomes)


def _storm(ended: Ended, storm: Stage, calm: Stage, first: Access | None) -> None:
    """Plan, apply and resume under the weather, then in fair weather to the end, and compare the ends."""
    watch, air = storm.weather.watch, storm.weather
    reviewed = _plan(ended, storm)
    if reviewed is not None and (last := _apply(ended, storm, reviewed)) is not None:
        _compare_first(ended, storm, last, first)
    air.clear()
    air.revive()
    before = len(watch.wrong)
    _to_the_end(ended, storm, "after the storm")
    if air.meddled or len(watch.wrong) > before:
        return
    refused = {account_of(key) for key in _blocked(storm)}
    if other := [words for key, words in _differences(storm.access(), calm.access()) if account_of(key) not in refused]:
        ended.wrong.append(f"ended differently: {other}")


def _blocked(stage: Stage) -> set[Key]:
    """Return what a new plan would do and is refused, with a reason that the plan says."""
    plan = stage.plan().plan
    parts = plan.instances if plan is not None else ()
    return {step.change.key for part in parts for step in part.steps if part.blocked or step.blocked}


def _plan(ended: Ended, storm: Stage) -> Plan | None:
    """Return the plan; where the weather does not let it be made, that must be said."""
    before = storm.fake.writes
    report = _survive(ended, storm, storm.plan, "plan")
    if storm.fake.writes != before:
        ended.wrong.append("a plan wrote")
    if report is not None and report.plan is not None and report.plan.instances:
        return report.plan
    if report is not None and not (report.diagnostics or (report.plan and report.plan.diagnostics)):
        ended.wrong.append("no plan, and no reason")
    storm.weather.revive()
    storm.weather.clear()
    return storm.plan().plan


def _apply(ended: Ended, storm: Stage, reviewed: Plan) -> Report | None:
    """Apply, and resume for as long as a run has no end; return the last report."""
    report = _survive(ended, storm, lambda: storm.run(reviewed), "apply")
    for life in range(LIVES):
        if report is not None:
            _check_outcomes(ended, storm, report, f"life {life}")
            if not _is_open(ended, storm):
                return report
        storm.weather.revive()
        if life >= LIVES // 2:
            storm.weather.clear()
        if report is None and not _is_open(ended, storm):
            return None  # killed before the run had begun, or after its end
        report = _survive(ended, storm, lambda: storm.run(None), "resume")
    if _is_open(ended, storm):
        said = [(d.code, d.message) for d in report.diagnostics] if report else []
        left = [(o.step.change.key, o.status, o.message) for o in report.outcomes] if report else []
        ended.wrong.append(f"never ends: {said} {left}")
    return report


def _is_open(ended: Ended, storm: Stage) -> bool:
    """Return whether the journal, as it stands on the disk, has a run without an end; it must verify."""
    try:
        return reading.recall(reading.path_of(storm.journals.folder, "it"), storm.journals.key).unfinished is not None
    except JournalBrokenError as problem:
        ended.wrong.append(f"journal broken: {problem}")
        return False


def _survive(ended: Ended, storm: Stage, verb: Callable[[], Report], name: str) -> Report | None:
    """Call a verb; return its report, or `None` where the process was killed. Anything else that is raised is wrong."""
    try:
        report = verb()
    except Killed:
        ended.told.append(f"{name} was killed")
        return None
    ended.told.append(f"{name}: {_describe(report)}")
    return report


def _describe(report: Report) -> str:
    """Return the outcomes of a report, and what it says of the whole, in one line."""
    outcomes = [(" ".join(o.step.change.key), o.status, o.message[:120]) for o in report.outcomes]
    said = [d.code for d in report.diagnostics]
    parts = report.plan.instances if report.plan is not None and not report.applied else ()
    steps = [
        (" ".join(step.change.key), [d.code for d in step.diagnostics if d.blocks])
        for part in parts
        for step in part.steps
    ]
    return f"{outcomes or steps} {said} next: {report.next}"


def _check_outcomes(ended: Ended, stage: Stage, report: Report, words: str) -> None:
    """What was not done says why, every step has an outcome, and what is called done is live."""
    if report.plan is None:
        return
    steps = [step.id for part in report.plan.instances for step in part.steps]
    given = [outcome.step.id for outcome in report.outcomes]
    if report.applied and sorted(steps) != sorted(given):
        ended.wrong.append(f"{words}: steps {steps}, outcomes {given}")
    for outcome in report.outcomes:
        if outcome.status not in {"done", "already"} and not outcome.message:
            ended.wrong.append(f"{words}: {outcome.step.change.key} is {outcome.status} without a reason")
    if stage.weather.meddled or not report.outcomes:
        return
    _check_done(ended, stage, report, words)


def _check_done(ended: Ended, stage: Stage, report: Report, words: str) -> None:
    faults, blows = stage.fake.faults[:], stage.weather.blows
    stage.fake.faults.clear()
    stage.weather.blows = []
    live = stage.access()
    stage.fake.faults[:], stage.weather.blows = faults, blows
    for outcome in report.outcomes:
        change = outcome.step.change
        if outcome.status in {"done", "already"} and not _is_live(change.after, live.get(change.key)):
            ended.wrong.append(
                f"{words}: {change.key} is called {outcome.status} and is not live: {live.get(change.key)}"
            )


def _is_live(wanted: object, now: object) -> bool:
    match wanted, now:
        case Grant() as wish, Grant() as held:
            return held.role == wish.role and (wish.extras is None or wish.extras <= (held.extras or frozenset()))
        case Account() as wish, Account() as held:
            return (
                wish.renamed is not None or wish.email is None or (held.email or "").casefold() == wish.email.casefold()
            )
        case _:
            return wanted == now


def _compare_first(ended: Ended, storm: Stage, last: Report, first: Access | None) -> None:
    """Where only answers and moments were lost, the resumed run itself ends as the undisturbed one."""
    kinds = {blow.kind for blow in ended.blows}
    if storm.weather.meddled or not kinds <= HARMLESS or first is None:
        return
    if any(outcome.status in {"failed", "refused", "unknown"} for outcome in last.outcomes):
        return  # with a reason, which is checked, and the plan that follows must make it good
    storm.weather.clear()
    if other := [words for _, words in _differences(storm.access(), first)]:
        ended.wrong.append(f"resumed to another end: {other}")


def _differences(then: Access, wanted: Access) -> list[tuple[Key, str]]:
    return [
        (key, f"{key}: {then.get(key)} instead of {wanted.get(key)}")
        for key in sorted({*then, *wanted})
        if then.get(key) != wanted.get(key)
    ]
