"""`siteward adopt`: declares what is live and undeclared, by an edit of the file that is proven against the servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from siteward.access.report import Report, doubtful, missing
from siteward.cli.edits import patch_of, write_edits
from siteward.cli.names import adoptable, instance_option, journal_option
from siteward.cli.session import Session, StoppedError, with_session

if TYPE_CHECKING:
    from siteward.access.certification import Review
    from siteward.access.effective import Ledger
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.adopt import Chosen
    from siteward.reconcile.amend import Amendment


@click.command("adopt")
@click.argument("words", nargs=-1, shell_complete=adoptable, metavar="[user:LOGIN|site:SITE|all]...")
@click.option(
    "--decisions", type=click.Path(path_type=Path), metavar="FILE", help="Adopt what a review's sheet says `keep` to."
)
@instance_option
@journal_option
@click.option("--ticket", metavar="TEXT", help="Where this was decided.")
@click.option("--reason", metavar="TEXT", help="Why this is so; default: that it was live.")
@click.option("--write", is_flag=True, help="Write the edit to the file; without it, it is shown.")
@with_session()
def command(
    session: Session,
    words: tuple[str, ...],
    decisions: Path | None,
    instances: tuple[str, ...],
    *,
    write: bool,
    **row: Any,
) -> int:
    """Declare accounts and rights that are live and that the file does not declare, as they are.

    They are chosen by words, or by a review's sheet. What gains power in the file is said first; the edit is proven
    against what was read: just that becomes declared, as it is live. Nothing changes on a server, and the next plan
    leaves it alone.
    """
    from siteward.access.certification import Horizon, review
    from siteward.cli.checkout import open_checkout, read_instances
    from siteward.reconcile.adopt import adopt
    from siteward.reconcile.amend import CannotAmendError
    from siteward.reconcile.certify import commits, dead_rows, ledgers

    _check_words(words, decisions)
    checkout = open_checkout(session, "adopt", names=instances)
    report, surveys = read_instances(checkout, "adopt")
    all_ledgers = ledgers(checkout.project.declaration, surveys)
    dead = dead_rows(checkout.project.declaration, checkout.as_of)
    changed = commits(all_ledgers, checkout.project.path.parent, dead) if decisions is not None else {}
    gaps = (*missing(report), *doubtful(report))
    current = review(all_ledgers, Horizon(as_of=checkout.as_of), changed, gaps, dead)
    more = {key: value for key, value in row.items() if value}
    more.setdefault("reason", f"was live on {checkout.as_of.astimezone(checkout.project.declaration.timezone).date()}")
    try:
        chosen = _choose(checkout, current, all_ledgers, words, decisions)
        done = adopt(checkout.project, surveys, chosen, more, checkout.as_of)
    except CannotAmendError as refused:
        texts = refused.loaded.texts if refused.loaded is not None else checkout.project.loaded.texts
        raise StoppedError(Report(command="adopt", diagnostics=refused.diagnostics, texts=texts)) from refused
    code = _show(session, done, write=write)
    for gap in gaps:
        session.say(f"{gap.instance} was not read{' whole' if gap.partly else ''}: what is live there was not adopted")
    _say_next(session, checkout, all_ledgers, chosen)
    return code or (4 if gaps else 0)


def _check_words(words: tuple[str, ...], decisions: Path | None) -> None:
    """Raise `UsageError` for words that choose nothing, and where there is neither word nor sheet."""
    from siteward.reconcile.adopt import ALL, SYNTAX

    if not words and decisions is None:
        raise click.UsageError(f"say what to adopt: {SYNTAX}, or --decisions FILE")
    for word in words:
        kind, _, name = word.partition(":")
        if word != ALL and (kind not in {"user", "site"} or not name):
            raise click.UsageError(f"{word!r}: write {SYNTAX}")


def _choose(
    checkout: Checkout, current: Review, all_ledgers: tuple[Ledger, ...], words: tuple[str, ...], sheet: Path | None
) -> Chosen:
    """Return what words and a sheet choose; raises `StoppedError` for a sheet of another review."""
    from siteward.access.diagnostic import error, warning
    from siteward.reconcile.adopt import Chosen, choose, is_undeclared
    from siteward.reconcile.sheets import BadDecisionsError, check_names, read_decisions
    from siteward.render.certification import items

    chosen = choose(current.items, all_ledgers, words, checkout.project.declaration)
    if sheet is None:
        return chosen
    try:
        decisions = read_decisions(sheet)
        if decisions.digest != current.digest:
            stale = warning(
                "review-changed",
                f"refused: this sheet is of review {decisions.digest}, and what is held now is review {current.digest}",
                hint="make a new one: siteward review -o review.csv",
            )
            raise StoppedError(Report(command="adopt", diagnostics=(stale,), stale=True))
        check_names(decisions, items(current), items(current, "handles"))
    except OSError as problem:
        raise click.ClickException(f"cannot read {sheet}: {problem.strerror}") from problem
    except BadDecisionsError as problem:
        told = tuple(error("bad-decisions", why) for why in problem.args)
        raise StoppedError(Report(command="adopt", diagnostics=told)) from problem
    kept = {name for name, answer in decisions.answers.items() if answer.word == "keep"}
    more = [item for item in current.items if item.id in kept and is_undeclared(item) and item not in chosen.items]
    return Chosen(items=(*chosen.items, *more), bare=chosen.bare, left=chosen.left)


def _show(session: Session, done: Amendment, *, write: bool) -> int:
    """Say what gains power, show the patch and what the checks say, and write it; return the exit code."""
    for line in done.said:
        session.say(line)
    for line in done.undone:
        session.say(f"left to you: {line}")
    if not done.edit.texts:
        session.say("nothing to adopt")
        return 3 if done.undone else 0
    click.echo("".join(patch_of(done.edit)), nl=False)
    if done.findings and done.loaded is not None:
        session.show(Report(command="adopt", diagnostics=done.findings, texts=done.loaded.texts), err=True)
    if write:
        write_edits(done.edit, "adopt")
    session.say("written; next: siteward plan" if write else "nothing written; --write writes it")
    return 3 if done.undone else 0


def _say_next(session: Session, checkout: Checkout, all_ledgers: tuple[Ledger, ...], chosen: Chosen) -> None:
    """Say of each instance how many accounts stay undeclared, and when `unmanaged: revoke` is near."""
    from siteward.reconcile.adopt import kept_apart

    for ledger in all_ledgers:
        if checkout.project.declaration.instances[ledger.instance].policy.unmanaged != "report":
            continue
        open_accounts = {
            entry.account
            for entry in ledger.entries
            if entry.kind == "undeclared"
            and kept_apart(checkout.project.declaration, ledger.instance, entry.account) is None
        }
        left = open_accounts - {account for instance, account in chosen.accounts if instance == ledger.instance}
        if left:
            session.say(
                f"{ledger.instance}: {len(left)} of its accounts stay undeclared, and `unmanaged: revoke` would take theirs"
            )
        elif open_accounts and ledger.complete:
            session.say(
                f"{ledger.instance}: with this no account is undeclared; after an empty plan `unmanaged: revoke` is safe"
            )
