"""The Umami stand-in's answers about accounts: signing in, oneself, the users (API.md sections 3 and 4)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from siteward.platforms.umami.fake import factor
from siteward.platforms.umami.fake.ask import (
    PAGING,
    SEARCH,
    Ask,
    Listing,
    Order,
    RefusalError,
    Route,
    bad_request,
    page,
    sorting,
)
from siteward.platforms.umami.fake.rows import SINCE_3_3, CrashError, Json, Session, User
from siteward.platforms.umami.fake.schema import loose_uuid, one_of, optional, pattern, text, uuid
from siteward.platforms.umami.fake.sites import sites_of
from siteward.platforms.umami.fake.state import digest, ident, token
from siteward.platforms.umami.fake.teams import teams_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROLES = one_of("admin", "user", "view-only")
_TOKEN = {(False, True): 467, (False, False): 284, (True, True): 269, (True, False): 269}  # bytes, with Redis or 3.2
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def routes(release: str) -> Mapping[tuple[str, str], Route]:
    """Return what this release answers about accounts."""
    old = release == "2.20"
    role = pattern("admin|user|view-only", fold=True) if old else _ROLES
    password = text(255) if old else text(255, least=8)
    made = {
        "id": optional(loose_uuid if old else uuid),
        "username": text(255),
        "password": text() if old else password,
        "role": role,
    }
    changed = {
        "username": text(255) if old else optional(text(255)),
        "password": optional(password),
        "role": optional(role),
    }
    own = {"currentPassword": text(), "newPassword": text(least=8)}
    listed = {**PAGING, **sorting(release)}
    return {
        ("POST", "/api/auth/login"): Route(login, {"username": text(), "password": text()}, open=True),
        **(
            {("POST", "/api/2fa/verify"): Route(second_step, factor.VERIFIED, open=True)}
            if release in SINCE_3_3
            else {}
        ),
        ("POST", "/api/auth/verify"): Route(verify),
        ("POST", "/api/auth/logout"): Route(logout, open=old),
        ("POST", "/api/auth/sso"): Route(sso),
        ("GET", "/api/me"): Route(me),
        ("POST", "/api/me/password"): Route(change_password, own),
        ("GET", "/api/me/teams"): Route(lambda ask: teams_of(ask, ask.me.id), listed),
        ("GET", "/api/me/websites"): Route(lambda ask: sites_of(ask, ask.me.id), {**listed, **_TEAMS}),
        ("GET", "/api/admin/users"): Route(users, {**listed, **SEARCH}),
        ("POST", "/api/users"): Route(create, made),
        ("GET", "/api/users/<user>"): Route(show),
        ("POST", "/api/users/<user>"): Route(update, changed),
        ("DELETE", "/api/users/<user>"): Route(delete),
        ("GET", "/api/users/<user>/teams"): Route(teams, listed),
        ("GET", "/api/users/<user>/websites"): Route(websites, {**listed, **SEARCH, **_TEAMS}),
    }


_TEAMS = {"includeTeams": optional(text())}


def login(ask: Ask) -> Json:
    """Hand out a token: 3.2 ignores the case of the name and echoes it as typed."""
    name = ask.need("username")
    user = ask.state.names.get(name.lower() if ask.fake.new else name)
    if user is None or user.deleted or user.password != digest(str(ask.values["password"])):
        raise RefusalError(
            401, "message.incorrect-username-password" if ask.fake.old else None, "incorrect-username-password"
        )
    if ask.fake.factored and (asked := factor.second_step(ask, user)):
        return asked
    return signed_in(ask, user, name)


def second_step(ask: Ask) -> Json:
    """Hand out a token for the code of the second factor (3.3)."""
    user = factor.verified(ask)
    return signed_in(ask, user, user.username)


def signed_in(ask: Ask, user: User, name: str) -> Json:
    """Return the token and the account of somebody who has shown all that is asked for."""
    shown: Json = {"id": user.id, "username": name, "role": user.role, "createdAt": user.created}
    shown["isAdmin"] = user.role == "admin"
    if not ask.fake.old:
        shown["teams"] = _brief(ask, user)
    return {"token": _sign_in(ask, user, _HOUR), "user": shown}


def _sign_in(ask: Ask, user: User, lasting: timedelta) -> str:
    """Return a new token; with Redis it is a reference that ends after a time that use does not renew."""
    made = token(_TOKEN[ask.fake.redis, ask.fake.new])
    session = Session(user.id, user.password)
    if ask.fake.redis:
        session.key = f"auth:{ask.state.dice.getrandbits(128):032x}"
        session.ends = ask.fake.clock() + lasting
    ask.state.sessions[made] = session
    return made


def _brief(ask: Ask, user: User) -> list[Json]:
    return [{"id": team.id, "name": team.name, "logoUrl": None} for team in ask.state.teams_of(user.id)]


def _self(user: User) -> Json:
    return {**_row(user), "createdAt": user.created, "isAdmin": user.role == "admin"}


def _row(user: User) -> Json:
    return {"id": user.id, "username": user.username, "role": user.role}


def verify(ask: Ask) -> Json | None:
    """Return the own account: the one call that tells a dead token from a missing right."""
    if ask.fake.old:
        return _self(ask.user) if ask.user else None
    return {**_self(ask.me), "teams": _brief(ask, ask.me)}


def logout(ask: Ask) -> Json:
    """End a session, which works with Redis in 3.2 alone (recording 13_with_redis)."""
    if ask.fake.redis and ask.fake.new and ask.token:
        ask.state.sessions.pop(ask.token, None)
    return {"ok": True}


def sso(ask: Ask) -> Json:
    """Hand out a token that lasts a day, which needs Redis."""
    if not ask.fake.redis:
        if ask.fake.old:
            raise CrashError
        raise RefusalError(500, "Redis is disabled", "server-error")
    return {"user": _self(ask.me), "token": _sign_in(ask, ask.me, _DAY)}


def me(ask: Ask) -> Json:
    """Echo who asks; a share link is nobody."""
    if ask.api_key:
        key = {"id": ask.api_key.id, "name": ask.api_key.name}
        return {"user": _self(ask.me), "authType": "api-key", "apiKey": key}
    shown: Json = {"token": ask.token} if ask.token else {}
    if ask.key:
        shown["authKey"] = ask.key
    if ask.fake.keyed:
        shown["authType"] = "session" if ask.user else "share"
    return {**shown, "shareToken": ask.share, "user": _self(ask.user) if ask.user else None}


def change_password(ask: Ask) -> Json:
    """Set the own password, knowing the old one."""
    if ask.me.password != digest(str(ask.values["currentPassword"])):
        raise bad_request("Current password is incorrect")
    ask.me.password = digest(str(ask.values["newPassword"]))
    return _written(ask, ask.me)


def _written(ask: Ask, user: User) -> Json:
    user.updated = ask.state.stamp()
    ask.fake.touch()
    return {**_row(user), "createdAt": user.created}


def users(ask: Ask) -> Json:
    """List all accounts; 2.x lets their password hashes out."""
    ask.must(ask.is_admin)
    owned: dict[str, int] = {}
    for site in ask.state.websites.values():
        if site.user:
            owned[site.user] = owned.get(site.user, 0) + 1

    def row(user: User) -> Json:
        leak: Json = {"password": user.password} if ask.fake.old else {}
        return {
            "id": user.id,
            "username": user.username,
            **leak,
            "role": user.role,
            "logoUrl": None,
            "displayName": None,
            "createdAt": user.created,
            "updatedAt": user.updated,
            "deletedAt": user.deleted,
            **({"twoFactorRequired": user.must_factor} if ask.fake.factored else {}),
            "_count": {"websiteUser" if ask.fake.old else "websites": owned.get(user.id, 0)},
        }

    order = Order(("username", "role", "createdAt"), by="createdAt", descending=True, told=True)
    return page(
        ask, Listing([user for user in ask.state.users.values() if user.deleted is None], row, ("username",), order)
    )


def create(ask: Ask) -> Json:
    """Create an account; the check for a taken name and the insert are two things."""
    ask.must(ask.is_admin)
    name = ask.need("username")
    name = name.lower() if ask.fake.new else name
    if name in ask.state.names:
        raise bad_request("User already exists")
    ask.fake.window()
    user = ask.state.new_user(name, str(ask.values["password"]), ask.need("role"), id=ask.get("id"))
    ask.fake.touch()
    return _row(user)


def _self_or_admin(ask: Ask, user: str) -> None:
    ask.must(ask.is_admin or (ask.user and ask.user.id == user))


def show(ask: Ask, user: str) -> Json | None:
    """Return an account, or null for one that is not there."""
    _self_or_admin(ask, user)
    found = ask.state.users.get(ident(user))
    return {**_row(found), "createdAt": found.created} if found and found.deleted is None else None


def update(ask: Ask, user: str) -> Json:
    """Change an account; role and name of a non-admin's own are dropped without a word."""
    _self_or_admin(ask, user)
    found = ask.state.users.get(ident(user))
    if found is None:
        if ask.fake.old:
            raise CrashError
        raise RefusalError(404)
    name = ask.get("username") if ask.is_admin else None
    name = name.lower() if name and ask.fake.new else name
    if name and name != found.username and name in ask.state.names:
        raise bad_request("User already exists")
    role = ask.get("role") if ask.is_admin else None
    password = ask.values.get("password")
    if not (name or role or password):
        return {**_row(found), "createdAt": found.created}
    if name:
        ask.state.rename(found, name)
    if password:
        found.password = digest(str(password))
    found.role = role or found.role
    return _written(ask, found)


def delete(ask: Ask, user: str) -> Json:
    """Delete an account with what API.md section 4 lists."""
    ask.must(ask.is_admin)
    if user == ask.me.id:
        raise bad_request("You cannot delete yourself.")
    ask.fake.window()
    ask.state.delete_user(ident(user), things=ask.fake.new)
    ask.fake.touch()
    return {"ok": True}


def teams(ask: Ask, user: str) -> Json:
    """List an account's teams."""
    _self_or_admin(ask, user)
    return teams_of(ask, ident(user))


def websites(ask: Ask, user: str) -> Json:
    """List an account's own sites."""
    _self_or_admin(ask, user)
    return sites_of(ask, ident(user))
