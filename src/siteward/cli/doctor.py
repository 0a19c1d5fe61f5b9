"""`siteward doctor`: checks each instance: its credentials, its version, its blind spots and its journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.cli.names import instance_option, journal_option
from siteward.cli.session import Session, with_session

if TYPE_CHECKING:
    from siteward.access.api_key import HeldKey
    from siteward.access.diagnostic import Diagnostic, Span
    from siteward.access.explanation import Checkup
    from siteward.access.traits import Traits
    from siteward.cli.checkout import Checkout
    from siteward.platforms.instance import Instance
    from siteward.reconcile.journal.reading import Standing


SELF_CODES = frozenset({"self-mismatch", "self-unknown", "self-not-listed", "self-changed", "self-declared"})
"""The rules about the account behind the credentials."""


@click.command("doctor")
@instance_option
@journal_option
@with_session("text", "json", without=("--group-by", "--exit-zero"))
def command(session: Session, instances: tuple[str, ...]) -> int:
    """Check every instance: credentials and their origin, version, connectivity, journal. Prints no secret, changes nothing."""
    from siteward.access.report import Report
    from siteward.cli.checkout import open_checkout
    from siteward.render.answers import checkups
    from siteward.transport.threads import in_parallel

    checkout = open_checkout(session, "doctor", names=instances)
    results = tuple(in_parallel(lambda instance: _check_safely(checkout, instance), checkout.instances))
    problems = tuple(checkup.problem for checkup in results if checkup.problem)
    accounts = checkout.project.declaration.accounts()
    return session.answer(
        lambda form, options: checkups(results, form, options, accounts),
        Report(command="doctor", diagnostics=problems, accounts=accounts),
    )


def _check_safely(checkout: Checkout, instance: Instance) -> Checkup:
    """Return the checkup of an instance; an error of its server or credentials becomes the problem in it."""
    from siteward.access.diagnostic import error
    from siteward.access.explanation import Checkup
    from siteward.transport.errors import PlatformError

    started = time.perf_counter()
    base = Checkup(instance=instance.name, platform=instance.platform.title, origin=instance.origin)
    try:
        base = replace(base, credentials=dict(instance.secrets().origins()))
        return _check(checkout, instance, base, started)
    except PlatformError as problem:
        return replace(base, problem=error(problem.code, str(problem), hint=problem.hint))


def _check(checkout: Checkout, instance: Instance, base: Checkup, started: float) -> Checkup:
    at = checkout.project.declaration.instances[instance.name].at
    looked, traits = look_at(instance, base, instance.self_account, at)
    planned = _plan(checkout, instance) if traits.accounts_listed or not traits.keys_unseen else _Planned()
    said = planned.said if traits.accounts_listed else ()
    journal, broken = _describe_journal(checkout, instance)
    errors = (diagnostic for diagnostic in said if diagnostic.blocks)
    return replace(
        looked,
        problem=next(errors, None) or looked.problem or broken,
        warnings=(*looked.warnings, *(diagnostic for diagnostic in said if not diagnostic.blocks)),
        keys=planned.keys,
        keys_unseen=traits.keys_unseen,
        journal=journal,
        requests=looked.requests + planned.requests,
        seconds=time.perf_counter() - started,
    )


def look_at(instance: Instance, base: Checkup, named: str | None, at: Span | None = None) -> tuple[Checkup, Traits]:
    """Ask an instance whose credentials these are and what they may do; return that, and the traits of the server.

    `named` is the `self` that stands, or will stand, in the file at `at`. Raises `PlatformError`.
    """
    from siteward.platforms.known import known_as
    from siteward.render.words import release

    with instance.reading() as reader:
        traits, _ = instance.platform.probe(reader, instance.settings)
        reach = instance.platform.reach(reader, instance.settings, traits)
        requests = reader.requests
    owner = {"self": instance.owner_variable} if instance.owner else {}
    looked = replace(
        base,
        account=reach.account,
        version=release("", traits.version, "" if traits.edition == base.platform else traits.edition),
        role=reach.role,
        credentials={**base.credentials, **owner},
        may=reach.may,
        may_not=reach.may_not,
        notes=(*reach.notes, known_as(instance.platform.known, traits)),
        blind_spots=traits.blind_spots,
        requests=requests,
    )
    return _add_confirmation(instance, looked, traits, named, at), traits


class _Planned(Struct, frozen=True, kw_only=True):
    """What a plan says of the account behind the credentials, the keys that it judged, and the requests that it took."""

    said: tuple[Diagnostic, ...] = ()
    keys: tuple[HeldKey, ...] | None = None
    requests: int = 0


def _plan(checkout: Checkout, instance: Instance) -> _Planned:
    """Return what a plan would say about the account behind the credentials, and the keys as it judges them.

    A plan reads who is listed and who is an admin, and what the journal knows; only so `self` is judged here and there
    alike.
    """
    from siteward.reconcile.certify import keys_of
    from siteward.reconcile.plan import plan_and_survey

    report, surveys = plan_and_survey(checkout.project, [instance], checkout.journals, checkout.run(), command="doctor")
    part = report.plan.instance(instance.name) if report.plan is not None else None
    if part is None:
        unread = (*report.diagnostics, *(report.plan.diagnostics if report.plan is not None else ()))
        blocking = (said for said in unread if said.instance == instance.name and said.blocks)
        return _Planned(said=tuple(replace(said, instance=None) for said in blocking))
    said = tuple(said for said in part.diagnostics if said.code in SELF_CODES)
    return _Planned(said=said, keys=keys_of(checkout.project.declaration, surveys), requests=part.read_requests)


def _add_confirmation(instance: Instance, base: Checkup, traits: Traits, named: str | None, at: Span | None) -> Checkup:
    """Return the checkup with the place that confirms the account behind the credentials, or an objection or warning."""
    from siteward.access.diagnostic import warning
    from siteward.reconcile.apply.admission import pathless_bond
    from siteward.reconcile.own_account import claim_of, told_otherwise

    base = replace(base, warnings=pathless_bond(instance))
    if traits.knows_self:
        objection = told_otherwise(base.account, claim_of(instance, named, at))
        return replace(base, confirmed="the server", problem=objection or base.problem)
    if instance.confirmed():
        return replace(base, confirmed=instance.owner_variable)
    message = f"nothing but the file says that these are the credentials of {named}"
    hint = f"set {instance.owner_variable} beside them to the account that they belong to"
    return replace(base, warnings=(*base.warnings, warning("self-unconfirmed", message, hint=hint)))


def _describe_journal(checkout: Checkout, instance: Instance) -> tuple[str, Diagnostic | None]:
    """Return the state of the journal in words, and its problem where it is broken."""
    from siteward.access.diagnostic import error, plural
    from siteward.reconcile.apply.admission import remarks_on
    from siteward.reconcile.journal.chain import JournalBrokenError
    from siteward.reconcile.journal.reading import path_of, recall

    path, key = path_of(checkout.journals.folder, instance.name), checkout.journals.key
    try:
        recalled = recall(path, key)
        known = recalled.standing
        remarks = remarks_on(known, instance.platform.name, instance.origin, key)
    except JournalBrokenError as broken:
        return "broken", error(broken.code, str(broken), hint=broken.hint)
    if not known.entries:
        return f"none yet at {path}", None
    lost = sum(write.lost for write in recalled.memory.unsettled) if recalled.memory is not None else 0
    parts = (
        plural(known.entries, "entry", "entries"),
        *((f"{plural(lost, 'write')} whose answer was lost: the next plan reads what became of it",) if lost else ()),
        f"head {known.head}",
        _describe_seals(known, keyed=key is not None),
    )
    return "; ".join(
        (
            ", ".join(parts),
            *(f"{diagnostic.severity.name.lower()} {diagnostic.code}: {diagnostic.message}" for diagnostic in remarks),
        )
    ), None


def _describe_seals(known: Standing, *, keyed: bool) -> str:
    """Return in words since which entry the journal is sealed with a key, which may have come later than the journal."""
    if not known.sealed_since:
        return "not sealed" if keyed else "not sealed: SITEWARD_JOURNAL_KEY is not set"
    since = f" since entry {known.sealed_since}" if known.sealed_since > 1 else ""
    unchecked = "" if known.checked else "; seals not checked: the key is not set"
    return f"sealed with SITEWARD_JOURNAL_KEY (HMAC){since}{unchecked}"
