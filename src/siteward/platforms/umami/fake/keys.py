"""The Umami stand-in's answers about API keys, of 3.4 and later: read, not driven.

A key is looked up by its hash and stands for its owner as the owner is now; no password is compared, so a new one does
not end it. Only the owner can list keys, in a session.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from siteward.platforms.umami.fake.ask import Ask, RefusalError, Route
from siteward.platforms.umami.fake.rows import SINCE_3_4, ApiKey, Json
from siteward.platforms.umami.fake.schema import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.platforms.umami.fake.rows import User
    from siteward.platforms.umami.fake.state import State

PREFIX, _RANDOM, _SHOWN = "umami_", 32, 14
_CLOSED = (
    "/api/me/password", "/api/me/api-keys", "/api/2fa", "/api/auth", "/api/users", "/api/admin", "/api/oauth",
)  # fmt: skip


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about API keys: nothing before 3.4."""
    if release not in SINCE_3_4:
        return {}
    return {
        ("GET", "/api/me/api-keys"): Route(listed),
        ("POST", "/api/me/api-keys"): Route(create, {"name": text(200, least=1)}),
        ("DELETE", "/api/me/api-keys/<key>"): Route(delete),
    }


def is_key(token: str | None) -> bool:
    """Tell whether a bearer token is meant as an API key."""
    return token is not None and token.startswith(PREFIX)


def is_closed(path: str) -> bool:
    """Tell whether a path is closed to keys, by its beginning."""
    return path.startswith(_CLOSED)


def find(state: State, token: str) -> ApiKey | None:
    """Return the key of that text."""
    found = state.keys.get(_hash(token))
    if found is not None:
        found.used = state.stamp()
    return found


def _hash(token: str) -> str:
    return hashlib.sha512(token.encode()).hexdigest()


def make(state: State, owner: User, name: str) -> tuple[ApiKey, str]:
    """Return a new key with its text, which is kept nowhere."""
    whole = PREFIX + state.letters(_RANDOM)
    made = ApiKey(state.new_id(), name, owner.id, _hash(whole), whole[:_SHOWN], state.stamp())
    state.keys[made.hash] = made
    return made, whole


def _row(key: ApiKey) -> Json:
    return {"id": key.id, "name": key.name, "keyPrefix": key.prefix, "createdAt": key.created}


def listed(ask: Ask) -> list[Json]:
    """List one's own keys: a bare array, without pages."""
    return [{**_row(key), "lastUsedAt": key.used} for key in ask.state.keys.values() if key.owner == ask.me.id]


def create(ask: Ask) -> Json:
    """Make a key; its text is told this once."""
    made, whole = make(ask.state, ask.me, ask.need("name"))
    ask.fake.touch()
    return {**_row(made), "key": whole}


def delete(ask: Ask, key: str) -> Json:
    """Delete a key of one's own."""
    found = next((own for own in ask.state.keys.values() if own.id == key and own.owner == ask.me.id), None)
    if found is None:
        raise RefusalError(404)
    del ask.state.keys[found.hash]
    ask.fake.touch()
    return {"ok": True}
