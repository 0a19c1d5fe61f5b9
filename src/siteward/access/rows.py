"""The steps of a plan as its document has them: with places in tables instead of origins, accounts and scopes.

A plan names few accounts, scopes and reasons and has many steps, so each of these is written once. An account or scope
stands in its table with the id that the platform has for it, where a step pins that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.change import Action, Change
from siteward.access.dates import Due
from siteward.access.diagnostic import Diagnostic, Effect
from siteward.access.model import (
    NO_EXTRAS,
    Account,
    Grant,
    Group,
    Key,
    Member,
    Power,
    PowerName,
    Resource,
    Scope,
    Status,
    Subject,
    account_key,
    account_of,
    scope_key,
    scope_of,
)
from siteward.access.plan import Risk, Step
from siteward.access.serialize import CodecError, Data, shape
from siteward.access.state import Cause, Origin

__all__ = ["ReadTables", "StepRow", "TableRows", "Tables", "checked"]

_T = TypeVar("_T")
_POWERS: Final[Mapping[PowerName, Power]] = {power.word: power for power in Power}
_NO_EFFECTS: Final[frozenset[Effect | None]] = frozenset()
_FOR_GOOD: Final[frozenset[Effect | None]] = frozenset({"destroys", "irreversible"})
"""The effects of what no later step takes back."""
_WORDS: Final[tuple[PowerName, ...]] = tuple(power.word for power in Power)


class _Row(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An object of the document: members that have a default are left out at it, and no others are known.

    A default is the one object of its value (`None`, `False`, an empty tuple), since msgspec compares by identity.
    """


class AccountRow(_Row, tag_field="type", tag="account", frozen=True, kw_only=True):
    """An account; `account` is its place in the table. An active one has no `status`."""

    account: int
    email: str | None = None
    language: str | None = None
    renamed: str | None = None
    status: Status | None = None


class GroupRow(_Row, tag_field="type", tag="group", frozen=True, kw_only=True):
    """A group that lives on the platform itself."""

    group: str
    external: str | None = None
    renamed: str | None = None


class MemberRow(_Row, tag_field="type", tag="member", frozen=True, kw_only=True):
    """An account in a platform's own group."""

    account: int
    group: str


class GrantRow(_Row, tag_field="type", tag="grant", frozen=True, kw_only=True):
    """A role of an account or of a group on a scope; `extras` are `null` where the file leaves them open."""

    account: int | None = None
    extras: tuple[str, ...] | None = ()
    group: str | None = None
    role: str
    scope: int


Side: TypeAlias = AccountRow | GroupRow | MemberRow | GrantRow


class ChangeRow(_Row, frozen=True, kw_only=True):
    """A resource before and after."""

    after: Side | None
    before: Side | None


class StepRow(_Row, frozen=True, kw_only=True):
    """A step; those of its members that have a default are left out at it.

    `action`, `blocked`, `destroys`, `mails` and `reversible` follow from the others and are there for readers. `origin`
    is a place in the table, `ids` are the ids that stand in no table.
    """

    action: Action
    after_power: PowerName
    before_power: PowerName
    blocked: bool
    cause: Cause
    change: ChangeRow
    depends_on: tuple[str, ...] = ()
    destroys: tuple[str, ...]
    diagnostics: tuple[Data, ...] = ()
    due: Due | None = None
    external: bool = False
    id: str
    ids: tuple[tuple[Key, str], ...] = ()
    mails: int
    origin: int | None = None
    pending: bool | None = None
    person: str | None = None
    raises: bool = False
    reversible: bool
    risk: Risk
    risks: tuple[str, ...] = ()
    undoes: bool = False
    waits: bool = False


class AccountEntry(_Row, frozen=True, kw_only=True):
    """An account in the table; `id` is what the platform calls it for good."""

    id: str | None = None
    login: str


class ScopeEntry(_Row, frozen=True, kw_only=True):
    """A scope in the table; `id` is what the platform calls it for good."""

    id: str | None = None
    kind: str
    name: str


class TableRows(_Row, frozen=True, kw_only=True):
    """The tables of a plan; the place of a row is its number in the list, from 0."""

    accounts: tuple[AccountEntry, ...]
    origins: tuple[Data, ...]
    scopes: tuple[ScopeEntry, ...]


def checked(change: Change, path: str) -> Change:
    """Return a change, which stands at `path`; raises `CodecError` where it has no side, or two that are two things."""
    if change.before is None and change.after is None:
        raise CodecError(path, "has neither side")
    if change.before is not None and change.after is not None and change.before.key != change.key:
        raise CodecError(path, "turns one thing into another")
    return change


_Pins: TypeAlias = tuple[tuple[Key, str], ...]
"""The platform's ids of things, each by the key of what it is of."""
_Place: TypeAlias = tuple[int, int, int | None, _Pins]
"""The places of a step's account, scope (0 for none) and origin, and the ids beside those of the tables."""


class Tables:
    """The tables of a plan that is written: each origin, account and scope of its steps, in the order of first use."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._origins: dict[Origin, int] = {}
        self._accounts: dict[tuple[str, str | None], int] = {}
        self._scopes: dict[tuple[str, str, str | None], int] = {}
        self._places = iter([self._place(step) for step in steps])

    def rows(self) -> TableRows:
        """Return the tables as the document has them."""
        return TableRows(
            accounts=tuple(AccountEntry(id=pinned, login=login) for login, pinned in self._accounts),
            origins=tuple(map(shape(Origin).encode, self._origins)),
            scopes=tuple(ScopeEntry(id=pinned, kind=kind, name=name) for kind, name, pinned in self._scopes),
        )

    def row(self, step: Step) -> StepRow:
        """Return the next step, for they come in the order in which they were given, as its row.

        Raises `CodecError` for a change that is none.
        """
        change, said = checked(step.change, step.id), step.diagnostics
        before, after = change.before, change.after
        account, scope, origin, ids = next(self._places)
        effects = {remark.effect for remark in said} if said else _NO_EFFECTS
        destroys = (
            tuple([remark.message for remark in said if remark.effect == "destroys"]) if "destroys" in effects else ()
        )
        row = StepRow(
            action="create" if before is None else "delete" if after is None else "update",
            after_power=_WORDS[step.after_power],
            before_power=_WORDS[step.before_power],
            blocked=bool(said) and step.blocked,
            cause=step.cause,
            change=ChangeRow(
                after=None if after is None else _to_side(after, account, scope),
                before=None if before is None else _to_side(before, account, scope),
            ),
            depends_on=step.depends_on,
            destroys=destroys,
            id=step.id,
            mails=sum([remark.count for remark in said if remark.effect == "mail"]) if "mail" in effects else 0,
            origin=origin,
            person=step.person,
            reversible=effects.isdisjoint(_FOR_GOOD),
            risk=step.risk,
        )
        return replace(  # in two calls: of more than 15 names Python makes a dictionary for each, which takes longer
            row,
            diagnostics=tuple([shape(Diagnostic).encode(diagnostic) for diagnostic in said]) if said else (),
            due=step.due,
            external=step.external,
            ids=ids,
            pending=step.pending,
            raises=step.raises,
            risks=step.risks,
            undoes=step.undoes,
            waits=step.waits,
        )

    def _place(self, step: Step) -> _Place:
        key, ids, origin = step.change.key, step.ids, step.origin
        account = scope = told = 0
        login = account_of(key) if key else None
        if key and key[0] == "grant":
            pinned = ids.get(("scope", key[3], key[4])) if ids else None
            told += pinned is not None
            scope = self._scopes.setdefault((key[3], key[4], pinned), len(self._scopes))
        if login is not None:
            pinned = ids.get(("account", login)) if ids else None
            told += pinned is not None
            account = self._accounts.setdefault((login, pinned), len(self._accounts))
        at = None if origin is None else self._origins.setdefault(origin, len(self._origins))
        return account, scope, at, _other_ids(key, ids) if len(ids) > told else ()


def _to_side(resource: Resource, account: int, scope: int) -> Side:
    """Return one side of a change as its row; `account` and `scope` are their places."""
    if isinstance(resource, Grant):
        by_account = resource.subject.kind == "account"
        return GrantRow(
            account=account if by_account else None,
            extras=resource.listed_extras,
            group=None if by_account else resource.subject.name,
            role=resource.role,
            scope=scope,
        )
    match resource:
        case Account(email=email, language=language, renamed=renamed, status=status):
            told = None if status == "active" else status
            return AccountRow(account=account, email=email, language=language, renamed=renamed, status=told)
        case Group(name=name, external=external, renamed=renamed):
            return GroupRow(group=name, external=external, renamed=renamed)
        case Member(group=group):
            return MemberRow(account=account, group=group)


def _other_ids(key: Key, ids: Mapping[Key, str]) -> _Pins:
    """Return the ids that a step pins, but for those of its account and its scope, which stand in the tables."""
    login, scope = account_of(key), scope_of(key)
    told = (account_key(login) if login is not None else None, scope_key(scope) if scope is not None else None)
    return tuple(sorted([(pinned, text) for pinned, text in ids.items() if pinned not in told]))


class ReadTables:
    """The tables of a plan that is read, and the values that its steps have in common: equal ones become one object.

    Raises `CodecError` for an origin that is none.
    """

    def __init__(self, rows: TableRows) -> None:
        decode = shape(Origin).decode
        self._origins = tuple(decode(origin, f"/tables/origins/{at}") for at, origin in enumerate(rows.origins))
        self._accounts = tuple(
            (Subject("account", row.login), _pin(account_key(row.login), row.id)) for row in rows.accounts
        )
        scopes = ((Scope(row.kind, row.name), row.id) for row in rows.scopes)
        self._scopes = tuple((scope, _pin(scope_key(scope), pinned)) for scope, pinned in scopes)
        self._known: dict[Any, Any] = {}
        self._ids: dict[_Pins, Mapping[Key, str]] = {}

    def step(self, row: StepRow) -> Step:
        """Return the step of a row. Raises `CodecError` with a place in the row where it contradicts itself."""
        share, said = self._share, row.diagnostics
        try:
            before, after = self._resource(row.change.before), self._resource(row.change.after)
            ids = self._find_ids(row)
            origin = None if row.origin is None else self._origins[row.origin]
        except IndexError:
            raise CodecError("", "names a place that its table does not have") from None
        except ValueError as problem:
            raise CodecError("/change", str(problem)) from None
        step = Step(
            id=row.id,
            change=checked(Change(before, after), "/change"),
            cause=row.cause,
            origin=origin,
            person=share(row.person),
            before_power=_POWERS[row.before_power],
            after_power=_POWERS[row.after_power],
            raises=row.raises,
            external=row.external,
            risk=row.risk,
            risks=share(row.risks),
            ids=ids,
            depends_on=share(row.depends_on),
        )
        return replace(  # as above
            step,
            due=row.due,
            waits=row.waits,
            undoes=row.undoes,
            pending=row.pending,
            diagnostics=tuple([_decode_said(one, f"/diagnostics/{at}") for at, one in enumerate(said)]) if said else (),
        )

    def _share(self, value: _T) -> _T:
        """Return the first value that was met of those that are equal to this one."""
        first: _T = self._known.setdefault(value, value)
        return first

    def _resource(self, side: Side | None) -> Resource | None:
        """Return the resource of a side. Raises `IndexError` and `ValueError`."""
        match side:
            case GrantRow():
                return self._grant(side)
            case None:
                return None
            case AccountRow(account=place, email=email, language=language, renamed=renamed, status=status):
                return Account(self._accounts[place][0].name, email, language, renamed, status or "active")
            case GroupRow(group=group, external=external, renamed=renamed):
                return Group(group, external, renamed)
            case MemberRow(account=place, group=group):
                return Member(group, self._accounts[place][0].name)

    def _grant(self, row: GrantRow) -> Grant:
        """Return the grant of a row. Raises `IndexError` and `ValueError`."""
        if row.account is not None and row.group is None:
            subject = self._accounts[row.account][0]
        elif row.group is not None and row.account is None:
            subject = self._share(Subject("group", row.group))
        else:
            raise ValueError("a grant is of one account or of one group")
        extras = self._share(frozenset(row.extras)) if row.extras else NO_EXTRAS if row.extras is not None else None
        return Grant(subject, self._scopes[row.scope][0], self._share(row.role), extras)

    def _find_ids(self, row: StepRow) -> Mapping[Key, str]:
        """Return the ids that a step pins: those that the tables have of its account and scope, and its own.

        One side tells them, since both are of one account and one scope. Raises `IndexError`.
        """
        side, pins = row.change.before if row.change.after is None else row.change.after, row.ids
        if isinstance(side, GrantRow):
            pins += self._scopes[side.scope][1]
        if side is not None and not isinstance(side, GroupRow) and side.account is not None:
            pins += self._accounts[side.account][1]
        ids = self._ids.get(pins)
        if ids is None:
            ids = self._ids[pins] = MappingProxyType(dict(pins))
        return ids


def _pin(key: Key, pinned: str | None) -> _Pins:
    """Return what a row of a table pins, if it does: the platform's id of something by its key."""
    return () if pinned is None else ((key, pinned),)


def _decode_said(data: Data, path: str) -> Diagnostic:
    """Return a diagnostic. Raises `CodecError`."""
    said: Diagnostic = shape(Diagnostic).decode(data, path)
    return said
