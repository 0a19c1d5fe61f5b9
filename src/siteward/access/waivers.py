"""Waivers: findings that the owners live with for a time, and the fingerprints that tell such findings apart.

A waiver silences a finding of a rule that the catalogue calls waivable, while it is in force and the finding is the one
that was seen. It takes a finding out of the listings and never out of the counts, and it changes no step and no exit
code: errors, what is said of a step, and differences are beyond it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.diagnostic import Accepted, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.policy import Waiver

_LENGTH = 16


def fingerprint(rule: str, instance: str, thing: str | None, facts: Iterable[str]) -> str:
    """Return the 16 hexadecimal digits by which a finding is known: the same for the same facts, in whatever order.

    They are never what YAML would read as a number, so that they can be written without quotes.
    """
    told = json.dumps([rule, instance, thing, sorted(set(facts))], ensure_ascii=True, separators=(",", ":"))
    digits = sha256(told.encode()).hexdigest()
    starts = range(len(digits) - _LENGTH + 1)
    found = (digits[start : start + _LENGTH] for start in starts)
    return next(seen for seen in found if not seen.replace("e", "0").isdigit())


def is_about(waiver: Waiver, said: Diagnostic, instance: str) -> bool:
    """Return whether a waiver is about what a finding on an instance is about, whatever it was when it was seen."""
    named = waiver.on is None or instance in waiver.on
    return named and waiver.rule == said.code and waiver.about in {None, said.thing}


def silenced(
    said: Iterable[Diagnostic], instance: str, waivers: Collection[Waiver], as_of: datetime
) -> tuple[Diagnostic, ...]:
    """Return the diagnostics of an instance, those that can be waived with fingerprints, those that are with the reason.

    Of several waivers of one finding the one that ends last counts.
    """
    return tuple(_silence(_identify(found, instance), instance, waivers, as_of) for found in said)


def _identify(said: Diagnostic, instance: str) -> Diagnostic:
    """Return a diagnostic with its fingerprint in place of the facts, or without both where none may waive it."""
    if not said.facts:
        return said
    seen = fingerprint(said.code, instance, said.thing, said.facts) if _is_waivable(said) else None
    return replace(said, facts=(), seen=seen)


def _is_waivable(said: Diagnostic) -> bool:
    from siteward.access.catalog import WAIVABLE  # noqa: PLC0415 — most plans have no such finding

    mere = said.severity is Severity.WARNING and said.effect is None and not said.differs
    return mere and said.about is None and said.code in WAIVABLE


def _silence(said: Diagnostic, instance: str, waivers: Collection[Waiver], as_of: datetime) -> Diagnostic:
    if said.seen is None:
        return said
    holding = [
        waiver
        for waiver in waivers
        if waiver.seen == said.seen
        and is_about(waiver, said, instance)
        and as_of < waiver.until
        and not waiver.is_too_long(as_of)
    ]
    if not holding:
        return said
    last = max(holding, key=lambda waiver: waiver.until)
    return replace(said, waived=Accepted(last.reason, last.ends))
