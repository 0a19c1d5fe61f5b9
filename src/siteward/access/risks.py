"""The risks of a step, by which a plan is sorted and shown."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from siteward.access.change import Change, direction
from siteward.access.diagnostic import Diagnostic
from siteward.access.model import Account, Grant, Power, Resource, account_of
from siteward.access.ownership import Proposed
from siteward.access.proposal import Proposal
from siteward.access.traits import Traits, is_public

Risk = Literal["low", "medium", "high"]
LEVELS: tuple[Risk, ...] = ("low", "medium", "high")
RISKS: Mapping[str, Risk] = {
    "becomes-admin": "high",
    "gains-power": "high",
    "loses-everything": "high",
    "deletes-account": "high",
    "opens-to-all": "high",
    "existing-account": "high",
    "self-grant": "high",
    "destroys-data": "high",
    "loses-admin": "medium",
    "loses-access": "medium",
    "lowered": "medium",
    "external": "medium",
    "wide-reach": "medium",
    "changes-account": "medium",
    "irreversible": "medium",
    "gap": "medium",
    "moves-something": "medium",
}
EFFECT_RISKS: Mapping[str, str] = {
    "destroys": "destroys-data",
    "irreversible": "irreversible",
    "gap": "gap",
    "moves": "moves-something",
    "opens": "opens-to-all",
}


def _weigh(risks: Iterable[str]) -> tuple[tuple[str, ...], Risk]:
    """Return some risks, and the level of the greatest of them."""
    found = tuple(risks)
    return found, max([RISKS[risk] for risk in found], key=LEVELS.index, default="low")


class Risks:
    """The risks of the changes of a proposal; `emptied` are the accounts that lose all access."""

    def __init__(self, proposal: Proposal, emptied: Collection[str]) -> None:
        self._proposal = proposal
        self._traits = proposal.traits
        self._emptied = frozenset(emptied)
        self._known: dict[tuple[object, ...], tuple[tuple[str, ...], Risk]] = {}

    def of(
        self, proposed: Proposed, diagnostics: Sequence[Diagnostic], after: Power, *, external: bool, raises: bool
    ) -> tuple[tuple[str, ...], Risk]:
        """Return the risks of a change, as keys of `RISKS`, and the level of the greatest; `after` is the power that it leaves.

        Those of grants of accounts are found once for each pair of roles, and what is said of it.
        """
        change = proposed.change
        side = change.before if change.after is None else change.after
        if not isinstance(side, Grant) or side.subject.kind == "group":
            return _weigh(self._find_risks(proposed, diagnostics, after, external=external, raises=raises))
        name = side.subject.name
        said = tuple([(diagnostic.code, diagnostic.effect) for diagnostic in diagnostics]) if diagnostics else ()
        about = side.scope.kind, external, raises, said, name in self._emptied, is_public(self._traits, name)
        kind = (*about, _words_of(change.before), _words_of(change.after))
        risks = self._known.get(kind)
        if risks is None:
            found = self._find_risks(proposed, diagnostics, after, external=external, raises=raises)
            risks = self._known[kind] = _weigh(found)
        return risks

    def _find_risks(
        self, proposed: Proposed, diagnostics: Sequence[Diagnostic], after: Power, *, external: bool, raises: bool
    ) -> Iterator[str]:
        change = proposed.change
        codes = {diagnostic.code for diagnostic in diagnostics}
        if after <= Power.VIEW:  # in a first plan nearly everybody is met for the first time
            codes.discard("existing-account")
        effects = {diagnostic.effect for diagnostic in diagnostics}
        opens = direction(change, self._traits) != "close"
        if is_top(change.after, self._traits):
            yield "becomes-admin"
        elif is_top(change.before, self._traits):
            yield "loses-admin"
        if raises:
            yield "gains-power"
        yield from self._find_losses(change)
        name = account_of(change.key) or ""
        if opens and is_public(self._traits, name):
            yield "opens-to-all"
        if opens and external and not isinstance(change.after, Account):
            yield "external"
        yield from (
            risk
            for risk, code in (
                ("existing-account", "existing-account"),
                ("existing-account", "identity-mismatch"),
                ("self-grant", "grants-oneself"),
                ("wide-reach", "reach"),
            )
            if code in codes
        )
        yield from (risk for effect, risk in EFFECT_RISKS.items() if effect in effects)

    def _find_losses(self, change: Change) -> Iterator[str]:
        name = account_of(change.key) or ""
        if isinstance(change.before, Account):
            yield "deletes-account" if change.after is None else "changes-account"
        elif change.before is not None and direction(change, self._traits) != "open":
            yield "loses-access" if change.after is None else "lowered"
            if name in self._emptied or (
                change.key[:2] == ("grant", "group")
                and not self._emptied.isdisjoint(self._proposal.index.members.get(change.key[2], ()))
            ):
                yield "loses-everything"


def _words_of(side: Resource | None) -> tuple[object, ...] | None:
    return (side.role, side.extras) if isinstance(side, Grant) else None


def is_top(side: Resource | None, traits: Traits) -> bool:
    """Return whether one side of a change is the top role."""
    return isinstance(side, Grant) and traits.is_top(side)
