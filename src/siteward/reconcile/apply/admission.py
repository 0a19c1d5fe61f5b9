"""Admission of a plan: the checks of a saved plan and of the journals before anything is opened or sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from siteward.access import codec
from siteward.access.diagnostic import Diagnostic, error, note, plural, warning
from siteward.access.hosts import origin_of
from siteward.reconcile.journal.chain import JournalBrokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.plan import InstancePlan, Plan
    from siteward.platforms.instance import Instance
    from siteward.reconcile.apply.target import Options, Target
    from siteward.reconcile.journal.reading import Standing
    from siteward.transport.secrets import Secret

_CLOCK_SKEW = timedelta(minutes=5)
_FEWEST_DIGITS = 16
"""The fewest hex digits of a digest that the options take: fewer could be met by trying."""
UNCHECKED = "seals-not-checked"
CONFIG_CHANGED = warning(
    "config-changed", "the files are not those the plan was made from; what they no longer want is refused"
)


def objections_to(plan: Plan, options: Options, now: datetime) -> tuple[Diagnostic, ...]:
    """Return the objections to the plan as a whole: its digest, age, `--as-of` and the acceptances of this run."""
    objections = []
    if codec.digest(plan) != plan.digest:
        objections.append(
            error("plan-damaged", "the plan is not what its digest says: it was edited or cut", hint="siteward plan")
        )
    if options.expect is not None and not _matches_digest(options.expect, plan.digest):
        words = f"this is not the plan that was expected: its digest is {plan.digest}"
        objections.append(error("plan-unexpected", words, hint=_ask_for_digits("--expect", options.expect)))
    if plan.created - now > _CLOCK_SKEW:
        objections.append(
            error(
                "plan-from-the-future",
                f"the plan says that it was made at {plan.created:%Y-%m-%d %H:%MZ}, which is yet to come",
            )
        )
    if (plan.as_of if plan.as_of_given else None) != options.as_of:
        given = (
            f"for {plan.as_of.isoformat()}: repeat --as-of to apply it"
            if plan.as_of_given
            else "for the time it was made at, not for another --as-of"
        )
        objections.append(error("plan-as-of", f"the plan was made {given}"))
    for name, acceptance in options.accept.items():
        if not _matches_digest(acceptance.digest, plan.digest):
            words = f"--accept {name} names another plan than this one, {plan.digest}"
            hint = _ask_for_digits(f"--accept {name}", acceptance.digest)
            objections.append(error("accept-other-plan", words, hint=hint))
        if not acceptance.reason.strip():
            objections.append(error("accept-without-reason", f"--accept {name} needs a reason"))
    return tuple(objections)


def _matches_digest(given: str, digest: str) -> bool:
    """Return whether `given` is the digest, or its beginning of at least `_FEWEST_DIGITS` hex digits."""
    wanted = _digits_of(given)
    return len(wanted) >= _FEWEST_DIGITS and _digits_of(digest).startswith(wanted)


def _digits_of(digest: str) -> str:
    return digest.removeprefix("sha256:").lower()


def _ask_for_digits(option: str, given: str) -> str | None:
    """Return the hint for a digest with too few digits; `None` for one that has enough of them."""
    found = len(_digits_of(given))
    few = f"{option} takes the digest, or at least its first {_FEWEST_DIGITS} hex digits; it has {found} here"
    return few if found < _FEWEST_DIGITS else None


def warn_too_old(plan: Plan) -> Diagnostic:
    """Return the warning about a plan older than `--max-age`; a warning, because nothing is wrong with it."""
    words = f"the plan was made {plan.created:%Y-%m-%d %H:%MZ}, longer ago than --max-age allows; nothing was done"
    return warning("plan-too-old", words, hint="siteward plan")


def find_mismatch(reviewed: InstancePlan, target: Target | None, *, resuming: bool) -> Diagnostic | None:
    """Return the error for an instance that is not here, or is of another platform or origin than the reviewed one.

    A run that is resumed may have begun before plans held base paths: then an origin without one is the same host's.
    """
    name = reviewed.instance
    if target is None:
        mismatch = error("plan-unknown-instance", f"the file, as checked out here, has no instance {name}")
    elif target.platform.name != reviewed.platform:
        mismatch = error(
            "plan-other-origin", f"the plan is for a {reviewed.platform} and {name} is a {target.platform.name} here"
        )
    elif target.origin != reviewed.origin and not (resuming and origin_of(target.origin) == reviewed.origin):
        mismatch = error("plan-other-origin", f"the plan is for {reviewed.origin} and {name} is {target.origin} here")
    else:
        return None
    return replace(mismatch, instance=name, hint="siteward plan")


def remarks_on(standing: Standing, platform: str, origin: str, key: Secret | None) -> tuple[Diagnostic, ...]:
    """Return warnings about a journal: open to others, of another origin, or not sealed with the key that is set.

    Raises `JournalBrokenError` for the journal of another platform.
    """
    began, since = standing.began, standing.sealed_since
    if began is not None and began.platform != platform:
        raise JournalBrokenError(
            standing.path, 0, f"this is the journal of a {began.platform}, and here is a {platform}"
        )
    warnings = list(warn_exposed(standing))
    if began is not None and began.origin != origin:
        warnings.append(_other_origin(began.origin, origin, standing))
    if not standing.checked:
        warnings.append(unchecked(standing))
    elif key is not None and standing.entries and not since:
        words = f"SITEWARD_JOURNAL_KEY is set, and no line of {standing.path} is sealed with it (HMAC)"
        warnings.append(
            warning("journal-not-sealed", words, hint="right before the first apply with a key; else compare a copy")
        )
    elif key is not None and since > 1:
        number = since - 1
        verb, them = ("is", "it") if number == 1 else ("are", "them")
        words = (
            f"the first {plural(number, 'line')} of {standing.path} {verb} not sealed with SITEWARD_JOURNAL_KEY (HMAC), so "
            f"nothing proves {them}"
        )
        warnings.append(warning("journal-partly-sealed", words, hint="right where the key came later than the journal"))
    return tuple(warnings)


def warn_exposed(standing: Standing) -> tuple[Diagnostic, ...]:
    """Return the warning that others may read or change the file of a journal, if they may."""
    if not standing.exposed:
        return ()
    path = standing.path
    return (
        warning("journal-exposed", f"{path} {standing.exposed}", hint=f"compare it with a copy, then chmod 600 {path}"),
    )


def unchecked(standing: Standing) -> Diagnostic:
    """Return the note that the seals of a journal were not checked."""
    words = f"the seals (HMAC) of {standing.path} are not checked: SITEWARD_JOURNAL_KEY is not set"
    return note(UNCHECKED, words, hint="its sums hold, which anybody can compute")


def _other_origin(before: str, origin: str, standing: Standing) -> Diagnostic:
    """Return the diagnostic of a journal whose last run named another origin, or one without the base path of this."""
    if before == origin_of(origin):
        words = (
            f"the last run was on {before}, without a path, as journals held it before; {standing.path} is taken for "
            f"that of {origin}"
        )
        return note(
            "journal-without-path", words, hint="nothing, if that is right: the next apply writes the path down"
        )
    words = f"the last run was on {before}, and this is {origin} now: {standing.path} may be another's journal"
    return warning("journal-other-origin", words, hint="make sure that it is the same server, moved")


def pathless_bond(instance: Instance) -> tuple[Diagnostic, ...]:
    """Return the warning that the credentials of an instance below a path may go to every path of its host, if so."""
    found = instance.pathless_bond
    if found is None:
        return ()
    name, wanted = found
    words = f"the credentials of {instance.name} are for every path of {origin_of(wanted)}, and it is at {wanted}"
    return (warning("path-not-bound", words, hint=f"set {name}={wanted}", instance=instance.name),)


def note_left_out(name: str, targets: Mapping[str, Target]) -> Diagnostic | None:
    """Return the note about an instance that the file has and this run was not asked for, if it is such a one."""
    if name in targets or not any(name in target.declared for target in targets.values()):
        return None
    words = f"{name} was not chosen for this run; nothing of its plan was done"
    return note("instance-left-out", words, instance=name)
