"""An invitation sent again: one mail, journalled before and after, and none where the first may have come."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from promises.small import rig as small_umami
from rig import NOW, URL, Rig
from siteward.access.diagnostic import Severity
from siteward.platforms.fakery import Fault, World, WorldAccount, WorldSite
from siteward.platforms.interface import Receipt
from siteward.platforms.matomo.fake import FAKE
from siteward.reconcile.apply.apply import resend
from siteward.reconcile.apply.target import Journals
from siteward.reconcile.journal.entries import InvitationResent
from siteward.reconcile.journal.journal import opened
from siteward.reconcile.journal.reading import path_of, read
from siteward.transport.secrets import Secret

if TYPE_CHECKING:
    from datetime import datetime

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live
    from siteward.transport.http import Writer


@pytest.fixture
def matomo(tmp_path: Path) -> Rig:
    """A Matomo on which Tess was invited and has not come, and Carla is in."""
    accounts = (
        WorldAccount(login="tess", email="tess@example.org", status="pending"),
        WorldAccount(login="carla", email="carla@example.org"),
    )
    start = World(accounts=accounts, sites=(WorldSite(name="Shop", domain="shop.example.org"),))
    server = FAKE.of(start, FAKE.releases[0], clock=lambda: NOW)
    instance = {"platform": "matomo", "url": URL, "self": "root", "mode": "add-only"}
    return Rig(
        tmp_path, server, {"version": 1, "instances": {"it": instance}, "users": {"anna": {"email": "a@example.org"}}}
    )


def again(found: Rig, login: str) -> Diagnostic:
    """Send an invitation again and return the one thing that is said of it."""
    report = resend(found.instance, login, found.journals, lambda: NOW)
    (told,) = report.diagnostics
    assert (report.command, report.applied, told.instance) == ("apply", True, "it")
    return told


def lines(found: Rig) -> list[tuple[str, str, str]]:
    """Return what the journal says of invitations: login, status and message."""
    entries = read(path_of(found.journals.folder, "it"), found.journals.key).entries
    return [(entry.login, entry.status, entry.message) for entry in entries if isinstance(entry, InvitationResent)]


def test_an_invitation_is_sent_again_and_journalled(matomo: Rig) -> None:
    """One write; the intent stands in the journal before what became of it."""
    before = matomo.fake.writes
    told = again(matomo, "tess")
    assert (told.code, told.severity) == ("invitation-sent", Severity.NOTE)
    assert told.message == "the invitation of tess was sent again; its former link is dead"
    assert matomo.fake.writes == before + 1
    assert lines(matomo) == [("tess", "intent", ""), ("tess", "sent", "")]


def test_whoever_is_in_has_no_invitation(matomo: Rig) -> None:
    """Nothing is written, the reason is told, and the journal knows that somebody asked."""
    before = matomo.fake.writes
    told = again(matomo, "carla")
    assert (told.code, told.severity) == ("nothing-to-resend", Severity.ERROR)
    assert told.message == "carla has no invitation that is open or has run out"
    assert matomo.fake.writes == before
    assert lines(matomo) == [("carla", "intent", ""), ("carla", "failed", told.message)]


def test_a_lost_answer_is_told_as_unknown(matomo: Rig) -> None:
    """The mail may be out: it is not sent a second time, and the person is to be asked."""
    before = matomo.fake.writes
    matomo.fake.faults.append(Fault.parse("cut-after-write"))
    told = again(matomo, "tess")
    assert (told.code, told.severity) == ("outcome-unknown", Severity.ERROR)
    assert told.message
    assert told.hint == "ask tess whether the mail came before sending it again"
    assert matomo.fake.writes == before + 1
    assert lines(matomo) == [("tess", "intent", ""), ("tess", "unknown", told.message)]


def test_what_surely_was_not_sent_has_failed(matomo: Rig) -> None:
    """Such a refusal is told as any trouble with an instance, and the journal has what became of the intent."""
    send = matomo.instance.platform.resend

    def lock_out(writer: Writer, login: str, live: Live) -> Receipt:
        matomo.fake.faults.append(Fault.parse("expire-token"))
        assert send is not None
        return send(writer, login, live)

    matomo.instance = replace(matomo.instance, platform=replace(matomo.instance.platform, resend=lock_out))
    before = matomo.fake.writes
    told = again(matomo, "tess")
    assert told.blocks
    assert matomo.fake.writes == before
    assert lines(matomo) == [("tess", "intent", ""), ("tess", "failed", told.message)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_begun_after_a_signal(number: signal.Signals, matomo: Rig) -> None:
    """One that comes while the intent is written: the mail is not sent, and the journal says so."""
    before = matomo.fake.writes

    def clock() -> datetime:
        if signal.getsignal(number) is not calm:
            signal.raise_signal(number)
            signal.signal(number, signal.SIG_IGN)  # one is enough
        return NOW

    calm = signal.getsignal(number)
    try:
        report = resend(matomo.instance, "tess", matomo.journals, clock)
    finally:
        signal.signal(number, calm)
    assert report.interrupted
    assert [told.code for told in report.diagnostics] == ["interrupted"]
    assert matomo.fake.writes == before
    assert lines(matomo) == [("tess", "intent", ""), ("tess", "failed", "interrupted before it was sent")]


def test_a_platform_without_such_invitations_says_so(tmp_path: Path) -> None:
    """Nothing is read, written or journalled there."""
    found = small_umami(tmp_path)
    before = len(found.fake.calls)
    told = again(found, "carla")
    assert (told.code, told.message) == (
        "nothing-to-resend",
        "Umami (self-hosted) has no invitation that could be sent again",
    )
    assert len(found.fake.calls) == before
    assert lines(found) == []


def test_a_server_that_does_not_answer_is_told(matomo: Rig) -> None:
    """As every trouble with an instance, with its name, and no intent in the journal."""
    matomo.fake.faults.append(Fault.parse("500x0"))
    told = again(matomo, "tess")
    assert told.code == "not-the-platform"
    assert told.blocks
    assert lines(matomo) == []


def test_a_journal_that_is_in_use_is_waited_for_by_nobody(matomo: Rig) -> None:
    """While another run writes the journal, no mail goes out."""
    before = matomo.fake.writes
    with opened(matomo.journals.folder, "it", key=matomo.journals.key, clock=lambda: NOW):
        told = again(matomo, "tess")
    assert told.code == "journal-busy"
    assert told.blocks
    assert matomo.fake.writes == before


def test_the_journal_key_seals_what_is_written_of_it(matomo: Rig) -> None:
    """As every line of a journal that has a key."""
    matomo.journals = Journals(folder=matomo.journals.folder, key=Secret("a-key-of-thirty-two-characters-it"))
    again(matomo, "tess")
    text = path_of(matomo.journals.folder, "it").read_text(encoding="utf-8")
    assert text.count('"seal":"') == 2


def test_what_to_do_about_a_refusal_is_told_with_it(matomo: Rig) -> None:
    """In the words of the platform."""

    def refuse(_writer: object, login: str, _live: object) -> Receipt:
        return Receipt(
            key=("account", login), status="failed", message="the mail server is away", hint="try again later"
        )

    platform = replace(matomo.instance.platform, resend=refuse)
    matomo.instance = replace(matomo.instance, platform=platform)
    told = again(matomo, "tess")
    assert (told.message, told.hint) == ("the mail server is away", "try again later")
    assert lines(matomo)[1] == ("tess", "failed", "the mail server is away")
