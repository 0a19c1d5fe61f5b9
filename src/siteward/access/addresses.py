"""Changed addresses, where an address is the login: one person may stand in the file and on the server under two."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from siteward.access.diagnostic import Diagnostic, warning
from siteward.access.model import Grant, account_of
from siteward.access.traits import is_site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from siteward.access.accounts import Classification
    from siteward.access.change import Change
    from siteward.access.model import Key

Rights = frozenset[tuple[str, str, str]]
"""What an account has on sites: kind and name of the scope, and the role."""


def warn_address_changes(classification: Classification, changes: Sequence[Change]) -> Iterator[Diagnostic]:
    """Warn where a newcomer is to get exactly what one account loses, or one unmanaged account has."""
    if classification.traits.login != "email":
        return
    held = _collect_rights(classification.live.access.grants())
    made = _collect_rights(change.after for change in changes if change.before is None)
    lost = _collect_rights(change.before for change in changes if change.after is None)
    touched = {account_of(change.key) for change in changes}
    leaving = {name: rights for name, rights in held.items() if lost.get(name) == rights}
    newcomers = {name: rights for name, rights in made.items() if name not in held}
    unmanaged = {
        name: rights
        for name, rights in held.items()
        if name not in touched and name not in classification.others and classification.classify(name) == "stranger"
    }
    for name, rights in newcomers.items():
        same = [other for other, has in (leaving | unmanaged).items() if has == rights]
        if len(same) == 1 and sum(gets == rights for gets in newcomers.values()) == 1:
            keys = (change.key for change in changes if account_of(change.key) in {name, same[0]})
            yield from (_build_warning(name, same[0], key, loses=same[0] in leaving) for key in keys)


def _collect_rights(grants: Iterable[object]) -> Mapping[str, Rights]:
    rights: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for grant in grants:
        if isinstance(grant, Grant) and grant.subject.kind == "account" and is_site(grant.scope):
            rights[grant.subject.name].add((grant.scope.kind, grant.scope.name, grant.role))
    return {name: frozenset(held) for name, held in rights.items()}


def _build_warning(name: str, other: str, key: Key, *, loses: bool) -> Diagnostic:
    if loses:
        message = f"{other} loses exactly what {name} gets"
        hint = "if so, correct the e-mail in the file first: removing and inviting takes access away"
    else:
        message = f"{name} is to get exactly what {other} has, whom the file does not declare"
        hint = "if so, correct the e-mail in the file first: else one person is there twice"
    words = f"{message}: is this one person with a new address?"
    return warning("possible-address-change", words, about=key, hint=hint)
