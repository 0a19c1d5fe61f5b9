"""Access by subject and scope: what it shares with another access is not changed, and its order stays."""

from __future__ import annotations

from siteward.access.change import Change, diff, patch
from siteward.access.model import EVERYWHERE, Access, Account, Grant, Resource, Scope, Subject

SHOP, BLOG = Scope("site", "shop.example.org"), Scope("site", "blog.example.org")
ANNA, BEN, CEM = (Subject("account", name) for name in ("anna", "ben", "cem"))
HELD = (Grant(BEN, SHOP, "view"), Grant(ANNA, SHOP, "edit"), Grant(BEN, BLOG, "view"), Account("anna"))


def test_an_access_is_a_mapping_of_its_resources_by_key() -> None:
    """Keys, values, items and length agree, whichever way they are asked for."""
    access = Access(HELD)
    assert dict(access) == {resource.key: resource for resource in HELD}
    assert list(access.items()) == [(key, access[key]) for key in access]
    assert list(access.values()) == list(access.to_dict().values())
    assert len(access) == len(HELD)
    assert [access.get(key) for key in (HELD[0].key, ("account", "ben"), Grant(CEM, SHOP, "view").key)] == [
        HELD[0],
        None,
        None,
    ]


def test_a_patch_keeps_the_order_and_leaves_the_former_access_as_it_was() -> None:
    """What stays keeps its place, what is new comes last, and who has nothing left is no subject any more."""
    live, raised = Access(HELD), Grant(ANNA, SHOP, "manage")
    now = patch(live, [Change(HELD[1], raised), Change(HELD[0], None), Change(None, Grant(CEM, EVERYWHERE, "admin"))])
    assert now.grants() == (raised, HELD[2], Grant(CEM, EVERYWHERE, "admin"))
    assert live.grants() == HELD[:3]
    without_ben = patch(now, [Change(HELD[2], None)])
    assert dict(without_ben.by_subject()).keys() == {ANNA, CEM}
    wanted: list[Resource] = [raised, Grant(CEM, EVERYWHERE, "admin"), Account("anna")]
    assert without_ben == Access(wanted)
    assert not diff(without_ben, Access(wanted))
