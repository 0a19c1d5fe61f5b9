"""What became of a write: every way an answer can come out, with every way reading can."""

from __future__ import annotations

import pytest

from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, failed, repeated, sent, unknown
from siteward.transport.errors import (
    NotThePlatformError,
    OutcomeUnknownError,
    PlatformError,
    RedirectedError,
    RefusedError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.http import Answer


def answer(status: int) -> Answer:
    return Answer(status, {}, b"", "/x")


class Line:
    """Answers commands from a list, an exception in it is raised; `sent` counts them."""

    def __init__(self, *answers: Answer | PlatformError) -> None:
        self._answers = list(answers)
        self.sent = 0

    def __call__(self) -> Answer:
        self.sent += 1
        found = self._answers.pop(0)
        if isinstance(found, PlatformError):
            raise found
        return found


def judge(reply: Answer) -> Verdict:
    if reply.ok:
        return Verdict(status="sent", answer=reply)
    return failed(f"no ({reply.status})", sure=reply.status == 400)


def foreign(_answer: Answer) -> object:
    raise NotThePlatformError("a page")


def never() -> bool:
    raise AssertionError("nothing had to be read")


def unreadable() -> bool:
    raise UnreachableError("gone", hint="wait")


LOST = [OutcomeUnknownError("lost", hint="look"), RedirectedError("lost", hint="look")]
NOT_SENT = [
    UnreachableError("not sent"),
    RefusedError("too many"),
    UnauthenticatedError("no key"),
    NotThePlatformError("login page"),
]


@pytest.mark.parametrize("problem", NOT_SENT, ids=lambda error: type(error).__name__)
def test_what_was_not_taken_surely_failed_and_is_not_read(problem: PlatformError) -> None:
    verdict = confirm(Line(problem), judge, never)
    assert (verdict.status, verdict.message) == ("failed", str(problem))


@pytest.mark.parametrize("status", [200, 400])
def test_a_clear_answer_is_not_read_back(status: int) -> None:
    assert confirm(Line(answer(status)), judge, never) == judge(answer(status))


@pytest.mark.parametrize("problem", LOST, ids=lambda error: type(error).__name__)
def test_a_lost_answer_is_read_back(problem: PlatformError) -> None:
    """Done where reading shows it, else unknown: the server may still be at it."""
    assert confirm(Line(problem), judge, lambda: True, done=INVITED) == INVITED
    assert confirm(Line(problem), judge, lambda: False) == unknown("lost", "look")


def test_a_yes_of_another_shape_is_a_lost_answer() -> None:
    assert confirm(Line(answer(200)), judge, lambda: True, parse=foreign) == DONE
    assert confirm(Line(answer(200)), judge, lambda: False, parse=foreign).status == "unknown"
    assert confirm(Line(answer(400)), judge, never, parse=foreign).status == "failed"


def test_a_no_in_doubt_is_read_back() -> None:
    """Done where reading shows it, else the no stands."""
    assert confirm(Line(answer(500)), judge, lambda: True) == DONE
    assert confirm(Line(answer(500)), judge, lambda: False).status == "failed"


@pytest.mark.parametrize("first", [answer(500), *LOST], ids=str)
def test_what_cannot_be_read_back_is_unknown_and_says_both(first: Answer | PlatformError) -> None:
    verdict = confirm(Line(first), judge, unreadable)
    assert verdict.status == "unknown"
    assert verdict.message.endswith("; and it could not be read back: gone")
    assert verdict.hint == "wait"


@pytest.mark.parametrize("first", [answer(200), answer(500), *LOST, *NOT_SENT], ids=str)
def test_a_command_is_sent_once(first: Answer | PlatformError) -> None:
    line = Line(first)
    sent(line)
    assert line.sent == 1


def test_a_command_that_may_be_repeated_is_sent_twice_at_most() -> None:
    for first in (answer(500), OutcomeUnknownError("lost")):
        line = Line(first, answer(204))
        assert (repeated(line).status, line.sent) == (204, 2)
    line = Line(OutcomeUnknownError("lost"), OutcomeUnknownError("lost again"))
    with pytest.raises(OutcomeUnknownError, match="again"):
        repeated(line)
    line = Line(answer(403))
    assert (repeated(line).status, line.sent) == (403, 1)


def test_a_receipt_carries_what_the_verdict_says() -> None:
    receipt = Verdict(status="sent", message="m", hint="h", sends=1).receipt(("account", "anna"), {("a",): "7"})
    assert (receipt.key, receipt.status, receipt.message, receipt.hint, receipt.sends, receipt.ids) == (
        ("account", "anna"), "sent", "m", "h", 1, {("a",): "7"},
    )  # fmt: skip
