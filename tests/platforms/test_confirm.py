"""What became of a write: every way an answer can come out, with every way reading can."""

from __future__ import annotations

import pytest

from siteward.platforms.confirm import DONE, INVITED, Verdict, confirm, failed, sent, unknown
from siteward.transport.errors import (
    NotThePlatformError,
    OutcomeUnknownError,
    PlatformError,
    RedirectedError,
    RefusedError,
    UnauthenticatedError,
    UnreachableError,
)
from siteward.transport.http import Answer, Writer
from siteward.transport.patience import MOST_REPEATS, Patience


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


class Door(Writer):
    """A writer of which only the patience is looked at; its waits pass at once."""

    def __init__(self) -> None:
        self.patience = Patience(clock=lambda: 0.0, sleep=lambda _: None)


WRITER = Door()
LOST = [OutcomeUnknownError("lost", hint="look"), RedirectedError("lost", hint="look")]
NOT_SENT = [
    UnreachableError("not sent"),
    RefusedError("too many"),
    UnauthenticatedError("no key"),
    NotThePlatformError("login page"),
]


@pytest.mark.parametrize("problem", NOT_SENT, ids=lambda error: type(error).__name__)
def test_what_was_not_taken_surely_failed_and_is_not_read(problem: PlatformError) -> None:
    verdict = confirm(WRITER, Line(problem), judge, never, repeatable=False)
    assert (verdict.status, verdict.message) == ("failed", str(problem))


@pytest.mark.parametrize("status", [200, 400])
def test_a_clear_answer_is_not_read_back(status: int) -> None:
    assert confirm(WRITER, Line(answer(status)), judge, never, repeatable=False) == judge(answer(status))


@pytest.mark.parametrize("problem", LOST, ids=lambda error: type(error).__name__)
def test_a_lost_answer_is_read_back(problem: PlatformError) -> None:
    """Done where reading shows it, else unknown: the server may still be at it."""
    assert confirm(WRITER, Line(problem), judge, lambda: True, repeatable=False, done=INVITED) == INVITED
    verdict = confirm(WRITER, Line(problem), judge, lambda: False, repeatable=False)
    assert (verdict.status, verdict.message, verdict.hint, verdict.awaited) == ("unknown", "lost", "look", True)


def test_a_yes_of_another_shape_is_a_lost_answer() -> None:
    assert confirm(WRITER, Line(answer(200)), judge, lambda: True, repeatable=False, parse=foreign) == DONE
    assert confirm(WRITER, Line(answer(200)), judge, lambda: False, repeatable=False, parse=foreign).status == "unknown"
    assert confirm(WRITER, Line(answer(400)), judge, never, repeatable=False, parse=foreign).status == "failed"


def test_a_no_in_doubt_is_read_back() -> None:
    """Done where reading shows it, else the no stands."""
    assert confirm(WRITER, Line(answer(500)), judge, lambda: True, repeatable=False) == DONE
    assert confirm(WRITER, Line(answer(500)), judge, lambda: False, repeatable=False).status == "failed"


@pytest.mark.parametrize("first", [answer(500), *LOST], ids=str)
def test_what_cannot_be_read_back_is_unknown_and_says_both(first: Answer | PlatformError) -> None:
    verdict = confirm(WRITER, Line(first), judge, unreadable, repeatable=False)
    assert verdict.status == "unknown"
    assert verdict.message.endswith("; and it could not be read back: gone")
    assert verdict.hint == "wait"


@pytest.mark.parametrize("first", [answer(200), answer(500), *LOST, *NOT_SENT], ids=str)
def test_a_command_is_sent_once(first: Answer | PlatformError) -> None:
    line = Line(first)
    sent(line)
    assert line.sent == 1


class State:
    """A state that is as wanted from the reading of that number on, or once something was `sent` so often."""

    def __init__(self, line: Line, *, at: int = 10_000, sent: int = 10_000) -> None:
        self.looks = 0
        self._line, self._at, self._sent = line, at, sent

    def __call__(self) -> bool:
        self.looks += 1
        return self.looks >= self._at or self._line.sent >= self._sent


@pytest.mark.parametrize("problem", LOST, ids=lambda error: type(error).__name__)
def test_a_late_effect_is_waited_for_and_nothing_is_sent_again(problem: PlatformError) -> None:
    line = Line(problem)
    assert confirm(WRITER, line, judge, State(line, at=6), repeatable=False) == DONE
    assert line.sent == 1


def test_nothing_is_sent_again_before_two_readings_have_shown_it_undone() -> None:
    line = Line(OutcomeUnknownError("lost"), answer(200))
    state = State(line)
    assert confirm(WRITER, line, judge, lambda: bool(state() and line.sent), repeatable=True).status == "sent"
    assert (line.sent, state.looks) == (2, 3)
    line = Line(OutcomeUnknownError("lost"))
    assert confirm(WRITER, line, judge, State(line, at=2), repeatable=True) == DONE
    assert line.sent == 1


def test_it_is_sent_again_a_few_times_at_most() -> None:
    line = Line(*[OutcomeUnknownError("lost")] * (MOST_REPEATS + 1))
    verdict = confirm(WRITER, line, judge, lambda: False, repeatable=True)
    assert (verdict.status, verdict.awaited, line.sent) == ("unknown", True, MOST_REPEATS + 1)


@pytest.mark.parametrize("second", [answer(400), answer(500)], ids=str)
def test_a_no_to_the_repetition_is_read_back_too(second: Answer) -> None:
    """The first one may have taken effect meanwhile, and that is why the second is refused."""
    line = Line(OutcomeUnknownError("lost"), second)
    assert confirm(WRITER, line, judge, State(line, sent=2), repeatable=True) == DONE
    line = Line(OutcomeUnknownError("lost"), second)
    assert confirm(WRITER, line, judge, lambda: False, repeatable=True).status == "failed"


def test_what_was_not_sent_the_second_time_leaves_the_first_open() -> None:
    line = Line(OutcomeUnknownError("lost"), UnreachableError("not sent"), answer(200))
    assert confirm(WRITER, line, judge, lambda: False, repeatable=True).status == "sent"
    line = Line(OutcomeUnknownError("lost"), *[UnreachableError("not sent")] * MOST_REPEATS)
    assert confirm(WRITER, line, judge, lambda: False, repeatable=True).status == "unknown"


def test_an_answer_that_tells_nothing_is_as_good_as_lost() -> None:
    line = Line(answer(500), answer(200))

    def open_(reply: Answer) -> Verdict:
        return DONE if reply.ok else unknown("the server answered 500")

    assert confirm(WRITER, line, open_, lambda: False, repeatable=True) == DONE
    assert line.sent == 2
