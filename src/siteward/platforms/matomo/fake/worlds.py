"""What a stand-in server starts with: the product's first state, or a given world."""

from __future__ import annotations

from datetime import timedelta

from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite
from siteward.platforms.matomo.fake import more
from siteward.platforms.matomo.fake.php import md5
from siteward.platforms.matomo.fake.state import ANONYMOUS, Site, State, Token, User

ROOT = "root"
ROOT_PASSWORD = "root-pass-1234"  # noqa: S105 — the password of every fresh sandbox, said in its documentation
ROOT_EMAIL = "root@example.test"
SUPERUSER = "superuser"


def fresh(state: State) -> str:
    """Fill `state` as the installer leaves it and return the superuser's token."""
    token = _people(state)
    add_site(state, WorldSite(name="Site One", domain="one.example.test"))
    return token


def _people(state: State) -> str:
    state.add_user(ANONYMOUS, "anonymous@example.org", "")
    root = state.add_user(ROOT, ROOT_EMAIL, md5(ROOT_PASSWORD))
    root.superuser = True
    if state.release.before(4):
        return root.token
    token = state.secret()
    state.tokens[token] = Token(ROOT, "sandbox")
    return token


def of(state: State, world: World) -> str:
    """Fill `state` with a world beside its superuser and return the superuser's token.

    An account `root` of the world tells its e-mail and password; `anonymous` is there anyway. A role the release
    does not have raises `ValueError`.
    """
    beside = more.before(state, world)
    token = _people(state)
    sites = {site.domain: add_site(state, site) for site in world.sites}
    for account in world.accounts:
        add_account(state, account)
    for grant in world.grants:
        add_grant(state, grant, sites[grant.site])
    more.after(state, beside, sites)
    return token


def add_site(state: State, site: WorldSite) -> int:
    """Add a site and return its id."""
    number = int(site.id) if site.id else state.next("site")
    state.reserve("site", number)
    state.sites[number] = Site(
        number,
        site.name,
        [f"http://{site.domain}"] if site.domain else [],
        state.now(),
        site.group or "",
        site.owner or ANONYMOUS,
    )
    return number


def add_account(state: State, account: WorldAccount) -> User:
    """Add an account, or change the one that is there."""
    user = state.user(account.login)
    if user is None:
        email = account.email or f"{account.login}@example.org"
        user = state.add_user(account.login, email, md5(account.password or f"{account.login}-pass-1234"))
    elif account.email:
        user.email = account.email
    if account.role not in {None, SUPERUSER}:
        raise ValueError(f"{account.role!r} is no account role of Matomo; the only one is {SUPERUSER!r}")
    user.superuser = user.superuser or account.role == SUPERUSER
    if account.status != "active" and state.release.before(4, 11):
        raise ValueError(f"{state.release.product} {state.release.name} has no invitations")
    if account.status != "active":
        user.password, user.invited_by = "", ROOT
        user.expires = state.now() + timedelta(days=7 if account.status == "pending" else -1)
    return user


def add_grant(state: State, grant: WorldGrant, site: int) -> None:
    """Add a role and its capabilities on a site, replacing what was there."""
    user = state.user(grant.account)
    if user is None:
        raise ValueError(f"the world grants {grant.account!r} something but has no such account")
    if grant.role not in ({"view", "admin"} if state.release.before(3, 6) else {"view", "write", "admin"}):
        raise ValueError(f"{state.release.product} {state.release.name} has no role {grant.role!r}")
    login = user.login if state.key(user.login) == state.key(grant.account) else grant.account
    state.delete_rows(login, [site])
    for access in (grant.role, *grant.extras):
        state.add_rows(login, access, [site])
