"""An invitation is sent again when somebody asks for it, once, and the journal knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.conftest import Program, start
from siteward.platforms.fakery import Fault, Sandbox, serve


@pytest.fixture
def matomo(program: Program) -> Iterator[Sandbox]:
    with serve(start("matomo")) as sandbox:
        program.write(
            f"version: 1\ninstances:\n  eu: {{platform: matomo, url: '{sandbox.url}', self: root, mode: add-only}}\n"
            "users: {anna: {email: anna@example.org}}\n"
        )
        program.env |= {f"SITEWARD_EU_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        yield sandbox


def test_an_invitation_is_sent_again(program: Program, matomo: Sandbox) -> None:
    """One write, told in words, and two lines in the journal."""
    before = matomo.fake.writes
    assert "siteward apply --resend tess@eu" in program("plan").out
    result = program("apply", "--resend", "tess@eu")
    assert result.code == 0, result.out
    assert "sent: a mail with the invitation to eu went to tess" in result.err
    assert matomo.fake.writes == before + 1
    assert (program.folder / ".siteward/eu.jsonl").read_text().count('"kind":"resend"') == 2
    assert program("plan").code == 0


def test_nobody_without_an_invitation_gets_a_mail(program: Program, matomo: Sandbox) -> None:
    """Somebody who is in has no invitation."""
    before = matomo.fake.writes
    result = program("apply", "--resend", "carla@eu")
    assert result.code == 1
    assert "nothing-to-resend" in result.out
    assert "sent:" not in result.err
    assert matomo.fake.writes == before


def test_a_lost_answer_is_not_a_second_mail(program: Program, matomo: Sandbox) -> None:
    """The mail may be out already, so nothing is sent again."""
    before = matomo.fake.writes
    matomo.fake.faults.append(Fault.parse("cut-after-write"))
    result = program("apply", "--resend", "tess@eu")
    assert result.code == 1
    assert "outcome-unknown" in result.out
    assert "sent:" not in result.err
    assert matomo.fake.writes == before + 1


def test_what_is_told_of_it_names_nobody_where_others_may_read_it(program: Program, matomo: Sandbox) -> None:
    """Whom the file does not declare; in text and in JSON, sent or not."""
    for login in ("tess", "carla"):
        for form in ("text", "json"):
            out = program("apply", "--resend", f"{login}@eu", "--privacy", "handles", "-f", form).out
            assert out
            assert login not in out


@pytest.mark.parametrize("whom", ["tess", "tess@nope", "@eu"])
def test_whom_is_asked_for_in_one_form(whom: str, program: Program, matomo: Sandbox) -> None:
    """Anything else is an error in use."""
    assert program("apply", "--resend", whom).code == 1
