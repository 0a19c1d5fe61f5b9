"""Replay recordings of real servers against the stand-ins, and tell where they differ.

A recording is a file of JSON lines, one exchange a line. Ids, tokens and codes differ between the server that was
recorded and the stand-in that answers now; each pair is learned from the answers as they come (`Replay.twins`) and
put into the requests that follow. What stands in angle brackets was taken out of the recording, and the platform's
`Hooks` put something back; they also do what happened beside the recording.

    outcomes = replay(path, UmamiHooks())
    [each for each in outcomes if each.differences]

An answer is compared whole: status, keys, types, null or not, lengths of lists, and every text and number, except
values that each server makes for itself (`Hooks.own`), times (`Hooks.volatile`) and what `Hooks.loose` names.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from siteward.platforms.fakery import Fake, in_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

PLACEHOLDER = re.compile(r"<([A-Za-z][^<>]*)>")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
TRIMMED = "__trimmed__"
RAW = "__raw__"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded request and its answer. `line` is all that was recorded of it, for hooks that need more."""

    recording: str
    seq: int
    method: str
    path: str
    status: int
    answer: Any
    note: str = ""
    actor: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    line: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What a table of exceptions calls this exchange."""
        return f"{self.recording}:{self.seq}"

    def __str__(self) -> str:
        return f"{self.key} {self.method} {self.path} ({self.note})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one exchange; without differences it matched."""

    exchange: Exchange
    differences: tuple[str, ...]


@dataclass(slots=True)
class Replay:
    """A replay under way. `memory` is the hooks' own."""

    exchanges: Sequence[Exchange]
    fake: Fake
    client: httpx.Client
    twins: dict[str, str] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)

    def use(self, fake: Fake) -> None:
        """Go on with another server, as after a reset; what was learned stays."""
        self.client.close()
        self.fake, self.client = fake, _client(fake)

    def swap(self, value: Any) -> Any:
        """Return recorded data as it is called on this side."""
        if isinstance(value, dict):
            return {self.swap(key): self.swap(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.swap(each) for each in value]
        if isinstance(value, str):
            if value in self.twins:
                return self.twins[value]
            return UUID.sub(lambda found: self.twins.get(found[0], found[0]), value)
        return value


class Hooks:
    """What a platform adds; subclass it, override what differs. `own` finds values that each server makes."""

    own: re.Pattern[str] = UUID
    volatile: tuple[re.Pattern[str], ...] = (INSTANT,)
    loose: frozenset[str] = frozenset()
    headers: tuple[str, ...] = ("content-type", "location", "allow")
    same: tuple[str, ...] = ("id", "username", "login", "domain", "email", "name")

    def parse(self, recording: str, line: Mapping[str, Any]) -> Exchange | None:
        """Return the exchange of a line, or None for a line that only remarks on something."""
        if "method" not in line or "status" not in line:
            return None
        return Exchange(
            recording=recording,
            seq=int(line["seq"]),
            method=line["method"],
            path=line["path"],
            status=line["status"],
            answer=line["response_body"],
            note=line.get("note", ""),
            actor=line.get("actor"),
            query=line.get("query") or {},
            headers=line.get("request_headers") or {},
            body=line.get("request_body"),
            answer_headers=line.get("response_headers") or {},
            line=line,
        )

    def open(self, recording: str, exchanges: Sequence[Exchange]) -> Fake:
        """Return the server that the recording began with."""
        raise NotImplementedError

    def start(self, replay: Replay) -> None:
        """Look at the whole recording before the first exchange."""

    def before(self, replay: Replay, exchange: Exchange) -> None:
        """Do what happened before this exchange and was not recorded."""

    def after(self, replay: Replay, exchange: Exchange, response: httpx.Response) -> None:
        """Do what happened after this exchange and was not recorded; remember what is needed later."""

    def fill(self, replay: Replay, exchange: Exchange, name: str) -> str:
        """Return what stood where the recording has `<name>`."""
        raise NotImplementedError(f"{exchange}: nothing is known for <{name}>")

    def send(self, replay: Replay, exchange: Exchange) -> httpx.Response:
        """Send the request again."""
        body = self.filled(replay, exchange, exchange.body)
        raw = body.get(RAW) if isinstance(body, dict) else None
        return replay.client.request(
            exchange.method,
            "/".join(self.filled(replay, exchange, part) for part in exchange.path.split("/")),
            params=self.filled(replay, exchange, dict(exchange.query)) or None,
            headers=self.filled(replay, exchange, dict(exchange.headers)),
            **({"content": raw} if raw is not None else {"json": body} if body is not None else {}),
        )

    def filled(self, replay: Replay, exchange: Exchange, value: Any) -> Any:
        """Return recorded data with twins and placeholders put in."""
        if isinstance(value, dict):
            return {key: self.filled(replay, exchange, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(replay, exchange, each) for each in value]
        if not isinstance(value, str):
            return value
        if value in replay.twins:
            return replay.twins[value]
        shown = PLACEHOLDER.sub(lambda found: self.fill(replay, exchange, found[1]), value)
        return replay.swap(shown)

    def answer(self, response: httpx.Response) -> Any:
        """Return an answer as the recording would hold it."""
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            return {RAW: response.text}

    def pairs(
        self, recorded: Sequence[Any], answered: Sequence[Any], twins: Mapping[str, str]
    ) -> list[tuple[Any, Any]]:
        """Pair the elements of two lists: by a name they share or an id already learned, else by position."""
        left = list(answered)
        found = []
        for each in recorded:
            at = next((at for at, other in enumerate(left) if self._one(each, other, twins)), 0)
            if left:
                found.append((each, left.pop(at)))
        return found

    def _one(self, recorded: Any, answered: Any, twins: Mapping[str, str]) -> bool:
        """Tell whether two objects are the same thing on either side."""
        if not isinstance(answered, dict) or not isinstance(recorded, dict):
            return False
        if "id" in recorded and recorded["id"] in twins:
            return bool(twins[recorded["id"]] == answered.get("id"))
        if "id" in recorded and recorded["id"] == answered.get("id"):
            return True
        names = [key for key in self.same if key in recorded and key != "id"]
        known = answered.get("id") in twins.values()
        return bool(names) and not known and all(recorded[key] == answered.get(key) for key in names)

    def ordered(self, exchange: Exchange, where: str) -> bool:
        """Tell whether the list at that place of the answer has an order that the server promises."""
        return False

    def differences(self, replay: Replay, exchange: Exchange, response: httpx.Response) -> Iterator[str]:
        """Say where the answer is not the recorded one."""
        if response.status_code != exchange.status:
            yield f"status {response.status_code} instead of {exchange.status}: {response.text[:200]}"
            return
        for name in self.headers:
            if name in exchange.answer_headers and response.headers.get(name) != exchange.answer_headers[name]:
                yield f"header {name}: {response.headers.get(name)!r} instead of {exchange.answer_headers[name]!r}"
        yield from self.compared(replay, exchange, exchange.answer, self.answer(response), "body")

    def compared(self, replay: Replay, exchange: Exchange, recorded: Any, answered: Any, where: str) -> Iterator[str]:
        """Compare two values, learning which of them are the same thing on either side."""
        if isinstance(recorded, dict) and RAW in recorded:
            yield from self.raw(recorded[RAW], answered, where)
        elif isinstance(recorded, dict) and isinstance(answered, dict):
            yield from self._objects(replay, exchange, recorded, answered, where)
        elif isinstance(recorded, list) and isinstance(answered, list):
            yield from self._lists(replay, exchange, recorded, answered, where)
        elif isinstance(recorded, str) and isinstance(answered, str):
            yield from self._texts(replay, recorded, answered, where)
        elif type(recorded) is not type(answered) or recorded != answered:
            yield f"{where}: {_brief(answered)} instead of {_brief(recorded)}"

    def raw(self, recorded: str, answered: Any, where: str) -> Iterator[str]:
        """Compare answers that are no JSON: a page needs to be a page, other text the same."""
        text = answered.get(RAW) if isinstance(answered, dict) else None
        if text is None:
            yield f"{where}: {_brief(answered)} instead of text"
        elif recorded.startswith("<") != text.startswith("<") or (not recorded.startswith("<") and recorded != text):
            yield f"{where}: {text[:80]!r} instead of {recorded[:80]!r}"

    def _objects(
        self, replay: Replay, exchange: Exchange, recorded: Mapping[str, Any], answered: Mapping[str, Any], where: str
    ) -> Iterator[str]:
        missing = [key for key in recorded if key not in answered and key != TRIMMED]
        if missing:
            yield f"{where}: lacks {missing}"
        if extra := [key for key in answered if key not in recorded]:
            yield f"{where}: has {extra} besides"
        for key, value in recorded.items():
            if key in answered and TRIMMED in recorded and isinstance(value, list):
                yield from self._lists(replay, exchange, value, answered[key], f"{where}.{key}", trimmed=True)
            elif key in answered and key in self.loose:
                if type(value) is not type(answered[key]):
                    yield f"{where}.{key}: {_brief(answered[key])} instead of {_brief(value)}"
            elif key in answered:
                yield from self.compared(replay, exchange, value, answered[key], f"{where}.{key}")

    def _lists(
        self,
        replay: Replay,
        exchange: Exchange,
        recorded: Sequence[Any],
        answered: Sequence[Any],
        where: str,
        *,
        trimmed: bool = False,
    ) -> Iterator[str]:
        if len(recorded) != len(answered) and not (trimmed and len(answered) > len(recorded)):
            yield f"{where}: {len(answered)} elements instead of {len(recorded)}"
        pairs = self.pairs(recorded, answered, replay.twins)
        for number, (one, other) in enumerate(pairs):
            yield from self.compared(replay, exchange, one, other, f"{where}[{number}]")
        places = [next(at for at, each in enumerate(answered) if each is other) for _, other in pairs]
        if self.ordered(exchange, where) and places != list(range(len(places))):
            yield f"{where}: in another order"

    def _texts(self, replay: Replay, recorded: str, answered: str, where: str) -> Iterator[str]:
        if recorded in replay.twins:
            if replay.twins[recorded] != answered:
                yield f"{where}: {answered!r} is not the same thing as {recorded!r}"
        elif any(pattern.fullmatch(recorded) for pattern in self.volatile):
            if not any(pattern.fullmatch(answered) for pattern in self.volatile):
                yield f"{where}: {answered!r} is of another form than {recorded!r}"
        elif recorded != answered:
            if self.own.fullmatch(recorded) or PLACEHOLDER.fullmatch(recorded):
                replay.twins[recorded] = answered
            else:
                yield f"{where}: {answered!r} instead of {recorded!r}"


def _brief(value: Any) -> str:
    shown = json.dumps(value, default=str)
    return shown if len(shown) < 80 else f"{shown[:77]}..."


def _client(fake: Fake) -> httpx.Client:
    return httpx.Client(transport=in_process(fake), base_url=fake.url, follow_redirects=False)


def load(path: Path, hooks: Hooks, label: str = "") -> list[Exchange]:
    """Read a recording; `label` is what tables call it, its file's name if nothing else is said."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = (hooks.parse(label or path.name, json.loads(line)) for line in lines if line.strip())
    return [each for each in found if each is not None]


def replay(path: Path, hooks: Hooks, label: str = "") -> list[Outcome]:
    """Replay a recording from its first exchange to its last."""
    return play(label or path.name, load(path, hooks, label), hooks)


def play(recording: str, exchanges: Sequence[Exchange], hooks: Hooks) -> list[Outcome]:
    """Replay exchanges against one server, in order."""
    fake = hooks.open(recording, exchanges)
    under_way = Replay(exchanges, fake, _client(fake))
    try:
        hooks.start(under_way)
        return [_one(under_way, exchange, hooks) for exchange in exchanges]
    finally:
        under_way.client.close()


def _one(under_way: Replay, exchange: Exchange, hooks: Hooks) -> Outcome:
    hooks.before(under_way, exchange)
    response = hooks.send(under_way, exchange)
    found = tuple(hooks.differences(under_way, exchange, response))
    hooks.after(under_way, exchange, response)
    return Outcome(exchange, found)


def unexpected(outcomes: Iterable[Outcome], listed: Mapping[str, str]) -> list[str]:
    """Return what a contract test complains of: differences that no table explains, and entries that are stale.

    `listed` gives the reason why an exchange is out of reach, by its key (`file:seq`); entries of files that are
    not among the outcomes are left alone.
    """
    seen = {outcome.exchange.key: outcome for outcome in outcomes}
    files = {outcome.exchange.recording for outcome in seen.values()}
    wrong = [
        f"{outcome.exchange}\n    " + "\n    ".join(outcome.differences)
        for key, outcome in seen.items()
        if outcome.differences and key not in listed
    ]
    stale = [
        f"{key} is listed as out of reach ({reason}) and " + ("matches" if key in seen else "is not in the recording")
        for key, reason in listed.items()
        if key.rpartition(":")[0] in files and not (key in seen and seen[key].differences)
    ]
    return wrong + stale
