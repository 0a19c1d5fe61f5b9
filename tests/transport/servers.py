"""What the transport's tests talk to: servers that are functions, and a clock that only sleeping moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from siteward.transport.http import Doors, Link, Rate, Reading, open_doors

URL = "https://umami.example.test/base"
READS = (Reading("GET", "/api/.*"), Reading("POST", "/api/login"))
Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Clock:
    """Time that stands still until somebody sleeps; `slept` has every pause."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """Answers with each of `answers` in turn, the last one for ever; an exception among them is raised.

    `seen` has every request that arrived.
    """

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def link(handler: Handler, clock: Clock | None = None, **more: object) -> Link:
    """Return a link to a server that is a function."""
    clock = clock or Clock()
    return Link(url=URL, transport=httpx.MockTransport(handler), clock=clock, sleep=clock.sleep, **more)  # type: ignore[arg-type]  # tests name the fields they set


def doors(
    handler: Handler, clock: Clock | None = None, auth: httpx.Auth | None = None, rates: Sequence[Rate] = ()
) -> Doors:
    """Return the doors to a server that is a function."""
    return open_doors(link(handler, clock), reads=READS, auth=auth, rates=rates)
