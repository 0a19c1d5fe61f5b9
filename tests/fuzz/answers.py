"""Mutated answers of a server: the stand-in's, which are held equal to recorded ones, changed on the way back."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import httpx

from chaos import worlds
from chaos.story import RELEASES
from chaos.weather import one_after_the_other
from fuzz import mutate
from rig import NOW, Rig
from siteward import platforms
from siteward.access.report import Report
from siteward.platforms.fakery import in_process
from siteward.render import SERVES, render
from siteward.transport.http import Reader

SEEDS = 200
STATUSES = (200, 201, 204, 302, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503)


@dataclass
class Garbled(httpx.BaseTransport):
    """A way to a server on which some answers are changed, those of commands too."""

    inner: httpx.BaseTransport
    dice: random.Random
    chance: float

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if self.dice.random() >= self.chance:
            return response
        status, body = response.status_code, response.read()
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-length"]
        if self.dice.random() < 0.1:
            status = self.dice.choice(STATUSES)
        else:
            body = self._garble(body)
        if self.dice.random() < 0.05:
            name = self.dice.choice((b"Content-Type", b"Location", b"Retry-After", b"Date", b"Set-Cookie"))
            headers.append((name, "x, \t;=é".encode("latin-1")))
        return httpx.Response(status, headers=headers, content=body, request=request)

    def _garble(self, body: bytes) -> bytes:
        try:
            value = json.loads(body)
        except ValueError:
            return mutate.raw(self.dice, body)
        if self.dice.random() < 0.1:
            return mutate.raw(self.dice, body)
        return json.dumps(mutate.json_value(self.dice, value)).encode("utf-8", "surrogatepass")


def play(seed: int, folder: Path) -> str | None:
    """Plan, apply and tell drift with garbled answers, and render what comes of it in every format."""
    dice = random.Random(seed)
    source = random.Random(dice.randrange(SEEDS))
    platform, release = dice.choice(RELEASES)
    start = worlds.draw(source, platform, release)
    fake = platforms.fake(platform).of(start.world, release, clock=lambda: NOW)
    rig = Rig(folder, fake, start.documents[0])
    garbled = Garbled(in_process(fake), dice, dice.choice((0.05, 0.15, 0.5)))
    rig.axe._inner = garbled
    with mock.patch.object(Reader, "map", one_after_the_other):
        report = rig.plan()
        if (fake.writes, report.plan is None and not report.diagnostics) != (0, False):
            return "a plan wrote, or there is none and no reason"
        reports = [report, rig.drift()]
        if report.plan is not None:
            reports.append(rig.apply(report.plan))
            reports.append(rig.apply(report.plan, resume=True))
        if dice.random() < 0.5:
            garbled.chance = 0
            reports.append(rig.plan())
    return next((words for report in reports if (words := _render(dice, report))), None)


def _render(dice: random.Random, report: Report) -> str | None:
    """Render a report in one format; return what is wrong with it."""
    names = [name for name, verbs in SERVES.items() if report.command in verbs]
    name = dice.choice(names)
    text = render(name, report)
    text.encode("utf-8")
    bad = {character for character in text if ord(character) < 32 and character not in "\r\n\t"}
    return f"{name} holds control characters: {bad}" if bad and name != "text" else None
