"""A platform of a few lines, in memory, on which the laws of the spine are tried.

`Server` is the instance: accounts and grants, the faults it will stage, and a log of what it was told. `FILE` and
guards stand in for the declaration, so that a test can move the file, the world or the rules between plan and apply.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from rig import admin, by_key, sealed, statuses, subject, whole
from siteward.access.change import Change, diff, patch
from siteward.access.diagnostic import Diagnostic, Span, error
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Key, Power, Resource, Scope, account_key
from siteward.access.plan import InstancePlan, Plan, Step
from siteward.access.renames import at_rest, change_under, key_under, of_accounts, under
from siteward.access.state import DeclaredUser, Desired, Listing, Live, Memory, Site
from siteward.access.traits import Role, Traits
from siteward.platforms.interface import Bundle, Platform, Reach, Receipt
from siteward.reconcile.apply.apply import apply, resume
from siteward.reconcile.apply.passwords import Passwords
from siteward.reconcile.apply.target import Fresh, Journals, Listener, Options, quiet
from siteward.reconcile.journal.reading import path_of
from siteward.transport.errors import OutcomeUnknownError, RefusedError, UnreachableError
from siteward.transport.http import Doors, Reader, Writer
from siteward.transport.pace import Speed
from siteward.transport.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from siteward.access.limits import Begun
    from siteward.access.report import Report
    from siteward.transport.secrets import Secret, Secrets

__all__ = [
    "AGE",
    "BOB_EDIT",
    "BOB_VIEW",
    "EDIT",
    "HERE",
    "NOW",
    "ROBOT",
    "ROLES",
    "SITES",
    "SMALL",
    "TRAITS",
    "VIEW",
    "Ask",
    "Clock",
    "Crash",
    "FaultKind",
    "File",
    "Guard",
    "Instance",
    "Server",
    "SmallRig",
    "admin",
    "by_key",
    "codes",
    "delete_only_if_allowed",
    "few_removals",
    "grant",
    "keep_an_admin",
    "one_instance",
    "sealed",
    "statuses",
    "world",
]  # fmt: skip
NOW = datetime(2027, 1, 10, 9, 0, tzinfo=UTC)
SITES = ("a.test", "b.test", "c.test")
ROLES = ("view", "edit", "manage")
_POWERS = (Power.VIEW, Power.EDIT, Power.MANAGE)
TRAITS = Traits(
    platform="small",
    roles={
        "site": tuple(Role(name=name, power=power, portable=name) for name, power in zip(ROLES, _POWERS, strict=True)),
        "instance": (Role(name="admin", power=Power.ADMIN, portable="admin"),),
    },
    top="admin",
    onboarding=frozenset({"invite"}),
)
HERE = Span("access.yaml", 1, 1)
AGE = "age1cdlva6a73n0l555t8gcqlpw27r0tcf07d64j8vlaqrvfm25zscuqd3kw29"

FaultKind = Literal[
    "failed", "refused", "unreachable", "lost-done", "lost-not-done", "lost-repeatable", "no-but-done",
    "no-in-doubt", "beside", "lies", "silent", "half", "half-crash",
    "crash-before", "crash-after", "interrupt",
]  # fmt: skip


class Crash(BaseException):
    """The machine goes down here."""


_BEFORE: Mapping[FaultKind | None, BaseException] = {
    "crash-before": Crash(),
    "refused": RefusedError("400: no"),
    "unreachable": UnreachableError("connection refused"),
    "lost-not-done": OutcomeUnknownError("no answer"),
}
_AFTER: Mapping[FaultKind | None, BaseException] = {
    "crash-after": Crash(),
    "half-crash": Crash(),
    "half": OutcomeUnknownError("no answer"),
    "lost-done": OutcomeUnknownError("no answer"),
}
_ANSWERS: Mapping[FaultKind | None, Receipt] = {
    "failed": Receipt(key=(), status="failed", message="not possible"),
    "lost-repeatable": Receipt(key=(), status="unknown", message="no answer", repeatable=True),
    "no-but-done": Receipt(key=(), status="failed", message="no mail could be sent", sure=False),
    "no-in-doubt": Receipt(key=(), status="failed", message="not possible", sure=False),
}


def grant(name: str, site: str, role: str) -> Grant:
    """Return a role of an account on a site."""
    return Grant(subject(name), Scope("site", site), role)


ROBOT = admin("robot")
VIEW, EDIT = grant("ann", "a.test", "view"), grant("ann", "a.test", "edit")
BOB_VIEW, BOB_EDIT = grant("bob", "b.test", "view"), grant("bob", "b.test", "edit")


def world(*resources: Resource) -> Access:
    """Return an access that has an account for every grant."""
    return whole(resources)


@dataclass
class Server:
    """The instance. `faults` are staged by the number of the write they hit, counted from 0.

    `appears` are the resources that show by themselves before the look of that number, counted from 1.
    `listings` say how completely it is read, `mails` how many each grant sends, `pending` what waits to be accepted.
    """

    state: dict[Key, Resource] = field(default_factory=dict)
    faults: dict[int, FaultKind] = field(default_factory=dict)
    always: FaultKind | None = None
    unreadable: int = 0
    unlooking: bool = False
    listings: tuple[Listing, ...] = ()
    mails: int = 0
    pending: frozenset[Key] = frozenset()
    wakes: tuple[Resource, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    told: list[tuple[Change, ...]] = field(default_factory=list)
    lives: list[Live] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)
    when_told: Callable[[Bundle], None] = lambda _bundle: None
    reads: int = 0
    waits: list[float] = field(default_factory=list)
    appears: dict[int, tuple[Resource, ...]] = field(default_factory=dict)
    looks: int = 0
    slowest: float = 0.0
    sleep: Callable[[float], None] | None = None

    def patience(self) -> Patience:
        """Return the patience with this server; its waits pass at once, and are noted."""
        return Patience(clock=lambda: 0.0, sleep=self.sleep or self.waits.append, slowest=lambda: self.slowest)

    @property
    def access(self) -> Access:
        return Access(self.state.values())

    def hold(self, access: Access) -> None:
        """Become this world, as if somebody else had changed it."""
        self.state = dict(access)

    def set(self, *resources: Resource) -> None:
        """Put resources there behind our back."""
        self.state.update({resource.key: resource for resource in resources})

    def remake(self, name: str) -> None:
        """Delete an account and make it anew: the same name, another id."""
        self.ids[name] = f"{self.id(name)}+"

    def write(self, bundle: Bundle, live: Live) -> Sequence[Receipt]:
        self.lives.append(live)
        self.when_told(bundle)
        fault = self.faults.get(len(self.told), self.always)
        self.told.append(bundle.changes)
        if fault in _BEFORE:
            raise _BEFORE[fault]
        if fault in _ANSWERS:
            self._do(bundle.changes if fault == "no-but-done" else (), bundle)
            return [replace(_ANSWERS[fault], key=change.key) for change in bundle.changes]
        if fault == "interrupt":
            signal.raise_signal(signal.SIGINT)
        if fault not in {"lies", "silent"}:
            half = bundle.changes[: max(1, len(bundle.changes) // 2)]
            self._do(half if fault in {"half", "half-crash"} else bundle.changes, bundle)
        if fault in _AFTER:
            raise _AFTER[fault]
        return [
            Receipt(
                key=change.key,
                status="sent",
                ids=self._ids(change),
                sends=self._sends(change),
                message="it took place, but nobody was told" if fault == "beside" else "",
            )
            for change in bundle.changes
            if fault != "silent"
        ]

    def _sends(self, change: Change) -> int:
        return self.mails if isinstance(change.after, Grant) else 0

    def _ids(self, change: Change) -> Mapping[Key, str]:
        return {change.key: self.id(change.after.name)} if isinstance(change.after, Account) else {}

    def _do(self, changes: Iterable[Change], bundle: Bundle) -> None:
        for change in changes:
            if isinstance(change.before, Account) and change.after is None:
                self.state = {key: value for key, value in self.state.items() if change.before.name not in key}
            if isinstance(change.after, Account) and change.before is None and change.after.name in bundle.passwords:
                self.passwords[change.after.name] = bundle.passwords[change.after.name].reveal()
            if isinstance(change.before, Grant) and change.before.scope == EVERYWHERE:
                self.set(*self.wakes)
            if isinstance(change.after, Account) and change.after.renamed:
                self.aliases[change.after.name] = change.after.renamed
                self.ids[change.after.renamed] = self.id(change.after.name)
            # An adapter knows accounts by id, and so finds them under whatever login a plan names them by.
            self.state = dict(at_rest(patch(self.access, [change_under(change, of_accounts(self.aliases))])))

    def id(self, name: str) -> str:
        """Return the id of an account, which stays when it is renamed."""
        return self.ids.setdefault(name, f"id of {name}")

    def live(self) -> Live:
        self.reads += 1
        if self.unreadable > 0:
            self.unreadable -= 1
            raise UnreachableError("nobody answers")
        return Live(
            access=self.access,
            sites={Scope("site", name): Site(id=name, label=name, domains=(name,)) for name in SITES},
            ids={key: self.id(key[1]) for key in self.state if key[0] == "account"},
            me="robot",
            listings=self.listings,
            pending=self.pending,
        )

    def refresh(self, keys: Collection[Key]) -> Mapping[Key, Resource | None]:
        self.looks += 1
        self.set(*self.appears.pop(self.looks, ()))
        if self.unlooking:
            raise UnreachableError("nobody answers")
        back = {new: old for old, new in self.aliases.items()}
        found: dict[Key, Resource | None] = {}
        for key in keys:
            there = self.state.get(key if key[0] == "account" else key_under(key, of_accounts(self.aliases)))
            found[key] = there if there is None or there.key == key else under(there, of_accounts(back))
        return found


class Ask(Reader):
    """A reader that has the server at hand."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def speed(self) -> Speed:
        return Speed()

    @property
    def now(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


class Tell(Writer):
    """A writer that has the server at hand, and no time to lose."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.patience = server.patience()

    def close(self) -> None:
        pass


class _Settings(Struct):
    pass


def _connect(_settings: object, _secrets: Secrets, _link: object) -> Doors:
    raise NotImplementedError("targets open their own doors")


def _server(door: Reader) -> Server:
    assert isinstance(door, Ask | Tell)
    return door.server


def _bundle(changes: Sequence[Change], _live: Live) -> Sequence[Bundle]:
    """Grants on one site share a call; everything else goes alone."""
    shared: dict[Key, list[Change]] = {}
    for change in changes:
        site = change.key[-1] if change.key[0] == "grant" and change.key[3] == "site" else "-".join(change.key)
        shared.setdefault(("to", site), []).append(change)
    return [Bundle(changes=tuple(changes)) for changes in shared.values()]


SMALL = Platform(
    name="small",
    title="Small",
    widest=TRAITS,
    settings=_Settings,
    fields={},
    connect=_connect,
    probe=lambda _reader, _settings: (TRAITS, None),
    read=lambda reader, _settings, _traits, _seed=None: _server(reader).live(),
    refresh=lambda reader, keys, _live: _server(reader).refresh(keys),
    bundle=_bundle,
    write=lambda writer, bundle, live: _server(writer).write(bundle, live),
    reach=lambda _reader, _settings, _traits: Reach(account="robot", role="admin"),
)


class Guard(Protocol):
    """What must not happen, of some changes to what is live."""

    def __call__(
        self, live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
    ) -> Iterable[Diagnostic]: ...


@dataclass
class File:
    """What the declaration says of one instance: the access wanted, who is behind the accounts, and the guards."""

    wanted: Access
    declared_users: dict[str, DeclaredUser] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()
    held: frozenset[Key] = frozenset()
    traits: Traits = TRAITS
    previously: Mapping[str, str] = field(default_factory=dict)

    def resolved(self, live: Access) -> Access:
        """Return the wish under the logins that are live; who has an old one is to be renamed."""
        old = {
            new: old
            for new, old in self.previously.items()
            if account_key(new) not in live and account_key(old) in live and account_key(new) in self.wanted
        }
        wish = Access(under(resource, of_accounts(old)) for resource in self.wanted.values())
        accounts = (account for account in self.wanted.accounts() if account.name in old)
        return patch(
            wish, [Change(None, replace(account, name=old[account.name], renamed=account.name)) for account in accounts]
        )


@dataclass
class Instance:
    """A target of apply."""

    server: Server
    file: File
    name: str = "stats"
    origin: str = "https://stats.test"
    platform: Platform = SMALL
    declared: tuple[str, ...] = ()
    memories: list[Memory | None] = field(default_factory=list)
    turned: bool = False

    def open(self) -> Doors:
        return Doors(Ask(self.server), Tell(self.server))

    def plan(self, reader: Reader, *, as_of: datetime, memory: Memory | None) -> Fresh:
        self.memories.append(memory)
        live = _server(reader).live()
        changes = _ordered(diff(live.access, self.file.resolved(live.access)))
        if self.turned:
            changes.reverse()

        def judge(
            keys: Collection[Key],
            *,
            accept: Mapping[str, str],
            allow_delete: bool,
            approved: frozenset[str] = frozenset(),
            begun: Begun | None = None,
        ) -> tuple[Diagnostic, ...]:
            some = [change for change in changes if change.key in keys]
            return tuple(
                found
                for guard in self.file.guards
                for found in guard(live, some, allow_delete=allow_delete, accept=accept)
            )

        diagnostics = judge([change.key for change in changes], accept={}, allow_delete=False)
        steps = _steps(changes, live, diagnostics)
        held = tuple(step for step in steps if step.change.key in self.file.held)
        return Fresh(
            traits=self.file.traits,
            live=live,
            desired=Desired(
                access=self.file.wanted, declared_users=self.file.declared_users, managed=frozenset(live.sites)
            ),
            plan=InstancePlan(
                instance=self.name,
                platform=self.platform.name,
                origin=self.origin,
                mode="full",
                steps=tuple(step for step in steps if step not in held),
                held_back=held,
                diagnostics=tuple(diagnostic for diagnostic in diagnostics if diagnostic.about is None),
            ),
            judge=judge,
        )


def _ordered(changes: Iterable[Change]) -> list[Change]:
    """Open from the ground up, then close from the top down."""

    def floor(change: Change) -> tuple[int, Key]:
        account, gone = change.key[0] == "account", change.after is None
        return (3 if account else 2) if gone else (0 if account else 1), change.key

    return sorted(changes, key=floor)


def _steps(changes: Sequence[Change], live: Live, diagnostics: Sequence[Diagnostic]) -> tuple[Step, ...]:
    ids = {change.key: f"s{at}" for at, change in enumerate(changes, start=1)}
    return tuple(_step(change, changes, ids, live, diagnostics) for change in changes)


def _step(
    change: Change, changes: Sequence[Change], ids: Mapping[Key, str], live: Live, diagnostics: Sequence[Diagnostic]
) -> Step:
    power = [TRAITS.power(side) if isinstance(side, Grant) else Power.NONE for side in (change.before, change.after)]
    before = power[0]
    return Step(
        id=ids[change.key],
        change=change,
        cause="silence" if change.after is None else "granted",
        before_power=before,
        after_power=power[1],
        ids=MappingProxyType({key: live.ids[key] for key in (account_key(_name(change)),) if key in live.ids}),
        depends_on=tuple(ids[earlier.key] for earlier in changes if _first(earlier, change)),
        diagnostics=tuple(diagnostic for diagnostic in diagnostics if diagnostic.about == change.key),
    )


def _name(change: Change) -> str:
    return change.key[1] if change.key[0] == "account" else change.key[2]


def _first(other: Change, change: Change) -> bool:
    """Tell whether `other` must be done before `change`: accounts stand while anything of theirs is open."""
    if other is change or _name(other) != _name(change):
        return False
    if change.key[0] == "grant" and change.after is not None:
        return other.action == "create" and other.key[0] == "account"
    return change.key[0] == "account" and change.after is None


def keep_an_admin(
    live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
) -> Iterable[Diagnostic]:
    """Block what takes the last admin."""
    after = patch(live.access, changes)
    if not any(grant.scope == EVERYWHERE for grant in after.grants()):
        for change in changes:
            if isinstance(change.before, Grant) and change.before.scope == EVERYWHERE and change.after is None:
                yield error("admins-min", "nobody would be admin", about=change.key)


def few_removals(
    live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
) -> Iterable[Diagnostic]:
    """Block everything when more than two grants go, unless that is accepted."""
    gone = [change for change in changes if change.after is None and change.key[0] == "grant"]
    if len(gone) > 2 and "removals" not in accept:
        yield error("limit-removals", f"{len(gone)} grants would go")


def delete_only_if_allowed(
    live: Live, changes: Sequence[Change], *, allow_delete: bool, accept: Mapping[str, str]
) -> Iterable[Diagnostic]:
    """Block deletions of accounts unless they are allowed."""
    for change in changes:
        if change.key[0] == "account" and change.after is None and not allow_delete:
            yield error("deletion-needs-consent", "needs --allow-delete", about=change.key)


class Clock:
    """A clock that goes on a second each time it is asked."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@dataclass
class SmallRig:
    """Everything that a test of apply needs, on a folder of its own."""

    folder: Path
    instances: tuple[Instance, ...]
    clock: Clock = field(default_factory=Clock)
    key: Secret | None = None
    config: str = "sha256:files"

    @property
    def journals(self) -> Journals:
        return Journals(folder=self.folder / "journal", key=self.key)

    @property
    def targets(self) -> dict[str, Instance]:
        return {instance.name: instance for instance in self.instances}

    @property
    def passwords(self) -> Passwords:
        return Passwords(folder=self.folder / "passwords")

    def journal(self, name: str = "stats") -> Path:
        return path_of(self.journals.folder, name)

    def plan(self, **more: object) -> Plan:
        """Plan all instances, as `plan` would."""
        now = self.clock()
        parts = tuple(instance.plan(Ask(instance.server), as_of=now, memory=None).plan for instance in self.instances)
        plan = Plan(tool="0.1.0", created=now, as_of=now, config_digest=self.config, instances=parts)
        return sealed(replace(plan, **more))

    def apply(self, plan: Plan | None = None, *, tell: Listener = quiet, **options: Any) -> Report:
        """Apply a plan, or a new one."""
        given = Options(**{"passwords": self.passwords, **options})
        return apply(
            plan or self.plan(), self.targets, self.journals, given,
            config_digest=self.config, clock=self.clock, on_progress=tell,
        )  # fmt: skip

    def resume(self, **options: Any) -> Report:
        """Resume what has no end."""
        given = Options(**{"passwords": self.passwords, **options})
        return resume(self.targets, self.journals, given, config_digest=self.config, clock=self.clock)


def one_instance(
    folder: Path, live: Iterable[Resource], wanted: Iterable[Resource], *guards: Guard, key: Secret | None = None
) -> tuple[SmallRig, Server, File]:
    """Return a rig with one instance, its server and its file; the tool's own account is in both worlds."""
    server, file = Server(), File(world(ROBOT, *wanted), guards=guards)
    server.hold(world(ROBOT, *live))
    return SmallRig(folder, (Instance(server, file),), key=key), server, file


def codes(report: Report) -> set[str]:
    """Return the codes of a report's diagnostics."""
    return {diagnostic.code for diagnostic in report.diagnostics}
