"""`siteward doctor`: where credentials come from, whose they are, what they may do, and what cannot be seen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward.cli.names import instance_option
from siteward.cli.session import Session, with_session

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.explanation import Checkup
    from siteward.access.traits import Traits
    from siteward.cli.checkout import Checkout
    from siteward.platforms.instance import Instance
    from siteward.reconcile.journal.chain import Chain


@click.command("doctor")
@instance_option
@with_session("text", "json", without=("--group-by", "--exit-zero"))
def command(session: Session, instances: tuple[str, ...]) -> int:
    """Check every instance: credentials and their origin, version, connectivity, journal. Prints no secret, changes nothing."""
    from siteward.access.report import Report
    from siteward.cli.checkout import open_checkout
    from siteward.render.answers import checkups

    checkout = open_checkout(session, "doctor", names=instances)
    found = tuple(_check(checkout, instance) for instance in checkout.instances)
    problems = tuple(checkup.problem for checkup in found if checkup.problem)
    accounts = checkout.project.declaration.accounts()
    return session.answer(
        lambda form, options: checkups(found, form, options, accounts),
        Report(command="doctor", diagnostics=problems, accounts=accounts),
    )


def _check(checkout: Checkout, instance: Instance) -> Checkup:
    from siteward.access.diagnostic import error
    from siteward.access.explanation import Checkup
    from siteward.transport.errors import PlatformError

    started = time.perf_counter()
    base = Checkup(instance=instance.name, platform=instance.platform.title, origin=instance.origin)
    try:
        return _examined(checkout, instance, base, started)
    except PlatformError as problem:
        return replace(base, problem=error(problem.code, str(problem), hint=problem.hint))


def _examined(checkout: Checkout, instance: Instance, base: Checkup, started: float) -> Checkup:
    from siteward.render.words import release

    credentials = dict(instance.secrets().origins())
    with instance.reading() as reader:
        traits, _ = instance.platform.probe(reader, instance.settings)
        reach = instance.platform.reach(reader, instance.settings, traits)
        requests = reader.requests
    journal, broken = _journal(checkout, instance)
    if instance.owner:
        credentials["self"] = instance.owner_variable
    base = _whose(checkout, instance, replace(base, account=reach.account, problem=broken), traits)
    return replace(
        base,
        version=release("", traits.version, "" if traits.edition == base.platform else traits.edition),
        role=reach.role,
        credentials=credentials,
        may=reach.may,
        may_not=reach.may_not,
        notes=reach.notes,
        blind_spots=traits.blind_spots,
        journal=journal,
        requests=requests,
        seconds=time.perf_counter() - started,
    )


def _whose(checkout: Checkout, instance: Instance, base: Checkup, traits: Traits) -> Checkup:
    """Add what confirms whose the credentials are, and what speaks against it."""
    from siteward.access.diagnostic import warning
    from siteward.reconcile.own_account import claim_of, told_otherwise

    if traits.knows_self:
        at = checkout.project.declaration.instances[instance.name].at
        objection = told_otherwise(base.account, claim_of(instance, instance.self_account, at))
        return replace(base, confirmed="the server", problem=objection or base.problem)
    if instance.confirmed():
        return replace(base, confirmed=instance.owner_variable)
    words = f"nothing but the file says that these are the credentials of {instance.self_account}"
    hint = f"set {instance.owner_variable} beside them to the account that they belong to"
    return replace(base, warnings=(warning("self-unconfirmed", words, hint=hint),))


def _journal(checkout: Checkout, instance: Instance) -> tuple[str, Diagnostic | None]:
    """Return what there is to say of the journal, and what is wrong with it."""
    from siteward.access.diagnostic import error
    from siteward.reconcile.apply.admission import remarks_on
    from siteward.reconcile.journal.chain import JournalBrokenError
    from siteward.reconcile.journal.journal import path_of, recall
    from siteward.render.words import plural

    path, key = path_of(checkout.book.folder, instance.name), checkout.book.key
    try:
        recalled = recall(path, key)
        known = recalled.standing
        odd = remarks_on(known, instance.platform.name, instance.origin, key)
    except JournalBrokenError as broken:
        return "broken", error(broken.code, str(broken), hint=broken.hint)
    chain = known.chain
    if not chain.entries:
        return f"none yet at {path}", None
    lost = sum(write.lost for write in recalled.memory.unsettled) if recalled.memory is not None else 0
    words = (
        plural(len(chain.entries), "entry", "entries"),
        *((f"{plural(lost, 'write')} whose answer was lost: the next plan reads what became of it",) if lost else ()),
        f"latest hash {chain.head}",
        _seal(chain, keyed=key is not None),
    )
    return "; ".join(
        (
            ", ".join(words),
            *(f"{diagnostic.severity.name.lower()} {diagnostic.code}: {diagnostic.message}" for diagnostic in odd),
        )
    ), None


def _seal(chain: Chain, *, keyed: bool) -> str:
    """Return from which entry on the journal is hashed with a key; a key may have come later than the journal."""
    if not keyed:
        return "hashes without a key: SITEWARD_JOURNAL_KEY is not set"
    if not chain.sealed_since:
        return "hashes without a key"
    since = f" since entry {chain.sealed_since}" if chain.sealed_since > 1 else ""
    return f"hashes with SITEWARD_JOURNAL_KEY (HMAC){since}"
