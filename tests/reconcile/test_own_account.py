"""Whose credentials these are: by the file, beside the credentials, and by the platform, and what a snapshot holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from promises.small import SHOP, rig
from reconcile.asked import asked
from rig import admin
from siteward.access.diagnostic import Span
from siteward.access.model import Access, Account, Scope
from siteward.access.state import Live, Site
from siteward.reconcile.own_account import Claim, claim_of, own_account, told_otherwise
from siteward.reconcile.snapshot import BadSnapshotError, read, save
from strategies import MATOMO

AT = Span("access.yaml", 3, 5)
LIVE = Live(access=Access((Account("Root"), admin("Root", "superuser"), Account("ann"))))


def test_the_file_names_the_account_before_the_environment(tmp_path: Path) -> None:
    """With its place; what stands beside the credentials counts where the file says nothing, under its variable."""
    instance = rig(tmp_path).instance
    beside = replace(instance, env={"SITEWARD_IT_SELF": "robot"})
    assert claim_of(beside, "root", AT) == Claim(account="root", where="`self`", at=AT)
    assert claim_of(beside, None, AT) == Claim(account="robot", where="SITEWARD_IT_SELF", at=AT)
    assert claim_of(replace(instance, env={}), None, AT) == Claim(account=None, where="`self`", at=AT)


def test_another_account_than_is_said_is_refused() -> None:
    """In the words of what says so, with the way out; case is no difference."""
    for told, named in ((None, "root"), ("root", None), ("ROOT", "root")):
        assert told_otherwise(told, Claim(account=named)) is None
    found = told_otherwise("robot", Claim(account="root", at=AT))
    assert found is not None
    assert (found.code, found.blocks, found.at) == ("self-mismatch", True, AT)
    assert found.message == "the credentials are those of robot, but `self` names root"
    assert found.hint == "write `self: robot`, or use the other account"
    found = told_otherwise("robot", Claim(account="root", where="SITEWARD_IT_SELF"))
    assert found is not None
    assert found.message == "the credentials are those of robot, but SITEWARD_IT_SELF names root"
    assert found.hint == "correct SITEWARD_IT_SELF, or use the other account"


def test_the_platform_s_word_stands_where_it_gives_one() -> None:
    """And is an objection where it is another one."""
    told = replace(LIVE, me="Root")
    assert own_account(told, MATOMO, Claim(account="root")) == (told, ())
    assert own_account(told, MATOMO, Claim()) == (told, ())
    live, objections = own_account(told, MATOMO, Claim(account="ann"))
    assert live == told
    assert [found.code for found in objections] == ["self-mismatch"]


def test_the_account_is_taken_from_the_file_where_the_platform_does_not_tell() -> None:
    """In the spelling of the instance, where case is none; nobody says it, nobody is it."""
    folding = replace(MATOMO, folds_case=True)
    assert own_account(LIVE, folding, Claim(account="rOOT"))[0].me == "Root"
    exact = replace(MATOMO, folds_case=False)
    assert own_account(LIVE, exact, Claim(account="Root"))[0].me == "Root"
    assert own_account(LIVE, folding, Claim()) == (LIVE, ())


def test_an_account_without_the_top_role_cannot_be_the_one_in_use() -> None:
    """Where accounts are listed and there is such a role."""
    live, (found,) = own_account(LIVE, MATOMO, Claim(account="ann", at=AT))
    assert live.me == "ann"
    assert (found.code, found.at) == ("self-mismatch", AT)
    assert found.message == "`self` names ann, who is no superuser on this instance"
    assert found.hint == "name the account that the credentials belong to"
    assert own_account(LIVE, MATOMO, Claim(account="Root"))[1] == ()
    assert own_account(LIVE, replace(MATOMO, accounts_listed=False), Claim(account="ann"))[1] == ()
    assert own_account(LIVE, replace(MATOMO, top=None), Claim(account="ann"))[1] == ()


# -- sites in a file


def test_a_snapshot_holds_sites_and_nobody(tmp_path: Path) -> None:
    """What selectors need comes back; who owns a site and who has access is left out."""
    found = asked(tmp_path).survey
    folder = tmp_path / "a" / "b"
    (path,) = save(folder, [found])
    assert path == folder / "it.json"
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert json.loads(text)["format"] == "siteward.sites/1"
    for name in ("petra", "carla", "anna"):
        assert f'"{name}"' not in text
    instance, live = read(path)
    assert instance == "it"
    assert live.sites == {scope: replace(site, owner=None) for scope, site in found.live.sites.items()}
    assert len(live.sites) == 3
    assert not live.access
    save(folder, [found])


def test_letters_of_all_languages_are_read_back(tmp_path: Path) -> None:
    """A site may be called anything."""
    found = asked(tmp_path).survey
    scope = Scope("site", SHOP)
    named = replace(found, live=Live(access=Access(), sites={scope: Site(id="1", label=SHOP, name="Bücher 書")}))
    (path,) = save(tmp_path, [named])
    assert read(path)[1].sites[scope].name == "Bücher 書"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", " is not valid JSON"),
        ("[]", " is no siteward.sites/1; make one with `siteward plan --save-snapshot DIR`"),
        ('{"format": "other", "instance": "it"}', " is no siteward.sites/1; make one with `siteward plan --save-snapshot DIR`"),
        ('{"format": "siteward.sites/1"}', " is no siteward.sites/1; make one with `siteward plan --save-snapshot DIR`"),
        ('{"format": "siteward.sites/1", "instance": 7}', " is no siteward.sites/1; make one with `siteward plan --save-snapshot DIR`"),
    ],
)  # fmt: skip
def test_what_is_no_snapshot_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With what makes one."""
    path = tmp_path / "it.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadSnapshotError) as refused:
        read(path)
    assert str(refused.value) == f"{path}{said}"


def test_a_snapshot_of_something_else_is_refused_with_the_place_in_it(tmp_path: Path) -> None:
    """The format is right and the rest is not."""
    path = tmp_path / "it.json"
    path.write_text('{"format": "siteward.sites/1", "instance": "it", "live": []}', encoding="utf-8")
    with pytest.raises(BadSnapshotError, match=r"it\.json: /format: this reads siteward.live/1"):
        read(path)
