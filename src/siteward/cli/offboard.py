"""`siteward offboard`: the edit by which somebody leaves, and the checklist of what no edit ends."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click
from msgspec import Struct
from msgspec.structs import asdict, replace

from siteward.access.diagnostic import error
from siteward.access.report import Report
from siteward.cli.base_option import base_policy_from, option
from siteward.cli.names import instance_option, journal_option, users
from siteward.cli.session import Session, StoppedError, now, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from siteward.access.plan import InstancePlan
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.departure import Departure
    from siteward.reconcile.offboard import Item, Recorded
    from siteward.reconcile.survey import Survey


@click.command("offboard")
@click.argument("user", shell_complete=users)
@instance_option
@journal_option
@click.option("--state", type=click.Choice(["suspended", "absent"]), help="The state in the file; default suspended.")
@click.option("--ticket", metavar="TICKET", help="The ticket, written beside the user.")
@click.option("--write", is_flag=True, help="Write the edit to the files, and the open items into the journal.")
@click.option("--record", is_flag=True, help="Write the open items into the journal, so that drift tells them.")
@click.option("--done", metavar="ITEM", help="Tick one item that no reading can tick; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why: beside the user, or of what --done ticks.")
@option
@with_session("markdown", "json", without=("--group-by",))
def command(
    session: Session,
    user: str,
    instances: tuple[str, ...],
    state: str | None,
    ticket: str | None,
    done: str | None,
    reason: str,
    base: str | None,
    *,
    write: bool,
    record: bool,
) -> int:
    """End all that USER has in the file, and list what no edit ends: tokens, links, what they own, access elsewhere.

    The edit suspends USER today, and takes them out of every grant and group; apply carries it out. Run it before that,
    with --write or --record: what only their access shows is then kept. Leaves with 0 once nothing is open, with 2
    while something is, with 3 where a guard blocks the end of it, and with 4 where something could not be read.
    """
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.cli.edits import patch_of, write_edits

    if done is not None and not reason:
        raise click.UsageError("--done needs --reason TEXT; it is written to the journal")
    session = replace(session, formats=("markdown",)) if session.formats == ("text",) else session
    checkout = open_checkout(session, "offboard", names=instances, writes=True, with_base=True, base=base)
    with _in_words():
        recorded = _recall(checkout)
        handle = _find_user(checkout, user, recorded)
        report, surveys = read_instances(checkout, "offboard")
        row = _build_row(checkout, handle, state, {"ticket": ticket or "", "reason": "" if done else reason})
        departure = _edit(checkout, surveys, handle, row)
        _say_directory(session, checkout, handle)
        items = _list_items(checkout, surveys, recorded.get(handle, {}), handle)
        items = _tick(checkout, items, done, reason) if done is not None else items
        patch = "".join(patch_of(departure.edit))
        needed = done is not None or record
        if needed:  # before the file: where this fails, nothing is half done
            _record(checkout, session, handle, items, recorded.get(handle, {}))
        if write:
            write_edits(departure.edit, "offboard")
        if write and not needed:
            _try_to_record(checkout, session, handle, items, recorded.get(handle, {}))
        shown = _Shown(handle, patch, _plan(checkout, departure, handle, base), items, write and bool(patch))
    return _leave(session, checkout, report, surveys, shown)


def _say_directory(session: Session, checkout: Checkout, handle: str) -> None:
    """Say who suspends somebody who is active in the file of a directory."""
    from siteward.declaration.splice import directory_of
    from siteward.reconcile.departure import words_of_directory

    user = checkout.project.declaration.users.get(handle)
    directory = directory_of(user.source) if user is not None else None
    if user is not None and directory is not None:
        active = any(user.state(name) == "active" for name in checkout.project.declaration.instances)
        if active:
            session.say(words_of_directory(handle, directory))


class _Shown(Struct, frozen=True):
    """What is shown of an offboarding."""

    user: str
    patch: str
    plans: tuple[InstancePlan, ...]
    items: tuple[Item, ...]
    written: bool


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what can go wrong with the user, the edit and the journals into a report."""
    from siteward.reconcile.apply.inputs import TROUBLE, describe_trouble
    from siteward.reconcile.offboard import NotOffboardedError

    try:
        yield
    except NotOffboardedError as problem:
        found = error(problem.code, str(problem), hint=problem.hint)
    except TROUBLE as problem:
        found = describe_trouble("the journal", problem)
    else:
        return
    raise StoppedError(Report(command="offboard", diagnostics=(found,)))


def _recall(checkout: Checkout) -> Mapping[str, Mapping[str, Recorded]]:
    from siteward.reconcile.offboard import recall_all

    return recall_all(checkout.journals, checkout.project.declaration.instances)


def _find_user(checkout: Checkout, asked: str, recorded: Mapping[str, object]) -> str:
    """Return the handle that a handle, login or address means. Raises `NotOffboardedError`."""
    from siteward.access.diagnostic import near
    from siteward.reconcile.events import names_of
    from siteward.reconcile.offboard import NotOffboardedError

    declaration = checkout.project.declaration
    names = names_of(declaration, asked)
    found = [handle for handle in (*declaration.users, *recorded) if handle.casefold() in names]
    if found:
        return found[0]
    meant = near(asked, (*declaration.users, *recorded))
    raise NotOffboardedError(
        f"there is no user {asked} in the file, nor in what the journals have of people who left",
        f"did you mean {meant}?" if meant else "an account that nobody declares ends by `unmanaged: revoke`",
    )


def _build_row(checkout: Checkout, handle: str, state: str | None, texts: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the user's row is to say: the state, that it ends today, and why; nothing that it says already."""
    declaration = checkout.project.declaration
    user = declaration.users.get(handle)
    if user is None:
        return {}
    row = {name: text for name, text in texts.items() if text and text != getattr(user, name)}
    states = {user.state(name) for name in declaration.instances}
    if states & {"active"} or (state is not None and states != {state}):
        row["state"] = state or "suspended"
    today = checkout.now.astimezone(declaration.timezone).date()
    ends = user.window.end
    if ends is None or ends.astimezone(declaration.timezone).date() > today + timedelta(days=1):
        row["until"] = today.isoformat()
    return row


def _edit(checkout: Checkout, surveys: Sequence[Survey], handle: str, row: Mapping[str, str]) -> Departure:
    from siteward.declaration.edited import Edit
    from siteward.reconcile.departure import Departure, edit_out
    from siteward.reconcile.offboard import NotOffboardedError

    for survey in surveys:
        for account, user in survey.desired.declared_users.items():
            if user.handle == handle and survey.live.is_self(account):
                raise NotOffboardedError(
                    f"{account} is the account in use on {survey.name}", "use the credentials of another account first"
                )
    if handle not in checkout.project.declaration.users:
        return Departure(edit=Edit(texts={}), loaded=checkout.project.loaded)
    return edit_out(checkout.project, surveys, handle, row)


def _list_items(
    checkout: Checkout, surveys: Sequence[Survey], recorded: Mapping[str, Recorded], handle: str
) -> tuple[Item, ...]:
    from siteward.reconcile.offboard import list_items

    return list_items(checkout.project.declaration, surveys, recorded, handle)


def _tick(checkout: Checkout, items: tuple[Item, ...], asked: str, reason: str) -> tuple[Item, ...]:
    """Return the items with one ticked by whoever runs this. Raises `NotOffboardedError`."""
    from siteward.reconcile.offboard import find_item

    found, actor = find_item(items, asked), checkout.journals.actor
    who = (actor.triggered_by or actor.actor, actor.how) if actor is not None else ("", "")
    done = replace(found, state="done", by=who[0], how=who[1], reason=reason)
    return tuple(done if item is found else item for item in items)


def _record(
    checkout: Checkout, session: Session, handle: str, items: Sequence[Item], recorded: Mapping[str, Recorded]
) -> None:
    """Write the items that the journals do not have so into them. Raises `NotOffboardedError` where there is none."""
    from siteward.access.diagnostic import plural
    from siteward.reconcile.offboard import NotOffboardedError, is_news, journals_of, record

    news = [item for item in items if is_news(item, recorded.get(item.id))]
    names = journals_of(checkout.journals, checkout.project.declaration.instances)
    if not names:
        raise NotOffboardedError("there is no journal here to keep this in", "`siteward apply` begins it")
    if news:
        count = record(checkout.journals, now, handle, news, names)
        session.say(f"{plural(count, 'item')} written to the journal")


def _try_to_record(
    checkout: Checkout, session: Session, handle: str, items: Sequence[Item], recorded: Mapping[str, Recorded]
) -> None:
    """Write the items into the journals where they are here and can be written; say where not, the file is edited by now."""
    from siteward.reconcile.apply.inputs import TROUBLE
    from siteward.reconcile.offboard import NotOffboardedError

    try:
        _record(checkout, session, handle, items, recorded)
    except NotOffboardedError:
        session.say("there is no journal here: run it with --record where it is, before the next apply")
    except TROUBLE as problem:
        session.say(f"not in the journal: {problem}: run it with --record where that can be, before the next apply")


def _plan(checkout: Checkout, departure: Departure, handle: str, base: str | None) -> tuple[InstancePlan, ...]:
    """Return the plans of what the edited files end of this user's."""
    from siteward.reconcile.plan import plan
    from siteward.reconcile.selection import Selection

    declaration = departure.loaded.usable or checkout.project.declaration
    project = replace(checkout.project, loaded=departure.loaded, declaration=declaration)
    project = replace(project, base_policy=base_policy_from(base, project.path, "offboard")(declaration))
    only = Selection(words=(f"user:{handle}",), domains={})
    made = plan(project, checkout.instances, checkout.journals, replace(checkout.run(), only=only)).plan
    return made.instances if made is not None else ()


def _leave(session: Session, checkout: Checkout, report: Report, surveys: Sequence[Survey], shown: _Shown) -> int:
    """Print the offboarding, and return the exit code: 3, 4 or 2 for what is blocked, not read, or open; else 0."""
    from siteward.cli.checkout import gaps_of
    from siteward.render.offboard import Check, Offboarding, render

    gaps = gaps_of(report, surveys)
    leaving = Offboarding(
        user=shown.user, as_of=checkout.as_of, patch=shown.patch, written=shown.written, plans=shown.plans,
        checks=tuple(Check(**asdict(item)) for item in shown.items), missing=gaps, accounts=report.accounts or {},
    )  # fmt: skip
    zone = str(checkout.project.declaration.timezone)
    code = session.answer(lambda form, options: render(leaving, form, options, zone), Report(command="offboard"))
    if code or session.exit_zero:
        return code
    if gaps:
        return 4
    if any(step.blocked for part in shown.plans for step in part.steps) or any(part.blocked for part in shown.plans):
        return 3
    return 2 if leaving.left or (shown.patch and not shown.written) or any(part.steps for part in shown.plans) else 0
