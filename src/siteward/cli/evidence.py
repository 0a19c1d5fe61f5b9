"""`siteward evidence`: bundles what the journals say of a ticket, a person or a time, and verifies such a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward.cli.names import instance_option, journal_option, users
from siteward.cli.paths import NewFile
from siteward.cli.session import Session, now, parse_day, with_session
from siteward.render import formats_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.cli.checkout import Checkout
    from siteward.reconcile.evidence import Collected, Question

_session = with_session(*formats_of("validate"), without=("--group-by", "--exit-zero"))


@click.group("evidence")
def command() -> None:
    """Bundle what the journals say of a ticket, a person or a time, with what proves it; verify such a bundle."""


@command.command("make")
@instance_option
@journal_option
@click.option("--ticket", metavar="TICKET", help="What this ticket caused.")
@click.option("--user", metavar="NAME", shell_complete=users, help="What concerns this handle, login or address.")
@click.option("--since", metavar="DATE", help="From this date or instant on.")
@click.option("--until", metavar="DATE", help="Up to the end of this date, or this instant.")
@click.option("--to", "out", type=NewFile(), required=True, metavar="DIR", help="A new folder, or a new .zip.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY", help="Sign the manifest with this SSH key.")
@_session
def make(session: Session, instances: tuple[str, ...], out: Path, sign: Path | None, **asked: str | None) -> int:
    """Write a bundle of evidence into a new folder or zip. Contacts nothing."""
    from siteward.access.diagnostic import error, note, plural
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.evidence import collect

    if not any(asked.values()):
        raise click.UsageError("say what it is about: --ticket, --user, --since or --until")
    if session.privacy != "full":
        raise click.UsageError("a bundle names people: say --privacy full, and keep it where that may be read")
    checkout = open_checkout(session, "evidence", names=instances)
    found = collect(checkout.project, checkout.journals, checkout.instances, _read_question(checkout, asked))
    if any(said.blocks for said in found.said) or not found.events:
        nothing = (
            ()
            if found.events
            else (error("no-answer", "the journals have nothing about that", hint="siteward history"),)
        )
        return _leave(session, (*found.said, *nothing))
    problems = _write(out, _complete(found), sign)
    told = note("evidence-made", f"{out}: {plural(len(found.events), 'event')}")
    return _leave(session, (*found.said, *(problems or (told,))))


@command.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--signers",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="Who may have signed (ssh-keygen's allowed signers).",
)
@_session
def verify(session: Session, bundle: Path, signers: Path | None) -> int:
    """Say of a bundle whether it is consistent, sealed (with SITEWARD_JOURNAL_KEY) and signed, each apart.

    Leaves with 1 where it is not consistent or a signature does not hold, and with 4 where something was not checked.
    """
    import os

    from siteward.cli.checkout import journal_key
    from siteward.reconcile.evidence_check import check

    said, files = check(bundle, journal_key(os.environ))
    said = (*said, *_check_signature(files, signers))
    return _leave(session, said)


def _read_question(checkout: Checkout, asked: Mapping[str, str | None]) -> Question:
    from siteward.reconcile.evidence import Question

    zone = str(checkout.project.declaration.timezone)
    return Question(
        ticket=asked["ticket"], user=asked["user"], made=now(),
        since=parse_day(asked["since"], zone, "--since", last=False),
        until=parse_day(asked["until"], zone, "--until", last=True),
    )  # fmt: skip


def _complete(found: Collected) -> Mapping[str, bytes]:
    """Return the files of the bundle, the history in three formats among them."""
    from siteward.reconcile.evidence import bundle
    from siteward.render import Options
    from siteward.render.history import render

    forms = {"json": "history.json", "csv": "history.csv", "html": "history.html"}
    notes = [said for said in found.said if not said.blocks]
    return bundle(found, {name: render(found.events, form, Options(), notes).encode() for form, name in forms.items()})


def _write(out: Path, files: Mapping[str, bytes], key: Path | None) -> tuple[Diagnostic, ...]:
    """Write a bundle where nothing is yet, and sign it; return why that failed."""
    from siteward.access.diagnostic import error
    from siteward.reconcile.evidence import MANIFEST, SIGNATURE, write_folder, write_zip
    from siteward.reconcile.signing import SigningError, sign

    try:
        signed = {SIGNATURE: sign(files[MANIFEST], key)} if key is not None else {}
        (write_zip if out.suffix == ".zip" else write_folder)(out, {**files, **signed})
    except SigningError as problem:
        return (error(problem.code, str(problem), hint=problem.hint),)
    except OSError as problem:
        return (
            error("cannot-write", f"{out} cannot be written: {problem.strerror}", hint="name a new folder or .zip"),
        )
    return ()


def _check_signature(files: Mapping[str, bytes], signers: Path | None) -> tuple[Diagnostic, ...]:
    """Return what can be said of the signature; who may sign comes from whoever verifies, never from the bundle."""
    from siteward.access.diagnostic import error, note, warning
    from siteward.reconcile.evidence import MANIFEST, SIGNATURE
    from siteward.reconcile.signing import SigningError, signer_of

    if not files:
        return ()
    if SIGNATURE not in files:
        missing = (error if signers is not None else note)("evidence-not-signed", "the manifest has no signature")
        return (missing,)
    if signers is None:
        return (
            warning(
                "signature-not-checked", "the manifest has a signature", hint="name who may have signed: --signers FILE"
            ),
        )
    try:
        who = signer_of(files[MANIFEST], files[SIGNATURE], signers)
    except SigningError as problem:
        return (error("evidence-not-signed", f"the signature does not hold: {problem}"),)
    return (note("evidence-signed", f"signed by {who}"),)


def _leave(session: Session, said: tuple[Diagnostic, ...]) -> int:
    """Print what is said, and return the exit code; 4 where something is missing or was not checked."""
    from siteward.access.report import Report
    from siteward.reconcile.events import is_unsure

    return session.leave(Report(command="evidence", diagnostics=said, stale=is_unsure(said, causes=True)))
