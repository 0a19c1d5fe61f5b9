"""Several plans as one picture: those of the instances of one checkout, each planned by a job of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access.codec import seal
from siteward.access.diagnostic import Diagnostic, error, join_some, warning
from siteward.access.plan import Need, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def join(plans: Mapping[str, Plan]) -> Plan:
    """Return plans, by the name of their document, as one: instances in the order given, what is needed summed up.

    What all of them say of the files is said once. Raises `ValueError` without any plan.
    """
    if not plans:
        raise ValueError("there is no plan to join")
    every = tuple(plans.values())
    if len(every) == 1:
        return every[0]
    first, commits = every[0], {plan.commit for plan in every}
    said = dict.fromkeys(diagnostic for plan in every for diagnostic in plan.diagnostics)
    return seal(
        replace(
            first,
            created=min(plan.created for plan in every),
            as_of=min(plan.as_of for plan in every),
            as_of_given=all(plan.as_of_given for plan in every),
            config_digest=first.config_digest if len({plan.config_digest for plan in every}) == 1 else "",
            commit=first.commit if len(commits) == 1 else None,
            dirty=any(plan.dirty for plan in every),
            files=max(plan.files for plan in every),
            only=tuple(dict.fromkeys(word for plan in every for word in plan.only)),
            instances=tuple(part for plan in every for part in plan.instances),
            diagnostics=(*said, *_find_differences(plans)),
            needs=_sum_needs(every),
            waived=tuple(dict.fromkeys(waived for plan in every for waived in plan.waived)),
        )
    )


def find_repeated(plans: Mapping[str, Plan]) -> Iterator[Diagnostic]:
    """Yield an error for each instance that stands in more than one of the documents."""
    found: dict[str, list[str]] = {}
    for name, plan in plans.items():
        for part in plan.instances:
            found.setdefault(part.instance, []).append(name)
    for instance, names in found.items():
        if len(names) > 1:
            words = f"{instance} stands in {' and in '.join(names)}, so nothing could be counted right"
            yield error("joined-twice", words, hint="name one plan of each instance")


def _sum_needs(plans: Sequence[Plan]) -> tuple[Need, ...]:
    steps: Counter[Need] = Counter()
    for plan in plans:
        for need in plan.needs:
            steps[replace(need, steps=0)] += need.steps
    return tuple(replace(need, steps=count) for need, count in steps.items())


def _find_differences(plans: Mapping[str, Plan]) -> Iterator[Diagnostic]:
    """Yield a warning where the plans are not of one checkout, or only some of them are a part."""
    differing = (
        ("files", {plan.config_digest for plan in plans.values()}),
        ("commits", {plan.commit for plan in plans.values()}),
        ("selections", {plan.only for plan in plans.values()}),
        ("moments", {plan.as_of if plan.as_of_given else None for plan in plans.values()}),
    )
    of = [name for name, values in differing if len(values) > 1]
    if of:
        words = f"these plans are of different {join_some(of)}: {join_some(tuple(plans))}"
        yield warning("joined-differ", words, hint="plan all instances from one checkout")
