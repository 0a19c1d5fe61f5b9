"""Who has committed to a change, as its commits say: authors, committers and co-authors, by their addresses.

No forge tells who pushed what, and an address in a commit is what its author wrote there. So this finds who approves
their own work without meaning harm; a change of the forge's settings is what stops the others (docs/ci.md).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from siteward.reconcile.revisions.git import GitError, ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from siteward.declaration.declared import Declaration

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ADDRESS = re.compile(r"<([^<>\s]+)>\s*$", re.MULTILINE)
_OWN = re.compile(r"(?:\d+[+-])?(?P<login>[^@+]+)@users\.noreply\.[^@]+")
"""The address that a forge gives an account for its commits: GitHub and GitLab put the number and the login into it."""


def committers_of(folder: Path, merged: str) -> frozenset[str] | None:
    """Return the addresses, folded, of who committed to the change that was merged as a commit; `None` where that is not known.

    Of a merge these are its second parent's commits, of any other commit itself, where whoever merges may be the committer.
    """
    if not _COMMIT.fullmatch(merged):
        return None
    try:
        head = ask(folder, "cat-file", "commit", merged).partition(b"\n\n")[
            0
        ]  # a shallow copy hides the parents elsewhere
        parents = [line.split()[1].decode() for line in head.splitlines() if line.startswith(b"parent ")]
        if len(parents) == 2:
            return frozenset(_log(folder, "%ae%n%ce", f"{parents[0]}..{parents[1]}"))
        return frozenset(_log(folder, "%ae", "--no-walk", merged))
    except GitError:
        return None


def _log(folder: Path, addresses: str, *commits: str) -> Iterator[str]:
    """Yield the addresses of some commits, and those of their co-authors. Raises `GitError`."""
    form = f"--format={addresses}%n%(trailers:key=Co-authored-by,valueonly)"
    for line in ask(folder, "log", "--no-show-signature", form, *commits, "--").decode("utf-8", "replace").splitlines():
        named = _ADDRESS.search(line)
        if address := (named.group(1) if named else line).strip():
            yield address.casefold()


def handles_of(addresses: Iterable[str], declaration: Declaration, forge: str) -> frozenset[str]:
    """Return the users whose addresses these are: their e-mail, or the one that a forge gives their account."""
    known, logins = set(addresses), set[str]()
    for address in known:
        if own := _OWN.fullmatch(address):
            logins.add(own["login"])
    return frozenset(
        user.handle
        for user in declaration.users.values()
        if (user.email or "").casefold() in known
        or any(name.casefold() == forge and login.casefold() in logins for name, login in user.forge.items())
    )
