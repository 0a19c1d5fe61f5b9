"""What is live and undeclared is declared as it is, proven against the same reading; the next plan leaves it alone."""

from __future__ import annotations

from difflib import ndiff
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import ADMINS, BLOG, LAB, SHOP, Somebody, edit, rig, view
from reconcile.asked import Asked, in_blocks, looked_at, reopened
from rig import NOW
from siteward.access.certification import Horizon, review
from siteward.access.model import Access, Account, Grant, Scope, Subject
from siteward.reconcile import adopt as adopting
from siteward.reconcile.adopt import adopt, choose
from siteward.reconcile.amend import Amendment, CannotAmendError
from siteward.reconcile.certify import ledgers

if TYPE_CHECKING:
    from pathlib import Path

WHY = {"reason": "was live"}


def there(folder: Path, *teams: str, **changed: Any) -> Asked:
    """Return the small Umami, where petra holds something that nobody declared."""
    small = in_blocks(rig(folder, **changed))
    for role in teams or ("team-member",):
        Somebody(small.fake).adds("petra", role)
    return looked_at(small)


def adopted(found: Asked, *words: str) -> Amendment:
    """Return the edit for some words."""
    books = ledgers(found.declaration, [found.survey])
    chosen = choose(review(books, Horizon(as_of=NOW)).items, books, words, found.declaration)
    return adopt(found.rig.project, [found.survey], chosen, WHY, NOW)


def after(found: Asked, made: Amendment) -> Asked:
    """Write the edit and look again."""
    path = found.rig.project.path
    path.write_text(made.edit.texts[str(path)], encoding="utf-8")
    return looked_at(reopened(found.rig))


def lines(found: Asked, made: Amendment) -> list[str]:
    """Return the lines that an adoption adds; it takes none."""
    before = found.rig.project.path.read_text().splitlines()
    told = [line for line in ndiff(before, next(iter(made.edit.texts.values())).splitlines()) if line[0] in "+-"]
    assert [line for line in told if line.startswith("-")] == []
    return [line[2:] for line in told]


def steps(found: Asked) -> set[tuple[str, ...]]:
    return {(step.change.action, *step.change.key[1:]) for step in found.plan.steps}


@pytest.mark.parametrize("word", ["user:petra", "user:PETRA", "all", f"site:{SHOP}"])
def test_an_account_becomes_a_user_with_what_it_holds(tmp_path: Path, word: str) -> None:
    """The next plan has nothing to do, and what gains power is said."""
    found = there(tmp_path)
    made = adopted(found, word)
    assert "  petra: {}" in lines(found, made)
    assert {"- to: petra", "  role: edit", f"  sites: {SHOP}", "  reason: was live"} <= set(
        next(iter(made.edit.texts.values())).splitlines()
    )
    assert made.said[0] == f"edit: petra is given team-member on {SHOP} of it by the file now"
    now = after(found, made)
    assert steps(now) == set()
    assert "petra" in now.survey.desired.declared_users


def test_who_owns_a_site_is_named_as_its_owner(tmp_path: Path) -> None:
    """With what that gives them; who has nothing else is wanted as an account, and the next adoption has nothing to do."""
    alone = looked_at(in_blocks(rig(tmp_path)))
    made = adopted(alone, "all")
    site = next(site for scope, site in alone.survey.live.sites.items() if scope.name.startswith(LAB))
    assert sorted(lines(alone, made)) == [
        f"  lab: {{domain: {LAB}, on: {{it: {site.id}}}, owner: petra}}", "  petra: {accounts: [it]}", "sites:",
    ]  # fmt: skip
    assert any("petra is named as `owner` of" in line and "asked for approvals" in line for line in made.said)
    now = after(alone, made)
    assert steps(now) == set()
    assert now.declaration.sites["lab"].owner == ("petra",)
    again = adopted(now, "user:petra")
    assert (dict(again.edit.texts), again.undone) == ({}, ())
    assert "the file names petra as `owner` already" in again.said[0]


def test_an_owner_stands_in_the_row_that_is_there(tmp_path: Path) -> None:
    """And nobody is put beside those whom the file names."""
    first = looked_at(in_blocks(rig(tmp_path / "first")))
    site = next(site for scope, site in first.survey.live.sites.items() if scope.name.startswith(LAB))
    row: dict[str, Any] = {"domain": LAB, "on": {"it": site.id}}
    made = adopted(there(tmp_path / "row", sites={"research": row}), "all")
    assert "owner: petra" in next(iter(made.edit.texts.values()))
    made = adopted(there(tmp_path / "named", sites={"research": {**row, "owner": "anna"}}), "all")
    assert any("the file names anna as `owner` already" in line for line in made.said)
    assert "owner: petra" not in next(iter(made.edit.texts.values()))


def test_no_row_for_an_owner_opens_a_site(tmp_path: Path) -> None:
    """A grant on a word that means nothing would mean the site then: that is left to people, the rest is done."""
    found = there(tmp_path, grants=[ADMINS, edit("dora"), {"to": "carla", "role": "view", "sites": "lab"}])
    made = adopted(found, "user:petra")
    assert [line for line in made.undone if "a grant would reach it" in line]
    assert "owner" not in next(iter(made.edit.texts.values()))
    assert "petra" in after(found, made).survey.desired.declared_users


def test_a_right_of_somebody_declared_gets_a_row(tmp_path: Path) -> None:
    """No user is added."""
    found = there(tmp_path, grants=[ADMINS, view("carla")])
    assert ("delete", "account", "dora", "site", SHOP) in steps(found)
    made = adopted(found, "user:dora")
    assert not [line for line in lines(found, made) if "dora" in line and "to:" not in line]
    assert ("delete", "account", "dora", "site", SHOP) not in steps(after(found, made))


def test_what_is_not_chosen_of_an_account_is_told(tmp_path: Path) -> None:
    """Declared, the account is ours: the next plan takes what the file does not say."""
    found = there(tmp_path)
    live = found.survey.live
    held = Grant(Subject("account", "petra"), Scope("site", BLOG), "team-member")
    more = replace(found.survey, live=replace(live, access=Access([*live.access.values(), held])))
    seen = Asked(found.rig, more, found.plan)
    told = f"not adopted, so the next plan changes it: delete {BLOG} of petra on it"
    assert told in adopted(seen, f"site:{SHOP}").said
    assert told not in adopted(seen, "user:petra").said


def test_a_login_of_somebody_else_is_not_claimed(tmp_path: Path) -> None:
    """An equal login on another instance is no proof: the handle is another one."""
    found = there(tmp_path)
    other = replace(found.survey, name="other", live=replace(found.survey.live, access=Access([Account("petra")])))
    work = adopting._Adoption(found.rig.project, {"it": found.survey, "other": other}, adopting.Chosen(items=()))
    users: dict[str, dict[str, object]] = {}
    work._add_user(users, "it", "petra")
    assert users == {"petra-2": {"logins": {"it": "petra"}}}


@pytest.mark.parametrize("there_already", [True, False])
def test_an_address_is_proof_of_who_it_is(tmp_path: Path, *, there_already: bool) -> None:
    """The account becomes a login of the user who has the address, unless that one has an account here already: no two have it."""
    found = there(tmp_path)
    accounts = [Account("petra", "Ana@example.org"), *([Account("anna")] if there_already else [])]
    traits = replace(found.survey.traits, keeps_email=True)
    seen = replace(found.survey, traits=traits, live=replace(found.survey.live, access=Access(accounts)))
    work = adopting._Adoption(found.rig.project, {"it": seen}, adopting.Chosen(items=()))
    users: dict[str, dict[str, object]] = {"anna": {"email": "ana@example.org"}}
    work._add_user(users, "it", "petra")
    if there_already:
        assert users["petra"] == {}
    else:
        assert users == {"anna": {"email": "ana@example.org", "logins": {"it": "petra"}}}


def test_words_that_name_nothing_are_told_with_what_was_meant(tmp_path: Path) -> None:
    """All at once; a declared person without anything undeclared is none."""
    found = there(tmp_path)
    with pytest.raises(CannotAmendError) as refused:
        adopted(found, "user:petr", "site:shopp.example.org", "user:carla")
    assert [(said.code, said.suggestion) for said in refused.value.diagnostics][:2] == [
        ("no-answer", "user:petra"), ("no-answer", f"site:{SHOP}"),
    ]  # fmt: skip
    assert len(refused.value.diagnostics) == 3


def test_an_adoption_that_would_change_anything_else_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made the rows."""
    found = there(tmp_path)
    row = {"to": "petra", "role": "manage", "sites": SHOP}
    for rows in ([row], [], [{**row, "role": "edit"}, {**row, "role": "edit", "to": "carla", "sites": BLOG}]):
        monkeypatch.setattr(adopting._Adoption, "_rows", lambda *_, rows=rows: rows)
        with pytest.raises(CannotAmendError, match="cannot be adopted surely"):
            adopted(found, "user:petra")


def test_an_account_without_any_right_is_wanted_as_such(tmp_path: Path) -> None:
    """Declared, with `accounts`, so that it stays."""
    found = there(tmp_path, grants=[ADMINS, view("carla"), edit("dora")])
    live = found.survey.live
    more = replace(live, access=Access([*live.access.values(), Account("zoe")]))
    bare = Asked(found.rig, replace(found.survey, live=more), found.plan)
    made = adopted(bare, "user:zoe")
    assert [line for line in lines(bare, made) if "zoe" in line] == ["  zoe: {accounts: [it]}"]


def test_groups_and_modules_are_told_once_each(tmp_path: Path) -> None:
    """Not for every right by them; modules that the file does not speak of are no difference, and no work for people."""
    found = there(tmp_path)
    live = Grant(Subject("account", "dora"), Scope("site", SHOP), "team-member")
    shared = replace(live, subject=Subject("group", "team"))
    books = ledgers(found.declaration, [found.survey])
    item = review(books, Horizon(as_of=NOW)).items[0]
    through = [
        replace(item, account=name, scope=Scope("site", site), live=shared, declared=None)
        for name in ("bi", "dora")
        for site in (SHOP, BLOG)
    ]
    module = replace(item, account="dora", live=live, declared=None)
    modules = [
        replace(module, scope=Scope("module", "a"), agreement="same"),
        replace(module, scope=Scope("module", "b"), agreement="same"),
        replace(module, scope=Scope("module", "c"), agreement="extra"),
    ]
    work = adopting._Adoption(found.rig.project, {"it": found.survey}, adopting.Chosen(items=(*through, *modules)))
    items, undone = work.sort()
    assert items == ()
    assert undone == (
        "bi, dora on it: by the platform's group team; declare the group",
        "dora on it, modules c: add them to `modules` of the user",
    )
    assert work.facts == ["dora on it, modules a, b: nothing takes them while the file has no `modules` of theirs"]
