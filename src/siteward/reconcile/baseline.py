"""The baseline: waivers of all findings of now that may be waived, so that what is new stands out.

The edit is returned only when it is proven: the edited files declare the same access under the same policy, and silence
exactly what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.policy import Waiver
from siteward.access.waivers import silenced
from siteward.declaration.edited import Edit
from siteward.declaration.splice import CannotEditError
from siteward.declaration.waivers import add_waivers, waivers_of
from siteward.declaration.window import moment
from siteward.reconcile.certify import prove
from siteward.reconcile.revisions.policy_changes import changed_rules
from siteward.reconcile.sheets import BadDecisionsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from siteward.access.plan import Plan
    from siteward.declaration.declared import Declaration
    from siteward.reconcile.project import Project
    from siteward.reconcile.survey import Survey


class Baseline(Struct, frozen=True, kw_only=True):
    """The edit that waives what was found, the waivers that it writes, and the number of findings waived before."""

    edit: Edit
    waivers: tuple[Waiver, ...]
    before: int = 0


def make_baseline(project: Project, surveys: Sequence[Survey], plan: Plan, *, reason: str, last_day: str) -> Baseline:
    """Return the edit that waives all findings of a plan that may be waived and are not, until the end of a day.

    Raises `BadDecisionsError` for an edit that cannot be proven.
    """
    before = sum(said.waived is not None for part in plan.instances for said in part.diagnostics)
    until = moment(last_day, project.declaration.timezone, "until")
    found = dict.fromkeys(_list_waivers(plan, reason, last_day, until))
    waivers = tuple(sorted(found, key=lambda waiver: (waiver.rule, waiver.on or (), waiver.about or "", waiver.seen)))
    if not waivers:
        return Baseline(edit=Edit(texts={}), waivers=(), before=before)
    try:
        edit = add_waivers(project.declaration, waivers)
    except CannotEditError as problem:
        raise BadDecisionsError(str(problem)) from problem
    _check(project.declaration, prove(project, surveys, (), edit), plan)
    return Baseline(edit=edit, waivers=waivers, before=before)


def _list_waivers(plan: Plan, reason: str, last_day: str, until: datetime) -> Iterator[Waiver]:
    for part in plan.instances:
        for said in part.diagnostics:
            if said.seen is not None and said.waived is None:
                yield Waiver(
                    rule=said.code,
                    on=(part.instance,),
                    about=said.thing,
                    reason=reason,
                    until=until,
                    ends=last_day,
                    seen=said.seen,
                )


def _check(before: Declaration, after: Declaration, plan: Plan) -> None:
    """Raise `BadDecisionsError` where edited files have another policy but for waivers, or do not silence everything."""
    if changed_rules(_without_waivers(before), _without_waivers(after)):
        raise BadDecisionsError("the waivers cannot be written without changing more of the policy; write them by hand")
    for part in plan.instances:
        for said in silenced(part.diagnostics, part.instance, waivers_of(after), plan.as_of):
            if said.seen is not None and said.waived is None:
                raise BadDecisionsError(f"what `{said.code}` finds cannot be waived surely; write the waiver by hand")


def _without_waivers(declaration: Declaration) -> Declaration:
    instances = {
        name: replace(instance, policy=replace(instance.policy, waivers=()))
        for name, instance in declaration.instances.items()
    }
    return replace(declaration, instances=instances)
