"""The meeting of a file with an instance that it does not declare yet: who and what on it the file knows already.

People are the same by the directory's id, else by e-mail. An equal login alone proves nothing: it is told, and the two are
kept apart. Sites are the same by their domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from siteward.access.hosts import domain_in
from siteward.access.traits import fold_login
from siteward.declaration.checks.names import name_fault
from siteward.declaration.checks.users import is_address
from siteward.declaration.subjects import login_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.access.model import Account
    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Site, User


class Meeting(Struct, kw_only=True):
    """The declared people and sites against those of one instance, `instance`.

    `same` are the handles of users who are known to have an equal login there (`*`: all with an equal one). `met` are the
    handles of the users whom accounts were found to be, by account, and `addresses` the e-mails there of those who have
    none in the file. `pins` and `opened` are what declared sites need: the site's id there, and whether everybody may look
    at it there. `flagged` are sentences about what only people can tell.
    """

    declaration: Declaration
    instance: str
    traits: Traits
    live: Live
    me: str | None = None
    same: frozenset[str] = frozenset()
    met: dict[str, str] = {}
    addresses: dict[str, str] = {}
    pins: dict[str, str] = {}
    opened: dict[str, bool] = {}
    flagged: list[str] = []
    _found: set[str] = field(default_factory=set)

    # -- names that are taken

    def names(self) -> set[str]:
        """Return the folded names that no new handle may have: those of users and groups, and every login."""
        declared = self.declaration
        names = {*declared.users, *declared.groups}
        for user in declared.users.values():
            names |= {*user.named_logins.values(), *user.previously}
        return {name.casefold() for name in names}

    def emails(self) -> set[str]:
        """Return the folded e-mails of the users."""
        return {user.email.casefold() for user in self.declaration.users.values() if user.email is not None}

    def site_names(self) -> set[str]:
        """Return the names that no new site may have."""
        return set(self.declaration.sites)

    def has_host(self, host: str) -> bool:
        """Return whether a declared site has that host, so that another one of it needs its id."""
        return any(domain_in(site.domain) == host for site in self.declaration.sites.values())

    # -- people

    def meet(self, account: Account, email: str | None) -> str | None:
        """Return the handle of the user whose account this is: by the directory's id, by e-mail, or by `same`; each but once."""
        user = self._find_by_id(account) or self._find_by_email(email or account.name) or self._find_same(account)
        if user is None:
            return None
        first = next((name for name, handle in self.met.items() if handle == user.handle), None)
        if first is not None:
            self.flagged.append(
                f"{account.name} on {self.instance} seems to be {user.handle} too, who is {first} there already; kept apart"
            )
            return None
        self.met[account.name] = user.handle
        if user.state(self.instance) != "active":
            self.flagged.append(
                f"{user.handle} is {user.state(self.instance)} in the file and has access on {self.instance} as {account.name}"
            )
        return user.handle

    def take_address(self, handle: str, email: str | None, taken: set[str]) -> None:
        """Remember the e-mail of a user who was found here and has none in the file; `taken` are those of others, folded."""
        if email is None or self.traits.login == "email" or self.declaration.users[handle].email is not None:
            return
        if not is_address(email) or email.casefold() in taken or name_fault(email) is not None:
            self.flagged.append(
                f"the e-mail of {handle} on {self.instance} is not taken over: it is none, or another has it"
            )
            return
        taken.add(email.casefold())
        self.addresses[handle] = email

    def flag_equal_logins(self, apart: Mapping[str, str]) -> None:
        """Tell of new users whose account has the login of a declared one, where nothing else says that they are one.

        `apart` are the handles of the new users by account. To be called when everybody was met.
        """
        equal = {handle: other.handle for account, handle in apart.items() if (other := self._login_owner(account))}
        if equal:
            pairs = ", ".join(f"{handle} beside {other}" for handle, other in equal.items())
            self.flagged.append(
                f"an equal login on {self.instance}, and no id or e-mail that says that they are one person; kept apart:"
                f" {pairs} (where they are one, say so by `--same {','.join(equal.values())}` in the place of this edit)"
            )

    def _find_by_id(self, account: Account) -> User | None:
        known = {account.name, self.live.ids.get(account.key)}
        return next(
            (user for user in self.declaration.users.values() if user.id is not None and user.id in known), None
        )

    def _find_by_email(self, email: str) -> User | None:
        if not is_address(email):
            return None
        folded = email.casefold()
        return next(
            (user for user in self.declaration.users.values() if user.email and user.email.casefold() == folded), None
        )

    def _find_same(self, account: Account) -> User | None:
        """Return the user of an equal login, where the caller knows that they are one."""
        user = self._login_owner(account.name)
        return user if user is not None and self.same & {user.handle, "*"} else None

    def _login_owner(self, login: str) -> User | None:
        """Return the declared user whose login here would be this one; where that is an e-mail, whose handle begins it."""
        folded, local = fold_login(login, self.traits), login.partition("@")[0].casefold()
        for user in self.declaration.users.values():
            own = login_of(user, self.instance, self.traits)
            known = fold_login(own, self.traits) == folded if own is not None else user.handle.casefold() == local
            if known and user.handle not in self.met.values():
                return user
        return None

    def logins(self) -> dict[str, str]:
        """Return the login here of each declared user who needs one in the file.

        That is whoever was found under another name, and whoever would have the name of somebody else.
        """
        needed: dict[str, str] = {}
        for name, handle in self.met.items():
            own = login_of(self.declaration.users[handle], self.instance, self.traits)
            if own is None or fold_login(own, self.traits) != fold_login(name, self.traits):
                needed[handle] = name
        taken = {fold_login(name, self.traits) for name in self._live_logins()}
        for user in self.declaration.users.values():
            own = login_of(user, self.instance, self.traits)
            if user.handle in self.met.values() or own is None or fold_login(own, self.traits) not in taken:
                continue
            needed[user.handle] = self._free_login(own, taken)
            taken.add(fold_login(needed[user.handle], self.traits))
        return needed

    def _live_logins(self) -> Iterator[str]:
        yield from (account.name for account in self.live.access.accounts())
        yield from (grant.subject.name for grant in self.live.access.grants() if grant.subject.kind == "account")
        yield from (login for login in (self.me, self.live.me) if login is not None)

    def _free_login(self, login: str, taken: set[str]) -> str:
        """Return a login that nobody has here, made from one that somebody else has."""
        others = {
            fold_login(own, self.traits)
            for user in self.declaration.users.values()
            if (own := login_of(user, self.instance, self.traits)) is not None
        }
        local, at, domain = login.partition("@")
        number = 2
        while fold_login(f"{local}-{number}{at}{domain}", self.traits) in taken | others:
            number += 1
        return f"{local}-{number}{at}{domain}"

    # -- sites

    def find_site(self, host: str, pin: str | None, *, opened: bool) -> str | None:
        """Return the handle of the declared site of that host; `pin` is its id, where its host alone does not say which.

        Of several with that host none is taken: which is which is for people to say.
        """
        same = [site for site in self.declaration.sites.values() if domain_in(site.domain) == host]
        if len(same) != 1 or not host or same[0].handle in self._found:
            return None
        (site,) = same
        if not site.may_be_on(self.instance):
            self.flagged.append(f"the site {site.handle} is on {self.instance} too, where `only` does not let it be")
            return None
        self._found.add(site.handle)
        if pin is not None:
            self.pins[site.handle] = pin
        self._open(site, opened=opened)
        return site.handle

    def _open(self, site: Site, *, opened: bool) -> None:
        """Remember what the site has to say about everybody's access here, where it does not say it yet."""
        said = site.opened(self.instance)
        if opened != bool(said):
            self.opened[site.handle] = opened
