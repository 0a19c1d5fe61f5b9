"""The table of the Matomo adapter: its functions, credential fields and limits."""

from __future__ import annotations

from siteward.platforms.interface import Platform
from siteward.platforms.known import LIVE, READ, KeysRead, Known
from siteward.platforms.matomo.calls import bundle
from siteward.platforms.matomo.forecast import MatomoForecast
from siteward.platforms.matomo.leaving import leftovers
from siteward.platforms.matomo.probe import probe, reach
from siteward.platforms.matomo.read import read, refresh
from siteward.platforms.matomo.review import review
from siteward.platforms.matomo.roles import WIDEST
from siteward.platforms.matomo.rpc import connect
from siteward.platforms.matomo.settings import NAME, Settings
from siteward.platforms.matomo.write import resend, write

PLATFORM = Platform(
    name=NAME,
    title="Matomo / Piwik",
    widest=WIDEST,
    settings=Settings,
    fields={
        "token": "a token_auth of a superuser account that is Siteward's own, made while logged in as that account"
    },
    optional_fields={
        "password": "the password of that account; making superusers (3.10 and later) and changing e-mails (3.8 and "
        "later) need it",
    },
    connect=connect,
    probe=probe,
    read=read,
    refresh=refresh,
    bundle=bundle,
    forecast=MatomoForecast,
    write=write,
    review=review,
    reach=reach,
    leftovers=leftovers,
    resend=resend,
    releases=("5.3", "4.16", "3.14", "2.18", "6.0", "5.14"),
    known=(
        Known(
            release="6.0",
            how=READ,
            source="the developer changelog while 6.0.0 was in development",
            date="2026-11-28",
            first=(6, 0),
        ),
        Known(
            release="5.4 to 5.14",
            how=READ,
            source="the developer changelog up to 5.14.1, and the source of the users' API between 5.9 and 5.13",
            date="2026-11-28",
            first=(5, 4),
            last=(5, 14),
        ),
        Known(release="5.3", how=LIVE, source="server 5.3.0-alpha", date="2026-11-28", first=(5, 3)),
        Known(release="4.16", how=LIVE, source="server 4.16.1", date="2026-11-28", first=(4, 16)),
        Known(release="3.14", how=LIVE, source="server 3.14.1", date="2026-11-22", first=(3, 14)),
        Known(release="2.18", how=LIVE, source="Piwik server 2.18.1", date="2026-11-22", first=(2, 18)),
    ),
    keys=(
        KeysRead(
            release="4.0 and later",
            what="nothing: an account has any number of tokens, and no call lists or revokes them; their owner sees them under Personal, Security",
            source="servers 4.16.1 and 5.3.0-alpha; the developer changelog up to 6.0",
            date="2026-11-28",
        ),
        KeysRead(
            release="2.18 and 3.x",
            what="nothing: an account has one token_auth, made with it; 2.18 shows it in its list of users, where it is dropped unread",
            source="servers 2.18.1 and 3.14.1",
            date="2026-11-28",
        ),
    ),
    limits=(
        "the role `write` and capabilities came with 3.6, invitations with 4.11",
        "a superuser has no grants on sites: becoming one deletes them",
        "whose token it is cannot be asked; `self` names the account and is compared with the superusers",
        "without `SITEWARD_<INSTANCE>_SELF` beside the token no other superuser is unmade but by `--accept self`",
        "tokens can be neither seen nor revoked through the API",
        "a login cannot be changed, and an account cannot be disabled: `suspended` is no access anywhere",
        "taking all access to a site deletes the person's scheduled e-mail reports on it",
        "last_seen counts pages of the interface only, never API calls; before 3.0 it is not kept",
        "the token is sent in the body of a POST, so one that is for secure requests alone (5.x) will do",
        "logins are compared without case and accents: a new one that equals a live one so is refused in the plan",
        "rights by groups of the plugin GroupPermissions are read; beyond the file they are differences that no step changes",
        "of groups of one name the plugin tells the roles of one alone, which is a difference too (its source, read 2026-11-29)",
        "what people hold by a plugin that is off is read while the tag manager is off, and not told for others alone",
        "6.0 and later: who has `view` can no longer write annotations, their own included",
        "Matomo Cloud: 350 requests a minute and 2,000 in ten, by address (429 beyond; its FAQ, read)",
        "5.9 and later: who loses the account or all access is logged out of the interface; tokens stay",
    ),
)
