"""Consents: the blocks that whoever applies may lift, and those that an interrupted run still has.

A consent in a journal counts only where its line is sealed with the journal key: then somebody who holds the key gave
it. Any other line may be from anybody who can write the file, so whoever resumes has to give that consent again.
"""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward.access.approvals import NEEDED
from siteward.access.diagnostic import Severity, error, warning
from siteward.access.guards import DELETION, DELETIONS, PASSWORDS
from siteward.access.model import account_of
from siteward.access.needs import DEPENDS, NEEDS
from siteward.access.policy import LIMIT_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import InstancePlan, Plan, Step
    from siteward.reconcile.apply.revalidate import Allowance
    from siteward.reconcile.apply.target import Options
    from siteward.reconcile.journal.runs import Run

CONSENTS: Mapping[str, str] = MappingProxyType(
    {
        **{f"limit-{name}": name for name in LIMIT_NAMES},
        "empty-grants": "empty",
        "self-changed": "self",
        "self-unconfirmed": "self",
        DELETION: DELETIONS,
    }
)
"""The names that `--accept` takes, by the codes of the blocks they lift."""
IDENTITY = "identity:"
"""The beginning of what `--accept` takes for one account: `identity:LOGIN@INSTANCE`."""
MISMATCH, ACCEPTED = "identity-mismatch", "; accepted: "
_DIGITS = 16


def accepted_on(instance: str, accept: Mapping[str, str]) -> dict[str, str]:
    """Return the acceptances as the guards of one instance know them, with their reasons.

    Those of accounts on other instances are left out, those of its own are named `identity:LOGIN`.
    """
    here = {name: reason for name, reason in accept.items() if is_about(name, instance)}
    return {
        name.removesuffix(f"@{instance}") if name.startswith(IDENTITY) else name: reason
        for name, reason in here.items()
    }


def is_about(name: str, instance: str) -> bool:
    """Return whether an acceptance is about an instance: all are but those of accounts on another one."""
    return not name.startswith(IDENTITY) or name.rpartition("@")[2] == instance


def accounts_accepted(instance: str, accept: Mapping[str, str]) -> frozenset[str]:
    """Return the accounts of an instance that acceptances confirm to be those of their declared users."""
    names = accepted_on(instance, accept)
    return frozenset(name.removeprefix(IDENTITY) for name in names if name.startswith(IDENTITY))


def list_mismatches(plan: InstancePlan) -> dict[str, str]:
    """Return what a plan says of accounts that may be somebody else's, by account and without acceptances."""
    diagnostics = (*plan.diagnostics, *(diagnostic for step in plan.steps for diagnostic in step.diagnostics))
    return {
        name: diagnostic.message.partition(ACCEPTED)[0]
        for diagnostic in diagnostics
        if diagnostic.code == MISMATCH and diagnostic.about is not None and (name := account_of(diagnostic.about))
    }


class Consents(Struct, frozen=True, kw_only=True):
    """The consents of a run: reasons by the names of blocks, deletion, and the steps (by id) that this lifted."""

    accept: Mapping[str, str] = MappingProxyType({})
    allow_delete: bool = False
    lifted: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the consents in words, with their reasons."""
        named = tuple(f"{name} ({reason})" for name, reason in self.accept.items())
        return ", ".join((*(("deletions",) if self.allow_delete else ()), *named)) or "none"

    def __or__(self, other: Consents) -> Consents:
        """Return the union of two consents."""
        return Consents(
            accept={**self.accept, **other.accept},
            allow_delete=self.allow_delete or other.allow_delete,
            lifted=self.lifted | other.lifted,
        )


def find_missing_consents(
    runs: Mapping[str, Run], plan: Plan, options: Options, *, keyed: bool
) -> Iterator[Diagnostic]:
    """Yield the errors for which the unfinished runs of a plan, by instance, cannot go on with these options.

    `keyed` is true where there is a journal key. Then a run that it has not sealed goes on only with `--expect`,
    because not even which plan it was of is certain.
    """
    unsealed = {name: run for name, run in runs.items() if not run.is_sealed}
    missing = _find_missing(runs, options)
    command = _write_command(plan, missing, options, expect=keyed and bool(unsealed))
    where = ", ".join(sorted(unsealed))
    if keyed and unsealed and options.expect is None:
        yield error(
            "resume-not-sealed",
            f"the interrupted run on {where} is not sealed with SITEWARD_JOURNAL_KEY (HMAC), so anybody may have written it; "
            "nothing was sent",
            hint=f"where its plan is the one that was reviewed: {command}; else plan anew, which gives the run up",
        )
    if missing.accept or missing.allow_delete:
        names = ", ".join((*(("deletions",) if missing.allow_delete else ()), *missing.accept))
        yield error(
            "resume-needs-consents",
            f"the interrupted run on {where} says that it was allowed {names}; no HMAC proves that, so it is asked for "
            "again, and nothing was sent",
            hint=f"where that is right: {command}; else plan anew, which gives the run up",
        )


def warn_resumed(run: Run) -> Diagnostic:
    """Return the warning that names the consents of a run that goes on."""
    words = f"run {run.began.run} goes on; consents taken over from its sealed lines: {run.sealed}"
    return warning("run-resumed", words)


def find_still_lifted(run: Run, reviewed: InstancePlan, allowance: Allowance) -> frozenset[str]:
    """Return the ids of the steps whose block stays lifted when a run goes on.

    Those are the steps that a sealed line names, and of those in other lines the ones whose every block is consented to
    now. Resuming lifts no other block.
    """
    doubtful = run.claimed.lifted - run.sealed.lifted
    return run.sealed.lifted | (doubtful & _find_consented(reviewed, allowance) if doubtful else frozenset())


def _find_missing(runs: Mapping[str, Run], options: Options) -> Consents:
    """Return the consents that the runs claim, that no seal proves, and that the options do not give again."""
    missing = Consents()
    for run in runs.values():
        known = {*run.sealed.accept, *options.accept}
        missing |= Consents(
            accept={name: reason for name, reason in run.claimed.accept.items() if name not in known},
            allow_delete=run.claimed.allow_delete and not (run.sealed.allow_delete or options.allow_delete),
        )
    return missing


def _write_command(plan: Plan, missing: Consents, options: Options, *, expect: bool) -> str:
    """Return the command that resumes with the missing consents; of unsealed lines it takes the names only."""
    digest = plan.digest.removeprefix("sha256:")[:_DIGITS]
    names = sorted({*missing.accept, *options.accept})
    delete = missing.allow_delete or options.allow_delete
    return " ".join((
        "siteward apply --resume",
        *((f"--expect {digest}",) if expect else ()),
        *((f"--as-of {plan.as_of.isoformat()}",) if plan.as_of_given else ()),
        *(("--allow-delete",) if delete else ()),
        *(f"--accept {shlex.quote(f'{name}={digest}')}" for name in names),
        *(("--reason TEXT",) if names else ()),
    ))  # fmt: skip


def _find_consented(plan: InstancePlan, allowance: Allowance) -> frozenset[str]:
    """Return the blocked steps of a plan whose blocks, and those of all that they depend on, are consented to."""
    allowance = replace(allowance, accept=accepted_on(plan.instance, allowance.accept))
    if not all(_lifts(diagnostic, allowance) for diagnostic in plan.diagnostics if diagnostic.about is None):
        return frozenset()
    steps = {step.id: step for step in plan.steps}
    free = {name for name, step in steps.items() if _is_free(step, allowance)}
    while stopped := {name for name in free if not free.issuperset(steps.keys() & set(steps[name].depends_on))}:
        free -= stopped
    return frozenset(name for name in free if steps[name].blocked or plan.blocked)


def _is_free(step: Step, allowance: Allowance) -> bool:
    """Return whether every block of a step itself is consented to."""
    return all(diagnostic.code == DEPENDS or _lifts(diagnostic, allowance) for diagnostic in step.diagnostics)


def _lifts(diagnostic: Diagnostic, allowance: Allowance) -> bool:
    """Return whether a diagnostic is no block, or is one that is consented to."""
    if not diagnostic.blocks or CONSENTS.get(diagnostic.code) in allowance.accept:
        return True
    if diagnostic.code == MISMATCH and diagnostic.about is not None:
        return f"{IDENTITY}{account_of(diagnostic.about)}" in allowance.accept
    if diagnostic.code == NEEDED:
        return not allowance.approved.isdisjoint(diagnostic.allowed)
    return (diagnostic.code == DELETION and allowance.allow_delete) or (
        diagnostic.code == PASSWORDS and allowance.passwords.out is not None
    )


def allowed(reviewed: InstancePlan, lifted: Collection[str]) -> InstancePlan:
    """Return a reviewed plan in which the blocks that whoever applies has lifted are warnings, and needs given are gone."""
    if not lifted:
        return reviewed
    steps = tuple(
        replace(step, diagnostics=tuple(_lower_block(said) for said in step.diagnostics if said.code not in NEEDS))
        if step.id in lifted
        else step
        for step in reviewed.steps
    )
    diagnostics = tuple(_lower_block(said) if said.about is None else said for said in reviewed.diagnostics)
    return replace(reviewed, steps=steps, diagnostics=diagnostics)


def _lower_block(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity=Severity.WARNING) if diagnostic.blocks else diagnostic
