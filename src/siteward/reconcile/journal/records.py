"""Entries as records: what everybody may read of an entry stands in the header, what is about somebody in parts.

A part is what concerns one account in one entry, so that it can be erased without the rest; what concerns no account (a
group, a whole selection) stands in a part without a name. Only what changed since the run before is said of users and
known accounts, so that reading has to go on from entry to entry.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from siteward.access.model import account_of
from siteward.access.serialize import CodecError, UnknownMemberError
from siteward.reconcile.journal.entries import (
    BlockWaived,
    InvitationResent,
    JournalContinued,
    Offboarded,
    PartsErased,
    ReviewClosed,
    RunResumed,
    RunStarted,
    StepsFinished,
    StepsIntended,
    decode_entry,
    encode_entry,
)
from siteward.reconcile.journal.resources import row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from siteward.reconcile.journal.chain import Part, Record
    from siteward.reconcile.journal.entries import Entry

NOBODY: Final = ""
"""The name of the part that concerns no account."""
ACTOR: Final = "actor"
"""The name of the part that says who began a run."""
_ACTOR_MEMBERS: Final = frozenset({"actor", "how", "triggered_by", "run_url", "approvals"})


class Known:
    """What the entries of a journal have said of users, accounts and steps so far, and later ones need not repeat.

    `users` has login and id of each declared user by handle, `accounts` the known accounts, `me` is the account in use,
    and `steps` has the account that each step concerns.
    """

    def __init__(self) -> None:
        self.users: dict[str, tuple[str, str | None]] = {}
        self.accounts: frozenset[str] = frozenset()
        self.me: str | None = None
        self.steps: dict[str, str] = {}

    def note(self, entry: Entry) -> None:
        """Take over what an entry says."""
        match entry:
            case RunStarted():
                self.users = {handle: (login, entry.ids.get(login)) for handle, login in entry.users.items()}
                self.accounts = frozenset(entry.accounts)
                self.me = entry.me
                self.steps = {}
            case StepsIntended():
                self.steps.update({intent.step: account_of(intent.key) or NOBODY for intent in entry.steps})
            case _:
                pass


# Writing


def split(entry: Entry, known: Known) -> tuple[dict[str, Any], list[Part]]:
    """Return the header of an entry, and its parts in the order of their names."""
    header, parts = encode_entry(_without_steps(entry)), _Parts()
    match entry:
        case RunStarted():
            _split_run(entry, header, parts, known)
        case StepsIntended():
            for intent in entry.steps:
                data = {"step": intent.step, "before": row_of(intent.before), "after": row_of(intent.after)}
                parts.add(account_of(intent.key), "steps", [data])
            header["steps"] = [intent.step for intent in entry.steps]
        case StepsFinished():
            _split_results(entry, header, parts, known)
        case RunResumed() | ReviewClosed():
            _split_actor(header, parts)
            _split_decisions(entry, header, parts)
        case BlockWaived():
            header["name"] = class_of(entry.name)
            parts.add(_login_in(entry.name), "waiver", {"name": entry.name, "reason": header.pop("reason")})
        case InvitationResent():
            parts.add(header.pop("login"), "message", header.pop("message"))
        case Offboarded():
            parts.add(header.pop("user"), "offboard", header.pop("items"))
        case JournalContinued() | PartsErased():
            _split_reason(header, parts)
        case _:
            pass
    return header, parts.listed()


def _without_steps(entry: Entry) -> Entry:
    """Return an entry without the members of it, one for each step, that are told otherwise."""
    match entry:
        case StepsIntended():
            return replace(entry, steps=())
        case StepsFinished():
            return replace(entry, results=())
        case _:
            return entry


class _Parts:
    """The parts of one record, by the account they concern."""

    def __init__(self) -> None:
        self._by_name: dict[str, Part] = {}

    def add(self, account: str | None, member: str, value: Any) -> None:
        """Add a member to the part of an account, or of nobody; lists and objects are joined."""
        part = self._by_name.setdefault(account or NOBODY, {"part": account or NOBODY})
        if isinstance(value, list):
            part.setdefault(member, []).extend(value)
        elif isinstance(value, dict) and member in part:
            part[member] |= value
        else:
            part[member] = value

    def listed(self) -> list[Part]:
        """Return the parts by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]


def class_of(name: str) -> str:
    """Return a word without what follows a colon, which may be a login: `identity:anna@stats` is `identity`."""
    return name.partition(":")[0]


def _login_in(name: str) -> str:
    """Return the login in the name of an acceptance (`identity:LOGIN@INSTANCE`), or an empty text."""
    return name.partition(":")[2].rpartition("@")[0]


def _split_actor(header: dict[str, Any], parts: _Parts) -> None:
    for member, value in (header.pop("actor") or {}).items():
        parts.add(ACTOR, member, value)


def _split_decisions(entry: Entry, header: dict[str, Any], parts: _Parts) -> None:
    if isinstance(entry, ReviewClosed):
        for decided, data in zip(entry.decisions, header.pop("decisions"), strict=True):
            parts.add(account_of(decided.right.key), "review", [data])


def _split_reason(header: dict[str, Any], parts: _Parts) -> None:
    if (reason := header.pop("reason")) is not None:
        parts.add(NOBODY, "reason", reason)


def _split_run(entry: RunStarted, header: dict[str, Any], parts: _Parts, known: Known) -> None:
    del header["users"], header["ids"], header["accounts"], header["me"]
    _split_actor(header, parts)
    declared = {handle: (login, entry.ids.get(login)) for handle, login in entry.users.items()}
    for handle in known.users.keys() | declared.keys():
        if (now := declared.get(handle)) != known.users.get(handle):
            parts.add(handle, "declared", None if now is None else {"login": now[0], "id": now[1]})
    for account in known.accounts ^ frozenset(entry.accounts):
        parts.add(account, "known", account in entry.accounts)
    if entry.me != known.me:
        parts.add(entry.me or known.me, "self", entry.me is not None)
    header["only"] = sorted({class_of(word) for word in entry.only})
    if entry.only:
        parts.add(NOBODY, "only", list(entry.only))


def _split_results(entry: StepsFinished, header: dict[str, Any], parts: _Parts, known: Known) -> None:
    header["results"] = {result.step: result.status for result in entry.results}
    if sends := {result.step: result.sends for result in entry.results if result.sends}:
        header["sends"] = sends
    for result in entry.results:
        if result.message:
            parts.add(known.steps.get(result.step), "words", {result.step: result.message})
        if result.account_id is not None:
            parts.add(known.steps.get(result.step), "ids", {result.step: result.account_id})


# Reading


def join(record: Record, known: Known) -> Entry:
    """Return the entry of a record, and note in `known` what it says.

    What was erased is missing in it. Raises `UnknownMemberError` for what this version does not know, and `CodecError`
    for what no version has written.
    """
    header = dict(record.header)
    kind = header.get("kind")
    if isinstance(kind, str) and kind in _JOINS:
        allowed, add = _JOINS[kind]
        parts = list(record.read_parts())
        for part in parts:
            if unknown := sorted(part.keys() - {"part", *allowed}):
                raise UnknownMemberError(f"/{part['part']}/{unknown[0]}", "is not known")
        add(header, parts, known)
    entry = decode_entry(header)
    known.note(entry)
    return entry


def _join_run(header: dict[str, Any], parts: Iterable[Part], known: Known) -> None:
    users, accounts, me = dict(known.users), set(known.accounts), known.me
    for part in parts:
        name = part["part"]
        if "declared" in part:
            _declare(users, name, part["declared"])
        if "known" in part:
            (accounts.add if part["known"] else accounts.discard)(name)
        if "self" in part:
            me = name if part["self"] else None
        if name == ACTOR and "actor" in part:
            header["actor"] = {member: part[member] for member in _ACTOR_MEMBERS & part.keys()}
        header["only"] = part.get("only", header.get("only"))
    header |= {
        "users": {handle: login for handle, (login, _) in users.items()},
        "ids": {login: id_ for login, id_ in users.values() if id_ is not None},
        "accounts": sorted(accounts),
        "me": me,
    }


def _join_resume(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    for part in parts:
        if part["part"] == ACTOR and "actor" in part:
            header["actor"] = {member: part[member] for member in _ACTOR_MEMBERS & part.keys()}


def _declare(users: dict[str, tuple[str, str | None]], handle: str, told: object) -> None:
    match told:
        case None:
            users.pop(handle, None)
        case {"login": str(login), "id": str() | None as id_}:
            users[handle] = (login, id_)
        case _:
            raise CodecError(f"/{handle}/declared", "should be login and id")


def _join_intent(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    order = _list_of(header, "steps")
    for at, name in enumerate(order):
        if not isinstance(name, str):
            raise CodecError(f"/steps/{at}", "should be a text")
    steps: dict[str, object] = {}
    for part in parts:
        for at, step in enumerate(_list_of(part, "steps")):
            match step:
                case {"before": None, "after": None}:
                    raise CodecError(f"/{part['part']}/steps/{at}", "should have a side, before or after")
                case {"step": str(name)}:
                    steps[name] = step
                case _:
                    raise CodecError(f"/{part['part']}/steps/{at}", "should name a step")
    header["steps"] = [steps.pop(name) for name in order if name in steps]
    if steps:
        raise CodecError("/steps", "are not those of the parts")


def _join_results(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    results, sends = _object_of(header, "results"), _object_of(header, "sends")
    header.pop("sends", None)
    told: dict[str, dict[str, Any]] = {step: {"step": step, "status": status} for step, status in results.items()}
    for part in parts:
        for member, name in (("words", "message"), ("ids", "account_id")):
            for step, value in _object_of(part, member).items():
                told.setdefault(step, {"step": step})[name] = value
    for step, count in sends.items():
        told.setdefault(step, {"step": step})["sends"] = count
    header["results"] = list(told.values())


def _join_waiver(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    header["reason"] = ""
    for part in parts:
        header |= _object_of(part, "waiver")


def _join_resend(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    header |= {"login": NOBODY, "message": ""}
    for part in parts:
        header |= {"login": part["part"], "message": part.get("message", "")}


def _join_offboard(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    header |= {"user": NOBODY, "items": []}
    for part in parts:
        header |= {"user": part["part"], "items": _list_of(part, "offboard")}


def _join_review(header: dict[str, Any], parts: Iterable[Part], known: Known) -> None:
    told = list(parts)
    _join_resume(header, told, known)
    header["decisions"] = [decided for part in told for decided in _list_of(part, "review")]


def _join_reason(header: dict[str, Any], parts: Iterable[Part], _: Known) -> None:
    for part in parts:
        header["reason"] = part.get("reason", "")


def _list_of(data: Mapping[str, Any], name: str) -> list[Any]:
    value = data.get(name, [])
    if not isinstance(value, list):
        raise CodecError(f"/{name}", "should be a list")
    return value


def _object_of(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise CodecError(f"/{name}", "should be an object")
    return value


_JOINS: Final[Mapping[str, tuple[frozenset[str], Callable[[dict[str, Any], list[Part], Known], None]]]] = (
    MappingProxyType(
        {
            "run": (frozenset({"declared", "known", "self", "only"}) | _ACTOR_MEMBERS, _join_run),
            "resume": (_ACTOR_MEMBERS, _join_resume),
            "intent": (frozenset({"steps"}), _join_intent),
            "outcome": (frozenset({"words", "ids"}), _join_results),
            "waiver": (frozenset({"waiver"}), _join_waiver),
            "resend": (frozenset({"message"}), _join_resend),
            "offboard": (frozenset({"offboard"}), _join_offboard),
            "review": (frozenset({"review"}) | _ACTOR_MEMBERS, _join_review),
            "continues": (frozenset({"reason"}), _join_reason),
            "erased": (frozenset({"reason"}), _join_reason),
        }
    )
)
"""For each kind with parts of its own, the members that these may have, and how they are added to the header's data."""
