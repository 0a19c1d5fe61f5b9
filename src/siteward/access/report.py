"""All that one run has to say, its numbers and its exit code: the one object behind every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from siteward.access.diagnostic import Diagnostic
from siteward.access.model import Resource
from siteward.access.plan import Plan, Step

OutcomeStatus = Literal["done", "already", "refused", "failed", "unknown", "skipped", "blocked"]
DriftKind = Literal["unapplied", "undeclared", "changed-since"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one step.

    `already`: the world was as wanted. `refused`: the touched thing changed since the plan was made
    (`reviewed` / `now` / `wanted` tell), or the file no longer wants it. `skipped`: something it depends on
    was not done. `unknown`: the answer was lost and reading could not settle it. `blocked`: an error stood on
    it when it was reviewed and still does, so it was not sent.
    """

    instance: str
    step: Step
    status: OutcomeStatus
    message: str = ""
    hint: str | None = None
    reviewed: Resource | None = None
    now: Resource | None = None
    wanted: Resource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftItem:
    """One piece of drift: live and declared side by side, and since the last journal entry."""

    instance: str
    kind: DriftKind
    declared: Resource | None = None
    live: Resource | None = None
    journalled: Resource | None = None
    step: Step | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The numbers of a run; every renderer prints these and none counts for itself."""

    creates: int = 0
    updates: int = 0
    deletes: int = 0
    accounts_created: int = 0
    accounts_deleted: int = 0
    grants_added: int = 0
    grants_raised: int = 0
    grants_lowered: int = 0
    grants_revoked: int = 0
    other_changes: int = 0
    powers_raised: int = 0
    losing_everything: int = 0
    admins_gained: int = 0
    admins_lost: int = 0
    people: int = 0
    sites: int = 0
    mails: int = 0
    blocked: int = 0
    held_back: int = 0
    waiting: int = 0
    unmanaged: int = 0
    unmanaged_admins: int = 0
    ignored: int = 0
    errors: int = 0
    warnings: int = 0
    unreadable: int = 0
    blind: int = 0
    drift: Mapping[DriftKind, int] = field(default_factory=lambda: MappingProxyType({}))
    outcomes: Mapping[OutcomeStatus, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verb hands to a renderer.

    `texts` maps a file, as spans name it, to its lines, so that a renderer can show the excerpt.
    `next` is one command, or one sentence, that leads on. `applied` tells that writes were allowed.
    """

    command: str
    diagnostics: tuple[Diagnostic, ...] = ()
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()
    drift: tuple[DriftItem, ...] = ()
    applied: bool = False
    interrupted: bool = False
    stale: bool = False
    files: int = 0
    journal: str | None = None
    journal_head: str | None = None
    next: str | None = None
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
