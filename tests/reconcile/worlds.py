"""Random worlds for the laws of the spine."""

from __future__ import annotations

from hypothesis import strategies as st

from reconcile.small_world import ROLES, SITES, admin, grant, world
from siteward.access.model import Access, Account, Resource

NAMES = ("ann", "bob", "cleo", "dave")


@st.composite
def worlds(draw: st.DrawFn) -> Access:
    """Draw a world: some accounts, each with some roles; the tool's own account is always an admin."""
    resources: list[Resource] = [admin("robot")]
    for name in draw(st.sets(st.sampled_from(NAMES))):
        resources.append(Account(name, draw(st.sampled_from((f"{name}@a.test", f"{name}@b.test")))))
        roles = draw(st.dictionaries(st.sampled_from(SITES), st.sampled_from(ROLES)))
        resources.extend(grant(name, site, role) for site, role in roles.items())
        if draw(st.integers(0, 4)) == 0:
            resources.append(admin(name))
    return world(*resources)
