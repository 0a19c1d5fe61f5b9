"""The answers of `explain`, `who-can` and `doctor`, as data for the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.api_key import HeldKey
from siteward.access.certification import Confirmations, Confirmed, identify
from siteward.access.diagnostic import Diagnostic
from siteward.access.effective import Agreement, Effect
from siteward.access.model import EVERYWHERE, Grant, Member, Power, Scope, Subject, account_key, grant_key
from siteward.access.plan import InstancePlan, Step
from siteward.access.state import Ended, Origin


class Explanation(Struct, frozen=True, kw_only=True):
    """The reasons for the access of an account to a scope, declared and live, and the step that is planned.

    `wished` is the declared grant, `origin` its place; `also` are weaker declared grants on the same scope. `ended` is
    set if the file ends the grant by name, with the place. `why_not` is the reason why nothing is declared, `why_kept`
    the reason why more is live than declared and stays; both in words. `beside` are steps on other resources that
    change the access of the account here. `confirmed` is the last review that kept what is held there. `agreement` is how live and declared agree, in all that both give here.
    `keys` are those of the account on the whole instance.
    """

    instance: str
    account: str
    scope: Scope
    agreement: Agreement = "same"
    person: str | None = None
    wished: Grant | None = None
    origin: Origin | None = None
    ended: Ended | None = None
    live: Effect | None = None
    pending: bool = False
    step: Step | None = None
    why_not: str | None = None
    also: tuple[tuple[Grant, Origin | None], ...] = ()
    why_kept: str | None = None
    beside: tuple[Step, ...] = ()
    confirmed: Confirmed | None = None
    keys: tuple[HeldKey, ...] = ()


def with_beside(explanation: Explanation, plan: InstancePlan) -> Explanation:
    """Return an explanation with the steps on other resources that change the access of the account on the scope.

    These are steps on its role on the whole instance, on the groups it has the access through, and on itself.
    """
    ways = explanation.live.ways if explanation.live else ()
    keys = {way.grant.key for way in ways} | {grant_key(Subject("account", explanation.account), EVERYWHERE)}
    keys |= {Member(way.group, explanation.account).key for way in ways if way.group}
    own = account_key(explanation.account)
    steps = (
        step
        for step in plan.steps
        if step.change.key in keys or (step.change.key == own and None in {step.change.before, step.change.after})
    )
    return replace(explanation, beside=tuple(step for step in steps if step != explanation.step))


def with_confirmed(explanation: Explanation, confirmed: Confirmations) -> Explanation:
    """Return an explanation with the last review that has kept what the account holds on the scope."""
    item = identify(explanation.instance, explanation.account, explanation.scope)
    live = explanation.live.ways[0].grant if explanation.live and explanation.live.ways else None
    return replace(explanation, confirmed=confirmed.find(item, live or explanation.wished))


class Grantee(Struct, frozen=True, kw_only=True):
    """One account with a role on a scope, live or declared or both; `through` is the indirect way, in words.

    The extras are the rights beside the role, and the module that was asked for. `agreement` is that of all that is live
    and declared here.
    """

    instance: str
    account: str
    scope: Scope
    person: str | None = None
    live: str | None = None
    live_power: Power = Power.NONE
    through: str | None = None
    declared: str | None = None
    declared_power: Power = Power.NONE
    origin: Origin | None = None
    extras: frozenset[str] = frozenset()
    declared_extras: frozenset[str] = frozenset()
    agreement: Agreement = "same"


class Checkup(Struct, frozen=True, kw_only=True):
    """The findings of `doctor` on one instance. `credentials` maps a field to where it was found, never to its value.

    `confirmed` names the source beside the file by which `account` is the one in use; `None` where there is none. `keys` are
    those that are live or in the file, `None` where nothing was read; `keys_unseen` says why not all live ones are shown.
    """

    instance: str
    platform: str
    origin: str
    version: str = ""
    account: str | None = None
    confirmed: str | None = None
    role: str | None = None
    credentials: Mapping[str, str] = MappingProxyType({})
    may: tuple[str, ...] = ()
    may_not: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    keys: tuple[HeldKey, ...] | None = None
    keys_unseen: str = ""
    journal: str = ""
    seconds: float = 0.0
    requests: int = 0
    problem: Diagnostic | None = None
