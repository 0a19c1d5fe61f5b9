"""The recorded exchanges with real servers, and what it takes to ask a stand-in the same."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx

from siteward.platforms.fakery import in_process
from siteward.platforms.matomo.fake import FAKE, MatomoFake
from siteward.platforms.matomo.fake.state import State, Token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "recordings"
RELEASE = {"": "5.3", "m416": "4.16", "m314": "3.14", "m218": "2.18"}
PASSWORDS = {
    "user": "Secret-123",
    "root": "root-pass-1234",
    "new": "New-Secret-1",
    "other": "Other-1234",
    "accepted": "Accepted-123",
}
WRONG_TOKEN = "0" * 32
URL = "http://127.0.0.1"


@dataclass(frozen=True)
class Entry:
    """One line of a recording: an exchange, or a remark about the server's state."""

    file: str
    data: Mapping[str, object]

    @property
    def seq(self) -> int:
        return int(str(self.data["seq"]))

    @property
    def note(self) -> str:
        return str(self.data.get("note", ""))

    @property
    def method(self) -> str:
        return str(self.data.get("method", ""))

    @property
    def actor(self) -> str:
        return str(self.data.get("as", ""))

    @property
    def is_exchange(self) -> bool:
        return "body" in self.data and "method" in self.data

    @property
    def scenario(self) -> str:
        return self.file.split(".")[0]

    @property
    def release(self) -> str:
        return RELEASE[self.file.split(".")[1] if "." in self.file else ""]

    def __str__(self) -> str:
        return f"{self.file}#{self.seq}"


def files() -> list[str]:
    return sorted(path.name.removesuffix(".jsonl") for path in FOLDER.glob("*.jsonl"))


def entries(file: str) -> Iterator[Entry]:
    with (FOLDER / f"{file}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            yield Entry(file, json.loads(line))


@dataclass
class Clock:
    """A clock that stands until it is told to go on."""

    now: datetime = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Server:
    """A fresh stand-in of one release with a client of it, as the driver scripts had."""

    release: str
    clock: Clock = field(default_factory=Clock)
    fake: MatomoFake = field(init=False)
    client: httpx.Client = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fake = FAKE.fresh(self.release, clock=self.clock)
        self.fake.url = URL
        self.tokens["root"] = self.fake.credentials["token"]
        self.client = httpx.Client(transport=in_process(self.fake), base_url=URL)

    @property
    def state(self) -> State:
        return self.fake.state

    def ask(self, method: str, /, *, token: str | None = "root", **params: object) -> object:
        """Call a method quietly, for what a recording leaves out."""
        sent = flat(params)
        if token is not None:
            sent.insert(0, ("token_auth", self.tokens[token]))
        query = urlencode({"module": "API", "method": method, "format": "JSON", "filter_limit": "-1"})
        return self.client.post(f"/index.php?{query}", content=urlencode(sent), headers=FORM).json()

    def add_user(self, login: str, *, site: int = 0) -> None:
        email = login.replace("@", "_") + "@example.test"
        self.ask("UsersManager.addUser", userLogin=login, password="Secret-123", email=email, initialIdSite=site)

    def add_sites(self, first: int, last: int, name: str = "Site {}") -> None:
        for number in range(first, last + 1):
            self.ask("SitesManager.addSite", siteName=name.format(number), urls=[f"http://s{number}.example.test"])

    def mint(self, login: str, name: str = "") -> str:
        """Return a token of that login, kept under `name`."""
        user = self.state.user(login)
        assert user is not None
        if self.state.release.before(4):
            value = user.token
        else:
            value = self.state.secret()
            self.state.tokens[value] = Token(user.login, "t")
        self.tokens[name or login] = value
        return value

    def exchange(self, entry: Entry, token: str | None) -> httpx.Response:
        """Send what a recorded exchange sent."""
        data = entry.data
        params = self.filled(data["params"])
        assert isinstance(params, dict)
        base = {"module": "API", "method": entry.method}
        if data["format"]:
            base["format"] = str(data["format"])
        if data["filter_limit"] and "filter_limit" not in params:
            base["filter_limit"] = str(data["filter_limit"])
        query, body = list(base.items()), flat(params)
        if data["http"] == "GET" or data["routing_in"] == "query":
            query, body = (query + body, []) if data["http"] == "GET" else (query, body)
        else:
            query, body = [], query + body
        where = data["token_in"]
        if token is not None and where in {"body", "query"}:
            (body if where == "body" and data["http"] == "POST" else query).insert(0, ("token_auth", token))
        return self._send(entry, query, body, {"Authorization": f"Bearer {token}"} if where == "bearer" else {})

    def _send(
        self, entry: Entry, query: list[tuple[str, str]], body: list[tuple[str, str]], headers: dict[str, str]
    ) -> httpx.Response:
        headers |= FORM
        content = urlencode(body)
        if "Accept-Language: de" in entry.note or "names are translated" in entry.note:
            headers["Accept-Language"] = "de"
        if "JSON request body" in entry.note:
            headers["Content-Type"], content = "application/json", json.dumps(dict(body))
        if "language=en" in entry.note:
            query.append(("language", "en"))
        url = "/index.php" + ("?" + urlencode(query) if query else "")
        return self.client.request(str(entry.data["http"]), url, content=content, headers=headers)

    def filled(self, value: object) -> object:
        """Return `value` with the placeholders of a recording filled in."""
        match value:
            case dict():
                return {key: self.filled(item) for key, item in value.items()}
            case list():
                return [self.filled(item) for item in value]
            case str():
                return re.sub(r"<([A-Z]+)(\d*):?(\w*)>", self._fill, value)
            case _:
                return value

    def _fill(self, found: re.Match[str]) -> str:
        kind, number, name = found.groups()
        if kind == "PASSWORD":
            return PASSWORDS[name]
        if kind == "TOKEN":
            return self.tokens[name]
        return WRONG_TOKEN if (kind, number) == ("HEX", "32") else found[0]


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def flat(params: Mapping[str, object]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in params.items():
        if isinstance(value, list):
            found += [(f"{key}[]", str(item)) for item in value]
        else:
            found.append((key, str(int(value) if isinstance(value, bool) else value)))
    return found


SCRUBS = (
    (re.compile(r"<(TOKEN:\w+|INVITE_TOKEN|SESSION_TOKEN|PASSWORD:\w+)>"), "<HEX32>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<HEX32>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "<TIME>"),
)


def scrubbed(value: object) -> object:
    """Return a body with tokens and times made equal."""
    match value:
        case dict():
            return {key: scrubbed(item) for key, item in value.items()}
        case list():
            return [scrubbed(item) for item in value]
        case str():
            for pattern, name in SCRUBS:
                value = pattern.sub(name, value)
            return value
        case _:
            return value


def body_of(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return answer.text


def headers_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers a recording keeps; a session's cookie counts by being there."""
    kept = {name.lower(): value.replace("charset=UTF-8", "charset=utf-8") for name, value in headers.items()}
    found = {
        name: value
        for name, value in kept.items()
        if name in {"content-type", "location"}
        or (name.startswith(("x-matomo", "x-piwik")) and name != "x-matomo-request-id")
    }
    return found | ({"set-cookie": "<COOKIE>"} if "set-cookie" in kept else {})


def comparable(body: object) -> object:
    """Return a body as it is compared.

    Pages count by title and headings; a body that the recording cut by its beginning; capabilities as a set with
    counts, because the server's join gives them in no order (API.md section 2.1).
    """
    match body:
        case {"__truncated__": True, "head": str(head)}:
            return comparable(head)
        case dict():
            return {key: sorted(item) if key == "capabilities" else comparable(item) for key, item in body.items()}
        case list():
            return [comparable(item) for item in body]
        case str() if body.startswith("<!DOCTYPE html>"):
            return re.findall(r"<(title|h1|h2)>\s*(.*?)\s*</", body, re.DOTALL)
        case str() if "<b>Fatal error</b>" in body:
            return body.partition(" in /srv")[0]  # the stack behind it names the server's own files
        case _:
            return body
