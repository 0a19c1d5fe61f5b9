"""The invariants that hold at every write: it is journalled before, it touches nobody else, and enough admins are left.

The journal is read from the disk, as a process that comes after a crash would read it; who was touched and who is admin
is read from the stand-in's tables. None of it asks the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.facts import Fact, admins, facts, lost, shows
from chaos.worlds import PAST, SOON
from siteward.access.model import Key
from siteward.platforms.fakery import Fake


@dataclass
class Owners:
    """What the owners have declared about admins: who counts, and how many there must be.

    `left` are the admins of an earlier file whom this one does not name any more. Who has left and is made an admin
    again, by another writer, is nobody's admin: not declared, and no word in the file takes it.
    """

    document: Mapping[str, Any]
    logins: Mapping[str, str]
    own: str
    left: Collection[str] = ()

    @property
    def least(self) -> int:
        return int(self.document["policy"]["admins"]["min"])

    def counted(self, names: Collection[str]) -> frozenset[str]:
        """Return the admins among some accounts who count: active people whom the file keeps for two weeks or longer."""
        return frozenset(name for name in names if self.counts(name))

    def counts(self, login: str, *, gone: bool = False) -> bool:
        """Return whether an active admin counts; `gone`: also one whom the file lets go by a word."""
        handle = next((handle for handle, known in self.logins.items() if known == login), None)
        user = self.document["users"].get(handle)
        if login == self.own or handle is None:
            return False
        if user is None:
            return gone and handle in self.left
        ends = {user.get("until"), *self._grant_ends(handle)}
        if user.get("kind") == "service" or SOON in ends or user.get("until") == PAST or self._is_over(handle):
            return False
        return gone or "state" not in user

    def _is_over(self, handle: str) -> bool:
        """Return whether all admin grants of a user are over by a date: what ends so never counted."""
        ends = [
            grant.get("until")
            for grant in self.document.get("grants", ())
            if grant["to"] == handle and grant["role"] == "admin"
        ]
        return bool(ends) and all(end == PAST for end in ends)

    def _grant_ends(self, handle: str) -> Iterator[str | None]:
        """Yield the ends of the admin grants that hold; one that is over is no wish any more."""
        for grant in self.document.get("grants", ()):
            if grant["to"] == handle and grant["role"] == "admin" and grant.get("until") != PAST:
                yield grant.get("until")


@dataclass
class Watch:
    """Looks at a stand-in and its journal at every write, and keeps what is wrong.

    `unseen` is true while another writer has changed something since all accounts were listed; that excuses a step only
    if nothing was granted since (`opened`), as all is to be listed again between that and the first admin unmade.
    """

    fake: Fake
    journal: Path
    owners: Owners
    wrong: list[str] = field(default_factory=list)
    kept: bytes = b""
    unseen: bool = False
    opened: bool = False

    def __post_init__(self) -> None:
        self.look_away()

    def look_away(self) -> None:
        """Take what is there now as given."""
        self.before = facts(self.fake)
        self.admins = admins(self.fake)

    def see_write(self, request: str) -> None:
        """Check what one request has changed."""
        before, admins_before = self.before, self.admins
        self.look_away()
        open_steps = list(self._open_steps())
        if not open_steps:
            self.wrong.append(f"unjournalled: {request}")
        for fact in sorted(before ^ self.before):
            if not any(_covers(step, fact, self.owners.own) for step in open_steps):
                self.wrong.append(f"outside the plan: {fact} by {request}, intended: {[key for key, _ in open_steps]}")
        for thing in sorted(lost(before, self.before)):
            if not any(key[:2] == ("group", thing.removeprefix("group:")) for key, _ in open_steps):
                self.wrong.append(f"lost: {thing} by {request}")
        self._check_admins(admins_before - self.admins, request)
        self.opened = self.opened or any(step["before"] is None for step in self._intents().values())

    def see_listing(self) -> None:
        """Note that all accounts were listed."""
        self.unseen = self.opened = False

    def _check_admins(self, removed: frozenset[str], request: str) -> None:
        unmade = [login for login in sorted(removed) if self.owners.counts(login, gone=True)]
        left, excused = self.owners.counted(self.admins), self.unseen and not self.opened
        if unmade and len(left) < self.owners.least and not excused:
            self.wrong.append(
                f"too few admins: {unmade} unmade by {request}, left {sorted(left)} of at least {self.owners.least}"
            )

    def see_line(self, data: bytes) -> None:
        """Check what is about to be journalled: a step is done only where the server's tables show it."""
        if b'"kind":"outcome"' not in data:
            return
        intents = self._intents()
        for name, status in json.loads(data.splitlines()[-1])["results"].items():
            step = intents.get(name)
            if status == "done" and step and not shows(self.fake, step["before"], step["after"]):
                self.wrong.append(f"journalled as done and not there: {step['after'] or step['before']}")

    def _open_steps(self) -> Iterator[tuple[Key, str | None]]:
        """Yield the key of each step whose intent is on the disk without a known outcome, and the login it moves to."""
        for step in self._intents().values():
            yield _key_of(step["after"] or step["before"]), (step["after"] or {}).get("renamed")

    def _intents(self) -> dict[str, Mapping[str, Any]]:
        """Return the intents on the disk that have no known outcome, by step."""
        intents: dict[str, Mapping[str, Any]] = {}
        for line in self._lines():
            if line.get("kind") == "run":
                intents = {}
            for step in line.get("steps", ()) if "part" in line else ():
                intents[step["step"]] = step
            for step, status in line.get("results", {}).items():
                if status != "unknown":
                    intents.pop(step, None)
        return intents

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the finished records; none that was there before may be gone or changed.

        Parts without the header that ends their record are what a full disk or a crash has left of it: the next process
        takes them away.
        """
        data = self.journal.read_bytes() if self.journal.exists() else b""
        if not data.startswith(self.kept):
            self.wrong.append("lines of the journal are gone, or were changed")
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        last = max((at for at, line in enumerate(lines, start=1) if b'"part":' not in line[:8]), default=0)
        self.kept = b"".join(lines[:last])
        for line in self.kept.splitlines():
            yield json.loads(line)


def _key_of(resource: Mapping[str, Any]) -> Key:
    match resource:
        case {"type": "grant", "subject": subject, "scope": scope}:
            return ("grant", subject["kind"], subject["name"], scope["kind"], scope.get("name", ""))
        case {"type": "member", "group": group, "account": account}:
            return ("member", group, account)
        case {"type": kind, "name": name}:
            return (kind, name)
        case _:
            raise ValueError(f"the journal has a resource without a key: {resource}")


def _covers(step: tuple[Key, str | None], fact: Fact, own: str) -> bool:
    """Return whether a step that is under way may change a fact: its account's own, on its own site.

    A step about an account or its role on the whole instance may change all facts of that account. A per-site team
    comes with the first grant on its site, and belongs to the account in use.
    """
    (key, renamed), (owner, scope, text) = step, fact
    if key[0] == "member":
        return owner in {key[2], f"group:{key[1]}"}
    if key[0] != "grant":
        return owner in {key[1], renamed, f"group:{key[1]}"}
    _, kind, name, scope_kind, scope_name = key
    here = scope_name.partition("#")[0]
    subject = name if kind == "account" else f"group:{name}"
    if owner.casefold() == subject.casefold():
        return scope_kind in {"instance", "module"} or scope in {"", here}
    return scope == here and (owner == f"site:{here}" or (owner == own and "team-owner" in text))
