"""The Umami stand-in's answers about two-factor login, of 3.3 and later: read, not driven.

The paths, fields, statuses and numbers (5 failures, 15 minutes, 90 seconds) are those of the published contract and of
the source of this feature. Its sentences, and the code of the 503, are ours: no server was seen saying them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from datetime import timedelta
from typing import TYPE_CHECKING

from siteward.platforms.umami.fake.ask import Ask, RefusalError, Route
from siteward.platforms.umami.fake.rows import SINCE_3_3, Factor, Json, User
from siteward.platforms.umami.fake.schema import boolean, optional, text
from siteward.platforms.umami.fake.state import digest, ident, token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from siteward.platforms.umami.fake.state import State

_FAILURES, _BACKUPS, _STEP = 5, 10, 30
_LOCKED, _REMEMBERED, _PARTIAL = timedelta(minutes=15), timedelta(seconds=90), timedelta(minutes=5)
NO_KEY = "TWO_FACTOR_ENCRYPTION_KEY is not set"


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about the second factor: nothing before 3.3."""
    if release not in SINCE_3_3:
        return {}
    required = {"required": boolean}
    return {
        ("GET", "/api/2fa/status"): Route(status),
        ("POST", "/api/2fa/setup/initiate"): Route(initiate),
        ("POST", "/api/2fa/setup/confirm"): Route(confirm, {"token": text(6, least=6)}),
        ("POST", "/api/2fa/setup/cancel"): Route(cancel),
        ("POST", "/api/2fa/disable"): Route(disable, {"password": text(), "token": text(6, least=6)}),
        ("POST", "/api/admin/2fa/global"): Route(require_of_all, required),
        ("POST", "/api/admin/teams/<team>/2fa"): Route(require_of_team, required),
        ("GET", "/api/admin/users/<user>/2fa"): Route(has),
        ("POST", "/api/admin/users/<user>/2fa"): Route(require_of_user, required),
        ("DELETE", "/api/admin/users/<user>/2fa"): Route(reset),
    }


VERIFIED = {"token": optional(text(6, least=6)), "backupCode": optional(text())}


def code_of(secret: str, at: datetime) -> str:
    """Return the six digits of a base32 secret at a moment, as every authenticator shows them."""
    counter = struct.pack(">Q", int(at.timestamp()) // _STEP)
    mac = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = mac[-1] & 15
    return f"{(int.from_bytes(mac[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


def set_up(state: State, user: User) -> Factor:
    """Give an account a second factor that is on, and return it."""
    made = Factor(base64.b32encode(hashlib.sha256(user.id.encode()).digest()[:20]).decode(), on=True)
    state.factors[user.id] = made
    return made


def second_step(ask: Ask, user: User) -> Json | None:
    """Return what a right password is answered where the account has a second factor; `None` where it has none."""
    factor = ask.state.factors.get(user.id)
    if factor is None or not factor.on:
        return None
    if not ask.state.factor_key:
        raise RefusalError(503, NO_KEY, "two-factor-error-not-configured")
    made = token(120)
    ask.state.partials[made] = (user.id, ask.fake.clock() + _PARTIAL)
    return {"requiresTwoFactor": True, "partialToken": made}


def verified(ask: Ask) -> User:
    """Return the account whose second step this is; raises `RefusalError`."""
    words = ask.request.headers.get("Authorization", "").split(" ")
    if len(words) < 2:
        raise RefusalError(401, code="two-factor-error-missing-token")
    user_id, ends = ask.state.partials.get(words[1], ("", ask.fake.clock()))
    user, factor = ask.state.users.get(user_id), ask.state.factors.get(user_id)
    if user is None or ends <= ask.fake.clock():
        raise RefusalError(401, code="two-factor-error-invalid-partial-token")
    if factor is None or not factor.on:
        raise RefusalError(400, code="two-factor-error-not-enabled")
    _check(ask, factor, ask.get("token"), ask.get("backupCode"))
    del ask.state.partials[words[1]]
    return user


def _check(ask: Ask, factor: Factor, code: str | None, backup: str | None) -> None:
    """Refuse a code that is wrong or was used within 90 seconds; the fifth failure locks for 15 minutes."""
    now = ask.fake.clock()
    if factor.locked and factor.locked > now:
        raise RefusalError(
            429, code="two-factor-error-too-many-attempts", beside={"lockedUntil": factor.locked.isoformat()}
        )
    factor.used = {used: at for used, at in factor.used.items() if at + _REMEMBERED > now}
    if code is not None and code in factor.used:
        raise RefusalError(400, code="two-factor-error-code-used")
    if code is not None and code == code_of(factor.secret, now):
        factor.used[code], factor.failures = now, 0
        return
    if code is None and backup in factor.backups:
        factor.backups.remove(backup)
        factor.failures = 0
        return
    factor.failures += 1
    beside: Json = {}
    if factor.failures >= _FAILURES:
        factor.failures, factor.locked = 0, now + _LOCKED
        beside = {"lockedUntil": factor.locked.isoformat()}
    wrong = "invalid-code" if code is not None else "invalid-backup-code"
    raise RefusalError(400, code=f"two-factor-error-{wrong}", beside=beside)


def status(ask: Ask) -> Json:
    """Say whether one's own account has, and must have, a second factor, and why."""
    reason = _reason(ask, ask.me)
    return {
        "isEnabled": _is_on(ask, ask.me.id),
        "isRequired": reason is not None,
        "requiredReason": reason,
        "globalRequired": ask.state.all_must_factor,
        "isConfigured": ask.state.factor_key,
    }


def _is_on(ask: Ask, user: str) -> bool:
    factor = ask.state.factors.get(user)
    return factor is not None and factor.on


def _reason(ask: Ask, user: User) -> str | None:
    if ask.state.all_must_factor:
        return "global"
    if user.must_factor:
        return "user"
    return "team" if any(team.must_factor for team in ask.state.teams_of(user.id)) else None


def initiate(ask: Ask) -> Json:
    """Begin to set up a second factor."""
    _need_key(ask)
    factor = set_up(ask.state, ask.me)
    factor.on = False
    ask.fake.touch()
    return {"secret": factor.secret}


def confirm(ask: Ask) -> Json:
    """Switch the second factor on with a first code; the backup codes are shown this once."""
    factor = ask.state.factors.get(ask.me.id)
    if factor is None or factor.on:
        raise RefusalError(400, code="two-factor-error-not-initiated")
    _check(ask, factor, ask.get("token"), None)
    factor.on, factor.backups = True, [ask.state.letters(10) for _ in range(_BACKUPS)]
    ask.fake.touch()
    return {"backupCodes": factor.backups}


def cancel(ask: Ask) -> Json:
    """Forget a set-up that was begun."""
    if not _is_on(ask, ask.me.id):
        ask.state.factors.pop(ask.me.id, None)
        ask.fake.touch()
    return {"ok": True}


def disable(ask: Ask) -> Json:
    """Switch one's own second factor off: the one call that says 403, where it is required."""
    factor = ask.state.factors.get(ask.me.id)
    if factor is None or not factor.on:
        raise RefusalError(400, code="two-factor-error-not-enabled")
    if _reason(ask, ask.me) is not None:
        raise RefusalError(403, code="two-factor-error-disable-not-allowed")
    if ask.me.password != digest(str(ask.values["password"])):
        raise RefusalError(400, "Current password is incorrect")
    _check(ask, factor, ask.get("token"), None)
    del ask.state.factors[ask.me.id]
    ask.fake.touch()
    return {"ok": True}


def _need_key(ask: Ask) -> None:
    if not ask.state.factor_key:
        raise RefusalError(503, NO_KEY, "two-factor-error-not-configured")


def require_of_all(ask: Ask) -> Json:
    """Ask everybody for a second factor, or no longer; there is no call that reads it."""
    ask.must(ask.is_admin)
    required = ask.values["required"] is True
    if required:
        _need_key(ask)
    ask.state.all_must_factor = required
    ask.fake.touch()
    return {"ok": True, "required": required}


def require_of_team(ask: Ask, team: str) -> Json:
    """Ask all of a team for a second factor; its owner may not."""
    ask.must(ask.is_admin)
    found = ask.state.teams.get(ident(team))
    if found is None:
        raise RefusalError(404)
    found.must_factor = ask.values["required"] is True
    ask.fake.touch()
    return {"ok": True, "teamId": found.id, "twoFactorRequired": found.must_factor}


def _the(ask: Ask, user: str) -> User:
    ask.must(ask.is_admin)
    found = ask.state.users.get(ident(user))
    if found is None:
        raise RefusalError(404)
    return found


def has(ask: Ask, user: str) -> Json:
    """Say whether somebody has a second factor."""
    return {"isEnabled": _is_on(ask, _the(ask, user).id)}


def require_of_user(ask: Ask, user: str) -> Json:
    """Ask one account for a second factor."""
    found = _the(ask, user)
    found.must_factor = ask.values["required"] is True
    ask.fake.touch()
    return {"ok": True, "userId": found.id, "twoFactorRequired": found.must_factor}


def reset(ask: Ask, user: str) -> Json:
    """Take somebody's second factor away."""
    found = _the(ask, user)
    ask.state.factors.pop(found.id, None)
    ask.fake.touch()
    done = {"backupCodes": True, "otpUsed": True, "rateLimit": True, "twoFactorAuth": True}
    return {"ok": True, "userId": found.id, "reset": done}
