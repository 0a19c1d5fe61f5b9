"""Two revisions of the files by what they mean, without a server: who gains and loses what, and on which day."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from declaration.tables import declared
from siteward.access.model import Access, Scope
from siteward.access.state import Live, Site
from siteward.reconcile.revisions.base_policy import BasePolicy
from siteward.reconcile.revisions.diff import MOST_MOMENTS, Question, compared
from siteward.reconcile.revisions.policy_changes import changed_rules
from siteward.render import Options
from siteward.render.diff import render

if TYPE_CHECKING:
    from siteward.access.diff import Comparison
    from siteward.declaration.load import Declaration

AS_OF = datetime(2026, 11, 22, 9, tzinfo=UTC)
HEAD = """\
version: 1
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}
  eu: {platform: matomo, url: "https://matomo.example.org", self: root}
"""
USERS = """\
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
"""
VIEW = "  - {to: anna, role: view, sites: shop.example.org, on: stats}\n"


def text(*lines: str, users: str = USERS, head: str = HEAD) -> str:
    """Return a file with these grants."""
    return f"{head}{users}grants:\n{''.join(lines)}" if lines else f"{head}{users}grants: []\n"


def read(folder: Path, name: str, content: str) -> Declaration:
    """Read a file in a folder of its own."""
    (folder / name).mkdir(exist_ok=True)
    return declared(folder / name, content)


def between(folder: Path, before: str | None, after: str, sites: dict[str, Live] | None = None) -> Comparison:
    """Return what the second file gives and takes against the first."""
    base = None if before is None else read(folder, "before", before)
    question = Question(base="main", head="here", as_of=AS_OF, sites=sites or {})
    return compared(base, read(folder, "after", after), question)


def told(found: Comparison) -> list[tuple[str, str, str, str]]:
    """Return each movement as its kind, instance, person and site."""
    return [(found.kind, found.instance, found.person, found.scope.name) for found in found.movements]


def codes(found: Comparison) -> list[str]:
    return [notice.code for notice in found.notices]


def test_the_same_file_twice_differs_in_nothing(tmp_path: Path) -> None:
    """Exit 0 is the promise that nobody gains or loses anything."""
    found = between(tmp_path, text(VIEW), text(VIEW))
    assert (found.movements, found.notices, found.exit_code) == ((), (), 0)
    assert (found.base, found.head, found.as_of) == ("main", "here", AS_OF)
    assert found.instances == ("stats", "eu")


def test_without_a_base_everything_is_given(tmp_path: Path) -> None:
    """The first file gives all it grants, and there is no setting that it could have changed."""
    found = between(tmp_path, None, text(VIEW, VIEW.replace("on: stats", "on: eu")))
    assert told(found) == [
        ("gained", "eu", "anna", "shop.example.org"),
        ("gained", "stats", "anna", "shop.example.org"),
    ]
    assert (found.notices, found.exit_code) == ((), 2)
    assert found.instances == ("stats", "eu")


def test_without_a_base_nobody_is_renamed(tmp_path: Path) -> None:
    """A former handle that no revision has says nothing."""
    found = between(tmp_path, None, text(VIEW.replace("to: anna", "to: anna-b"), users=RENAMED))
    assert told(found) == [("gained", "stats", "anna-b", "shop.example.org")]
    assert codes(found) == []


def test_a_grant_is_told_on_the_instance_it_is_on(tmp_path: Path) -> None:
    """What one instance gives and another takes are two movements, the loss first."""
    found = between(tmp_path, text(VIEW), text(VIEW.replace("on: stats", "on: eu")))
    assert told(found) == [
        ("lost", "stats", "anna", "shop.example.org"),
        ("gained", "eu", "anna", "shop.example.org"),
    ]


def test_an_instance_that_only_one_side_has_is_named(tmp_path: Path) -> None:
    """A new instance gives what is granted there; one that is gone takes nothing and is told in a notice."""
    single = "\n".join(HEAD.splitlines()[:3]) + "\n"
    new = between(tmp_path, text(VIEW, head=single), text(VIEW, VIEW.replace("on: stats", "on: eu")))
    assert told(new) == [("gained", "eu", "anna", "shop.example.org")]
    assert codes(new) == ["instance-changed"]
    gone = between(tmp_path, text(VIEW, VIEW.replace("on: stats", "on: eu")), text(VIEW, head=single))
    assert (told(gone), codes(gone)) == ([], ["instance-changed"])
    assert gone.instances == ("stats", "eu")


def test_selectors_mean_the_known_sites_of_their_instance(tmp_path: Path) -> None:
    """With a snapshot a pattern is told as its sites; an instance without one is named as unresolved."""
    sites = {
        Scope("site", name): Site(id=name, label=name, domains=(name,)) for name in ("a.example.org", "b.example.org")
    }
    wide = '  - {to: anna, role: view, sites: "*.example.org"}\n'
    found = between(tmp_path, text(VIEW), text(VIEW, wide), {"stats": Live(access=Access(), sites=sites)})
    assert told(found) == [
        ("gained", "eu", "anna", "*.example.org"),
        ("gained", "stats", "anna", "a.example.org"),
        ("gained", "stats", "anna", "b.example.org"),
    ]
    assert found.unresolved == ("eu",)
    assert between(tmp_path, text(VIEW), text(VIEW)).unresolved == ("stats", "eu")


def test_what_begins_later_is_told_with_the_moment(tmp_path: Path) -> None:
    """A grant, a membership and a user who begin later are each looked at on their first day."""
    grant = VIEW.replace("on: stats", "on: stats, from: 2027-02-01")
    found = between(tmp_path, text(), text(grant))
    assert [(told.kind, told.begins) for told in found.movements] == [("gained", datetime(2027, 2, 1, tzinfo=UTC))]
    users = f"{USERS}groups:\n  team: [{{user: anna, from: 2027-03-01}}]\n"
    team = VIEW.replace("to: anna", "to: team")
    found = between(tmp_path, text(users=users), text(team, users=users))
    assert [(told.kind, told.begins) for told in found.movements] == [("gained", datetime(2027, 3, 1, tzinfo=UTC))]
    late = USERS.replace("anna@example.org}", "anna@example.org, from: 2027-04-01}")
    found = between(tmp_path, text(users=late), text(VIEW, users=late))
    assert [(told.kind, told.begins) for told in found.movements] == [("gained", datetime(2027, 4, 1, tzinfo=UTC))]


def test_what_only_the_base_began_later_is_a_loss_on_that_day(tmp_path: Path) -> None:
    """Taking away what has not begun yet is told too, with the day on which it would have begun."""
    found = between(tmp_path, text(VIEW.replace("on: stats", "on: stats, from: 2027-02-01")), text())
    assert [(told.kind, told.begins) for told in found.movements] == [("lost", datetime(2027, 2, 1, tzinfo=UTC))]


def test_what_began_already_is_told_without_a_moment(tmp_path: Path) -> None:
    """A first day in the past, and today's, is no day to wait for."""
    for start in ("2026-01-01", "2026-11-22"):
        found = between(tmp_path, text(), text(VIEW.replace("on: stats", f"on: stats, from: {start}")))
        assert [(told.kind, told.begins) for told in found.movements] == [("gained", None)]
        assert codes(found) == []


def dated(count: int) -> str:
    """Return a file whose grants begin on so many different days."""
    days = (datetime.fromtimestamp(1_798_761_600 + 86_400 * day, UTC).date() for day in range(count))
    return text(*(f"  - {{to: anna, role: view, sites: s{day}.example.org, from: {day}, on: stats}}\n" for day in days))


def test_the_nearest_days_are_looked_at_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Now and the nearest days are compared; that more days follow is said with their number."""
    within = between(tmp_path, text(), dated(MOST_MOMENTS - 1))
    assert len(within.movements) == MOST_MOMENTS - 1
    assert codes(within) == []
    one = between(tmp_path, text(), dated(MOST_MOMENTS))
    assert [notice.message for notice in one.notices] == ["what begins on 1 further days is out of scope"]
    beyond = between(tmp_path, text(), dated(MOST_MOMENTS + 1))
    assert len(beyond.movements) == MOST_MOMENTS - 1
    assert beyond.movements[0].scope.name == "s2027-01-01.example.org"
    assert "s2027-02-18.example.org" in {told.scope.name for told in beyond.movements}
    (notice,) = beyond.notices
    assert (notice.code, notice.message) == ("later-not-told", "what begins on 2 further days is out of scope")


RENAMED = "users:\n  anna-b: {email: anna@example.org, previously: [anna]}\n  ben: {email: ben@example.org}\n"


def test_a_new_handle_moves_no_access(tmp_path: Path) -> None:
    """`previously` makes both handles one person: told is the new name, at its line, and no loss or gain."""
    found = between(tmp_path, text(VIEW), text(VIEW.replace("to: anna", "to: anna-b"), users=RENAMED))
    assert told(found) == []
    (notice,) = found.notices
    assert (notice.code, notice.message) == ("renamed", "anna is called anna-b now")
    assert notice.at is not None
    assert notice.at.line == 6


NATIVE = """\
version: 1
instances:
  pp: {platform: piwik-pro, url: "https://acme.piwik.pro", self: robot@example.org, native: true}
"""


@pytest.mark.parametrize("head", [HEAD, NATIVE])
@pytest.mark.parametrize("members", ["[anna]", "external"])
def test_a_renamed_group_moves_no_access(tmp_path: Path, head: str, members: str) -> None:
    """`previously` of a group: it is the same one, also where it is one of the platform's own whose members nobody knows."""
    if head is HEAD and members == "external":
        pytest.skip("a group of an identity provider is one of the platform's own")
    grant, group = (
        "  - {to: readers, role: view, sites: shop.example.org}\n",
        f"groups: {{readers: {{members: {members}}}}}\n",
    )
    before = text(grant, users=USERS + group, head=head)
    after = before.replace("readers: {", "analysts: {previously: readers, ").replace("to: readers", "to: analysts")
    found = between(tmp_path, before, after)
    assert told(found) == []
    assert [(notice.code, notice.message) for notice in found.notices] == [
        ("renamed", "the group readers is called analysts now")
    ]
    assert told(between(tmp_path, before, after.replace("view", "edit")))[0][0] == "raised"
    assert codes(between(tmp_path, before, after.replace("previously: readers, ", ""))) == []


def test_a_new_handle_that_gains_is_told_as_a_raise(tmp_path: Path) -> None:
    """Whoever has another handle and more power has more, not everything."""
    after = text(VIEW.replace("to: anna, role: view", "to: anna-b, role: edit"), users=RENAMED)
    found = between(tmp_path, text(VIEW), after)
    assert told(found) == [("raised", "stats", "anna-b", "shop.example.org")]


def test_where_accounts_cannot_be_renamed_the_access_moves_to_another_account(tmp_path: Path) -> None:
    """A platform that does not rename in place makes a new account of it, which has to be seen."""
    on_eu = VIEW.replace("on: stats", "on: eu")
    found = between(tmp_path, text(on_eu), text(on_eu.replace("to: anna", "to: anna-b"), users=RENAMED))
    assert told(found) == [("moved", "eu", "anna-b", "shop.example.org")]
    (moved,) = found.movements
    assert moved.before is not None
    assert moved.after is not None
    assert (moved.before.account, moved.after.account) == ("anna", "anna-b")


def test_another_login_of_the_same_handle_is_a_move(tmp_path: Path) -> None:
    """Only who was renamed keeps the account: a new login of somebody else is told, beside a renaming too."""
    with_login = RENAMED.replace("ben@example.org}", "ben@example.org, logins: {stats: benny}}")
    ben = VIEW.replace("to: anna", "to: ben")
    found = between(tmp_path, text(VIEW, ben), text(VIEW.replace("to: anna", "to: anna-b"), ben, users=with_login))
    assert told(found) == [("moved", "stats", "ben", "shop.example.org")]


def test_a_former_handle_that_is_somebody_else_is_no_renaming(tmp_path: Path) -> None:
    """Where the base had both handles, or knew neither, one loses and the other gains."""
    both = f"{USERS}  anna-b: {{email: b@example.org}}\n"
    found = between(tmp_path, text(VIEW, users=both), text(VIEW.replace("to: anna", "to: anna-b"), users=RENAMED))
    assert {movement[0] for movement in told(found)} == {"lost", "gained"}
    assert "renamed" not in codes(found)
    nobody = "users:\n  ben: {email: ben@example.org}\n"
    found = between(tmp_path, text(users=nobody), text(VIEW.replace("to: anna", "to: anna-b"), users=RENAMED))
    assert [movement[0] for movement in told(found)] == ["gained"]
    assert "renamed" not in codes(found)


def test_the_names_of_accounts_on_both_sides_are_known(tmp_path: Path) -> None:
    """Privacy hides the logins of people who are at either revision."""
    old = USERS.replace("anna@example.org}", "anna@example.org, logins: {stats: secret-one}}")
    new = USERS.replace("anna@example.org}", "anna@example.org, logins: {eu: secret-two}}")
    found = between(tmp_path, text(users=old), text(users=new))
    assert found.accounts["stats"]["secret-one"] == "anna"
    assert found.accounts["eu"]["secret-two"] == "anna"
    assert between(tmp_path, None, text(users=new)).accounts["eu"]["secret-two"] == "anna"


def test_settings_that_differ_stand_before_renamings_and_days(tmp_path: Path) -> None:
    """What judges access is told first among the notices."""
    strict = text(VIEW.replace("to: anna", "to: anna-b"), users=f"{RENAMED}policy: {{admins: {{min: 3}}}}\n")
    assert codes(between(tmp_path, text(VIEW), strict)) == ["policy-changed", "renamed"]


def test_what_judges_all_instances_is_told_at_the_root(tmp_path: Path) -> None:
    """The time zone, with the place; an instance that is new or gone says which."""
    found = between(tmp_path, text(VIEW), text(VIEW, users=f"{USERS}policy: {{timezone: Europe/Berlin}}\n"))
    (notice,) = found.notices
    assert (notice.code, notice.message) == ("policy-changed", "policy.timezone was UTC and becomes Europe/Berlin")
    assert notice.at is not None
    single = "\n".join(HEAD.splitlines()[:3]) + "\n"
    (new,) = between(tmp_path, text(VIEW, head=single), text(VIEW)).notices
    assert new.message == "eu: the instance is new (matomo, https://matomo.example.org)"
    (gone,) = between(tmp_path, text(VIEW), text(VIEW, head=single)).notices
    assert gone.message == (
        "eu: the instance is gone: nothing there is in scope any more (matomo, https://matomo.example.org)"
    )


def test_both_sides_of_a_limit_are_told(tmp_path: Path) -> None:
    """The percentage as well as the number."""
    limits = "policy: {{limits: {{removals: {{count: 5, percent: {}}}}}}}\n"
    before, after = (text(VIEW, users=f"{USERS}{limits.format(percent)}") for percent in (20, 30))
    found = between(tmp_path, before, after)
    assert [notice.message for notice in found.notices] == ["policy.limits.removals.percent was 20 and becomes 30"]


def test_a_handle_in_another_letter_case_is_the_same_person(tmp_path: Path) -> None:
    """References find it in either, so that nothing is lost and gained."""
    users = USERS.replace("  anna:", "  Anna:")
    found = between(tmp_path, text(VIEW), text(VIEW, users=users))
    assert told(found) == []
    assert codes(found) == ["renamed"]


def test_another_letter_case_is_no_way_out_of_what_the_base_says_of_a_person(tmp_path: Path) -> None:
    """The kind at the base still counts, and the change of kind is told."""
    base = read(tmp_path, "before", text(VIEW, users=USERS.replace("anna: {", "anna: {kind: contractor, ")))
    head = read(tmp_path, "after", text(VIEW, users=USERS.replace("anna:", "ANNA:")))
    assert BasePolicy(head=head, ref="main", base=base).kinds == {"ANNA": "contractor"}
    assert [found.code for found in changed_rules(base, head)] == ["kind-changed"]


def test_an_account_that_is_to_be_deleted_is_told_wherever_one_may_be(tmp_path: Path) -> None:
    """Also of somebody who had nothing; not where the platform keeps accounts, nor twice, nor of who was renamed."""
    here = "\ninstances:\n"
    web = f"{here}  web: {{platform: plausible, url: https://plausible.io, self: robot@example.org}}\n"
    gone = USERS.replace("  ben: {email", "  ben: {state: absent, ticket: HR-7, email")
    found = between(tmp_path, text(), text(users=gone, head=HEAD.replace(here, web)))
    assert told(found) == [("deleted", "eu", "ben", ""), ("deleted", "stats", "ben", "")]
    assert {(told.ending, told.origin.ticket if told.origin else None) for told in found.movements} == {
        ("absent", "HR-7")
    }
    assert (found.exit_code, found.counts()["deleted"]) == (2, 2)
    for form in ("text", "markdown", "json"):
        assert "deleted" in render(found, form, Options(privacy="handles"))
    again = gone.replace("  ben: {", "  benno: {previously: [ben], ")
    assert told(between(tmp_path, text(users=gone), text(users=again))) == []
    assert told(between(tmp_path, text(users=gone), text())) == []
    managed = gone.replace("state: absent", "managed_by: sso, state: absent")
    assert told(between(tmp_path, text(), text(users=managed))) == []
