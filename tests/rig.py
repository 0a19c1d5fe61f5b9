"""What every room's tests share: words for access, plans and reports, and a rig.

The rig is a declaration, a stand-in server without a socket, and the spine between them. What only one folder's tests
speak of stands beside them and builds on this: `access/worlds.py`, `reconcile/small_world.py`, `promises/small.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from siteward import platforms
from siteward.access import codec
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Group, Key, Member, Resource, Subject
from siteward.access.plan import InstancePlan, Plan, Step
from siteward.access.report import Outcome, Report
from siteward.platforms.fakery import Fake, in_process
from siteward.platforms.instance import Instance
from siteward.reconcile.apply import apply as spine
from siteward.reconcile.apply.passwords import Passwords
from siteward.reconcile.apply.revalidate import Allowance
from siteward.reconcile.apply.target import Journals, Listener, Options, quiet
from siteward.reconcile.journal.chain import link, verify
from siteward.reconcile.plan import Run, Target, drift, plan
from siteward.reconcile.project import Project, open_project
from siteward.transport.link import Link

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "http://127.0.0.1:1"


class Killed(BaseException):
    """The process is gone in this moment: nothing after it runs."""


@dataclass
class Axe(httpx.BaseTransport):
    """A transport that kills the run at its request number `at`, before it is sent or `after` its answer; 0: never.

    It also kills before the first request for which `due` is true. `wrote` are the numbers of the requests that changed
    something, to choose from.
    """

    fake: Fake
    at: int = 0
    after: bool = False
    due: Callable[[], bool] = lambda: False
    wrote: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._inner = in_process(self.fake)
        self._count = 0

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return self._count

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._count += 1
        if (self._count == self.at and not self.after) or self.due():
            raise Killed
        before = self.fake.writes
        response = self._inner.handle_request(request)
        if self.fake.writes > before:
            self.wrote.append(self._count)
        if self._count == self.at:
            raise Killed
        return response


@dataclass
class Rig:
    """One instance, `it`, of a platform, and a file that declares its access; `now` is when plans are made."""

    folder: Path
    fake: Fake
    document: Mapping[str, Any]
    now: datetime = NOW
    journals: Journals = field(init=False)
    project: Project = field(init=False)
    instance: Instance = field(init=False)
    axe: Axe = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.journals = Journals(folder=self.folder / ".siteward")
        self.axe = Axe(self.fake)
        self.declare(self.document)

    def declare(self, document: Mapping[str, Any]) -> None:
        """Write another declaration (JSON is YAML) and read it back."""
        path = self.folder / "access.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        opened = open_project(path, "test")
        assert isinstance(opened, Project), [(diagnostic.code, diagnostic.message) for diagnostic in opened.diagnostics]
        self.project = opened
        declared = opened.declaration.instances["it"]
        assert declared.settings is not None
        self.instance = Instance(
            name="it",
            platform=platforms.load(declared.platform),
            settings=declared.settings,
            link=Link(url=declared.url, transport=self.axe, sleep=lambda _: None, tries=3),
            env={f"SITEWARD_IT_{name.upper()}": value for name, value in self.fake.credentials.items()},
        )

    @property
    def passwords(self) -> Passwords:
        return Passwords(folder=self.folder / "passwords", out=self.folder / "passwords.txt")

    def plan(self, *, as_of: datetime = NOW, accept: Mapping[str, str] | None = None, delete: bool = True) -> Report:
        allowance = Allowance(accept=accept or {}, allow_delete=delete, passwords=self.passwords)
        run = Run(created=self.now, as_of=as_of, allowance=allowance)
        return plan(self.project, [self.instance], self.journals, run)

    def drift(self) -> Report:
        allowance = Allowance(accept={}, allow_delete=False, passwords=Passwords(folder=self.folder / "passwords"))
        return drift(
            self.project, [self.instance], self.journals, Run(created=self.now, as_of=NOW, allowance=allowance)
        )

    def apply(
        self,
        reviewed: Plan,
        *,
        delete: bool = True,
        resume: bool = False,
        on_progress: Listener = quiet,
        **options: Any,
    ) -> Report:
        declaration = self.project.declaration
        targets = {"it": Target(declaration=declaration, instance=self.instance, passwords=self.passwords)}
        chosen = Options(passwords=self.passwords, allow_delete=delete, **options)
        rest: dict[str, Any] = {
            "config_digest": self.project.loaded.digest,
            "clock": lambda: self.now + timedelta(minutes=1),
            "on_progress": on_progress,
        }
        if resume:
            return spine.resume(targets, self.journals, chosen, **rest)
        return spine.apply(reviewed, targets, self.journals, chosen, **rest)

    def cut_off(self, reviewed: Plan, at: int, *, after: bool) -> Report:
        """Apply, killed at the request of that number, and then resumed; return what the resumed run says."""
        self.axe.at, self.axe.after = at, after
        with pytest.raises(Killed):
            self.apply(reviewed)
        self.axe.at = 0
        return self.apply(reviewed, resume=True)

    def access(self) -> Access:
        """Read what is live."""
        with self.instance.reading() as reader:
            traits, seed = self.instance.platform.probe(reader, self.instance.settings)
            return self.instance.platform.read(reader, self.instance.settings, traits, seed).access


def reseal(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> None:
    """Chain every record of a journal anew, its header edited and without a key, as anybody can who may write the file."""
    head, lines = "", []
    for number, raw in enumerate(verify(path, path.read_bytes(), None).records, start=1):
        line, head = link(edit(dict(raw.header)), raw.read_parts(), number=number, head=head, key=None)
        lines.append(line)
    path.write_bytes(b"".join(lines))


def subject(name: str) -> Subject:
    """Return an account as the holder of grants; `group:x` is a group."""
    return Subject("group", name.removeprefix("group:")) if name.startswith("group:") else Subject("account", name)


def admin(name: str, role: str = "admin") -> Grant:
    """Return the top account role of somebody."""
    return Grant(subject(name), EVERYWHERE, role)


def whole(resources: Iterable[Resource]) -> Access:
    """Return an access in which everybody who holds something is there."""
    found = list(resources)
    there = {resource.name for resource in found if isinstance(resource, Account)}
    names = {
        resource.subject.name
        for resource in found
        if isinstance(resource, Grant) and resource.subject.kind == "account"
    }
    names |= {resource.account for resource in found if isinstance(resource, Member)}
    groups = {
        resource.subject.name for resource in found if isinstance(resource, Grant) and resource.subject.kind == "group"
    }
    known = {resource.name for resource in found if isinstance(resource, Group)}
    made: list[Resource] = [Account(name) for name in sorted(names - there)]
    made += [Group(group) for group in sorted(groups - known)]
    return Access((*made, *found))


def sealed(plan: Plan) -> Plan:
    """Return the plan with its digest."""
    return replace(plan, digest=codec.digest(plan))


def part(report: Report) -> InstancePlan:
    """Return the plan of the one instance that a report is about."""
    assert report.plan is not None, [(diagnostic.code, diagnostic.message) for diagnostic in report.diagnostics]
    (found,) = report.plan.instances
    return found


def made(found: Rig, **options: Any) -> Plan:
    """Return the plan of a rig's one instance."""
    report = found.plan(**options)
    part(report)
    assert report.plan is not None
    return report.plan


def step(plan: Plan, *words: str) -> Step:
    """Return the one step whose key holds these words."""
    (found,) = (step for instance in plan.instances for step in instance.steps if set(words) <= set(step.change.key))
    return found


def deletion(plan: Plan, login: str) -> Step:
    """Return the step that deletes an account."""
    (found,) = (step for step in plan.instances[0].steps if step.change.key == ("account", login))
    return found


def codes(of: Step | InstancePlan) -> set[str]:
    """Return the codes of the errors on a step or an instance."""
    return {diagnostic.code for diagnostic in of.diagnostics if diagnostic.blocks}


def outcomes(report: Report) -> dict[str, str]:
    """Return status by the words of the key."""
    return {" ".join(outcome.step.change.key): outcome.status for outcome in report.outcomes}


def statuses(report: Report) -> list[str]:
    """Return what became of the steps, in order."""
    return [outcome.status for outcome in report.outcomes]


def by_key(report: Report) -> dict[Key, Outcome]:
    """Return the outcomes of a report by key."""
    return {outcome.step.change.key: outcome for outcome in report.outcomes}
