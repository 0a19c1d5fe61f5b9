"""What stands before a server and answers some requests itself, after it has passed them on or instead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httpx

HTML = b"<!DOCTYPE html><title>Welcome</title>"


@dataclass
class Page:
    """An answer in the server's place to the requests that `on`, "METHOD regex", names.

    The first `after` of them are let through as they are, then `times` are answered so (0: all). `passed` tells
    whether the server hears of them all the same.
    """

    on: str
    passed: bool = False
    after: int = 0
    times: int = 1
    status: int = 200
    content: bytes = HTML
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    def strikes(self, request: httpx.Request) -> bool:
        method, _, path = self.on.partition(" ")
        if request.method != method or not re.search(path, request.url.path):
            return False
        self.seen += 1
        return self.seen > self.after and (not self.times or self.seen <= self.after + self.times)


@dataclass
class Proxy(httpx.BaseTransport):
    """A transport in which `pages` strike before what is behind it answers."""

    behind: httpx.BaseTransport
    pages: list[Page] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        struck = [page for page in self.pages if page.strikes(request)]
        if not struck or struck[0].passed:
            answer = self.behind.handle_request(request)
        if not struck:
            return answer
        return httpx.Response(struck[0].status, headers=struck[0].headers, content=struck[0].content)
