"""Accounts that were renamed on the server: users whose account is live under another login than the file says."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from siteward.access.diagnostic import warning
from siteward.access.model import account_key
from siteward.access.state import fold_id, id_of
from siteward.access.traits import fold_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.state import Live, Memory
    from siteward.access.traits import Traits
    from siteward.declaration.declared import User


class Moves:
    """The live accounts of users whose login differs from the file's, by the id in the file or in the journal.

    `live` is `None` where no server was asked; `memory` is one whose logins are those of now (`identity.follow`).
    """

    def __init__(self, live: Live | None, traits: Traits, memory: Memory | None) -> None:
        self._live = live
        self._traits = traits
        self._names = frozenset(account.name for account in live.access.accounts()) if live is not None else frozenset()
        renamed = memory.renamed if memory is not None else {}
        self._renamed = {fold_login(old, traits): new for old, new in renamed.items()}

    def find(self, login: str, user: User, instance: str) -> str | None:
        """Return the account of a user whom the file gives `login`, where it has another one; else `None`."""
        fold, id_ = fold_login(login, self._traits), user.ids.get(instance)
        moved = self._find_by_id(id_) if id_ is not None else self._renamed.get(fold)
        return moved if moved in self._names and fold_login(moved, self._traits) != fold else None

    def _find_by_id(self, id_: str) -> str | None:
        """Return the only account with an id; `None` where there are several."""
        held = self._by_id.get(fold_id(id_), ())
        return held[0] if len(held) == 1 else None

    @cached_property
    def _by_id(self) -> Mapping[str, list[str]]:
        """The live accounts by the folded id that the platform shows of them."""
        by_id: dict[str, list[str]] = defaultdict(list)
        for name in self._names:
            now = id_of(name, self._live) if self._live is not None else None
            if now is not None:
                by_id[fold_id(now)].append(name)
        return by_id

    def describe(self, moved: str, login: str, user: User, instance: str, *, managed: bool) -> Diagnostic:
        """Return the warning about the account of a user that is called `moved` now, with the lines that say so.

        An account that is `managed` elsewhere is never named back.
        """
        by_email = self._traits.login == "email" and instance not in user.logins
        keep = f"`email: {moved}`" if by_email else f"`logins: {{{instance}: {moved}}}`"
        back = (
            f", or `previously: [{moved}]` to have it named {login} again"
            if self._traits.renames and not managed
            else ""
        )
        message = f"the account of {user.handle}, {login} in the file, is called {moved} now: its id is the same"
        return warning(
            "renamed-account",
            message,
            about=account_key(moved),
            at=user.at,
            hint=f"write {keep} under {user.handle}{back}",
        )
