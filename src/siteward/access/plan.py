"""The plan: ordered, judged changes. Data that is complete before the first write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from siteward.access.change import Change
from siteward.access.diagnostic import Diagnostic
from siteward.access.model import Key, Power
from siteward.access.policy import Mode
from siteward.access.state import Ending, Listing, Origin

Cause = Literal["granted", "silence", "unmanaged", "renamed"] | Ending
Risk = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change in a plan.

    `id` is unique in its instance's plan (`s1`, `s2`, … in order of execution). `person` is the declared
    handle behind the account, if there is one. `ids` pins the platform's own ids of what is touched, by key,
    so that a thing deleted and made anew between plan and apply is not taken for the old one.
    `depends_on` lists the ids of steps that must be done first.
    """

    id: str
    change: Change
    cause: Cause
    origin: Origin | None = None
    person: str | None = None
    before_power: Power = Power.NONE
    after_power: Power = Power.NONE
    raises: bool = False
    outsider: bool = False
    risk: Risk = "low"
    risks: tuple[str, ...] = ()
    ids: Mapping[Key, str] = field(default_factory=lambda: MappingProxyType({}))
    depends_on: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def blocked(self) -> bool:
        """Tell whether an error stands on this step."""
        return any(each.blocks for each in self.diagnostics)

    def effects(self, effect: str) -> tuple[Diagnostic, ...]:
        """Return the consequences of one kind that the platform announced for this step."""
        return tuple(each for each in self.diagnostics if each.effect == effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A live account that no declared user resolves to, with what it holds; reported, or revoked by policy."""

    name: str
    email: str | None = None
    power: Power = Power.NONE
    grants: int = 0
    ignored: bool = False
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancePlan:
    """What would be done on one instance, and on what knowledge.

    `origin` is scheme, host and port. `held_back` are steps that the mode leaves undone; `accounts`, `sites`
    and `grants` count what was read and is managed. `requests` and `seconds` are what applying is expected to
    cost. `waiting` are keys already as wanted but for somebody's acceptance.
    """

    instance: str
    platform: str
    origin: str
    mode: Mode
    version: str = ""
    edition: str = ""
    me: str | None = None
    steps: tuple[Step, ...] = ()
    held_back: tuple[Step, ...] = ()
    strangers: tuple[Stranger, ...] = ()
    waiting: tuple[Key, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    listings: tuple[Listing, ...] = ()
    unreadable: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    accepted_blind: tuple[str, ...] = ()
    accounts: int = 0
    sites: int = 0
    grants: int = 0
    admins_before: int = 0
    admins_after: int = 0
    read_requests: int = 0
    requests: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one run would do on all its instances. `digest` covers everything else (see codec)."""

    tool: str
    created: datetime
    as_of: datetime
    as_of_given: bool = False
    config: str = ""
    config_digest: str = ""
    commit: str | None = None
    dirty: bool = False
    files: int = 0
    instances: tuple[InstancePlan, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    digest: str = ""

    def instance(self, name: str) -> InstancePlan | None:
        """Return the part of that instance."""
        return next((each for each in self.instances if each.instance == name), None)
