"""Decisions carried out in the text of the files: exactly these lines change, and the rest stays as people wrote it."""

from __future__ import annotations

from collections import defaultdict
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from declaration.tables import HEAD, TRAITS, declared
from siteward.access.model import EVERYWHERE, Access, Scope, Subject, grant_key
from siteward.access.state import Live, Site
from siteward.declaration.edited import Edit
from siteward.declaration.resolve import resolve
from siteward.declaration.rewrite import Decision, Word, decide, str_of
from siteward.declaration.splice import CannotEditError
from strategies import NOW

if TYPE_CHECKING:
    from siteward.access.diagnostic import Span
    from siteward.declaration.load import Declaration

EU = '  eu: {platform: matomo, url: "https://matomo.example.org", self: root}\n'
USERS = "users:\n  anna: {email: anna@example.org}\n  ben: {email: ben@example.org}\n  cem: {email: cem@example.org}\n"
SHOP, BLOG = Scope("site", "shop.example.org"), Scope("site", "blog.example.org")
LIVE = Live(
    access=Access(),
    sites={scope: Site(id=scope.name[:4], label=scope.name, domains=(scope.name,)) for scope in (SHOP, BLOG)},
    me="siteward",
)


def decision(
    found: Declaration, handle: str, word: Word, scope: Scope = SHOP, instance: str = "stats", **more: Any
) -> Decision:
    """Return a decision on what a declared user has on a scope of an instance, with the line behind it."""
    desired = resolve(found, instance, TRAITS[found.instances[instance].platform], LIVE, as_of=NOW)
    account = next(account for account, user in desired.declared_users.items() if user.handle == handle)
    return Decision(
        **{
            "word": word,
            "instance": instance,
            "account": account,
            "kind": "person",
            "scope": scope,
            "selector": scope.name,
            "names": frozenset({scope.name}),
            "handle": handle,
            "origin": desired.origins.get(grant_key(Subject("account", account), scope)),
            **more,
        }
    )


def given(found: Declaration) -> dict[tuple[Span, str], frozenset[tuple[str, str]]]:
    """Return what each line gives each person on the instances, as a review of all of them tells."""
    told: dict[tuple[Span, str], set[tuple[str, str]]] = defaultdict(set)
    for name, instance in found.instances.items():
        desired = resolve(found, name, TRAITS[instance.platform], LIVE, as_of=NOW)
        for grant in desired.access.grants():
            origin, user = desired.origins[grant.key], desired.declared_users[grant.subject.name]
            for line in (origin, *origin.others):
                told[line.at, user.handle].add((name, str_of(grant.scope)))
    return {key: frozenset(scopes) for key, scopes in told.items()}


def carried_out(found: Declaration, *decisions: Decision, seen: frozenset[str] | None = None) -> Edit:
    """Return the edit of a review that saw all instances, or these."""
    return decide(
        found, decisions, given(found), "the review", seen=frozenset(found.instances) if seen is None else seen
    )


def changed(folder: Path, edit: Edit, name: str = "access.yaml") -> list[str]:
    """Return the lines that an edit takes out of a file and puts in."""
    path = folder / name
    before, after = path.read_text().splitlines(), edit.texts[str(path)].splitlines()
    told = list(unified_diff(before, after, n=0, lineterm=""))[2:]
    return [f"{line[0]} {line[1:]}" for line in told if not line.startswith("@@")]


def text(*lines: str, head: str = HEAD, more: str = "") -> str:
    """Return a file with these grants, a line each."""
    return f"{head}{USERS}{more}grants:\n{''.join(f'  - {line}{chr(10)}' for line in lines)}"


VIEW = "{to: anna, role: view, sites: shop.example.org}"
OTHER = "{to: ben, role: view, sites: blog.example.org}"


def test_a_line_that_gives_one_thing_to_one_person_goes(tmp_path: Path) -> None:
    """And only that line; the comments around it stay."""
    content = text("{to: cem, role: view, sites: blog.example.org}  # first", f"{VIEW}  # second", f"{OTHER}  # third")
    found = declared(tmp_path, content)
    edit = carried_out(found, decision(found, "anna", "revoke"))
    assert changed(tmp_path, edit) == [f"-   - {VIEW}  # second"]
    assert (edit.undone, edit.needless) == ((), ())


def test_the_last_line_leaves_an_empty_list(tmp_path: Path) -> None:
    """`grants: []` takes everything; no key at all would manage nothing."""
    found = declared(tmp_path, text(VIEW))
    edit = carried_out(found, decision(found, "anna", "revoke"))
    assert changed(tmp_path, edit) == ["- grants:", f"-   - {VIEW}", "+ grants: []"]


def test_a_person_leaves_the_names_of_a_line(tmp_path: Path) -> None:
    """Of two names one is left in its list; a single name never becomes a list."""
    found = declared(tmp_path, text("{to: [anna, ben], role: view, sites: shop.example.org}", OTHER))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        "-   - {to: [anna, ben], role: view, sites: shop.example.org}",
        "+   - {to: [ben], role: view, sites: shop.example.org}",
    ]


def test_a_person_leaves_a_line_that_names_them_in_another_case(tmp_path: Path) -> None:
    """A name is read in any letter case, so it is found in any."""
    found = declared(tmp_path, text("{to: [ANNA, ben], role: view, sites: shop.example.org}", OTHER))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke")))[1] == (
        "+   - {to: [ben], role: view, sites: shop.example.org}"
    )


def test_the_rest_of_a_line_is_kept_for_the_person_alone(tmp_path: Path) -> None:
    """After the line, with all that the line says; the order of the file is kept."""
    line = "{to: [anna, ben], role: view, sites: [shop.example.org, blog.example.org], ticket: T-1}"
    found = declared(tmp_path, text(line, OTHER))
    edit = carried_out(found, decision(found, "anna", "revoke"))
    assert changed(tmp_path, edit) == [
        f"-   - {line}",
        "+   - {to: [ben], role: view, sites: [shop.example.org, blog.example.org], ticket: T-1}",
        "+   - {to: anna, role: view, sites: [blog.example.org], ticket: T-1}",
    ]


def test_several_lines_are_edited_at_once(tmp_path: Path) -> None:
    """Each in its place, whatever is put in before it."""
    both = "{to: %s, role: view, sites: [shop.example.org, blog.example.org]}"
    found = declared(tmp_path, text(both % "anna", both % "ben", both % "cem"))
    edit = carried_out(found, *(decision(found, name, "revoke") for name in ("anna", "ben", "cem")))
    assert [line for line in changed(tmp_path, edit) if line.startswith("+ ")] == [
        f"+   - {{to: {name}, role: view, sites: [blog.example.org]}}" for name in ("anna", "ben", "cem")
    ]


def test_a_site_is_left_out_of_a_pattern(tmp_path: Path) -> None:
    """By an exclusion, for the one person."""
    line = '{to: [anna, ben], role: view, sites: "*.example.org"}'
    found = declared(tmp_path, text(line))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   - {line}",
        '+   - {to: [ben], role: view, sites: "*.example.org"}',
        """+   - {to: anna, role: view, sites: ["*.example.org", '!shop.example.org']}""",
    ]


# -- several instances


TWO = HEAD + EU


def test_what_a_line_gives_on_another_instance_stays(tmp_path: Path) -> None:
    """The person keeps the line there, named by the instance."""
    found = declared(tmp_path, text(VIEW, head=TWO))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   - {VIEW}",
        "+   - {to: anna, role: view, sites: shop.example.org, on: eu}",
    ]


def test_what_a_line_gives_on_several_others_stays_in_one_line(tmp_path: Path) -> None:
    """With all of them named."""
    third = '  us: {platform: matomo, url: "https://us.example.org", self: root}\n'
    found = declared(tmp_path, text(VIEW, head=TWO + third))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   - {VIEW}",
        "+   - {to: anna, role: view, sites: shop.example.org, on: [eu, us]}",
    ]


def test_one_site_on_one_of_several_instances(tmp_path: Path) -> None:
    """The rest there and all on the others are two lines."""
    line = "{to: anna, role: view, sites: [shop.example.org, blog.example.org]}"
    found = declared(tmp_path, text(line, head=TWO))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   - {line}",
        "+   - {to: anna, role: view, sites: [blog.example.org], on: stats}",
        "+   - {to: anna, role: view, sites: [shop.example.org, blog.example.org], on: eu}",
    ]


def test_a_line_for_one_of_several_instances_goes_whole(tmp_path: Path) -> None:
    """It gives nothing elsewhere."""
    line = "{to: anna, role: view, sites: shop.example.org, on: stats}"
    found = declared(tmp_path, text(line, OTHER, head=TWO))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [f"-   - {line}"]


def test_what_was_not_looked_at_is_not_taken(tmp_path: Path) -> None:
    """A line may give more on an instance that was not seen whole, so that the site is left out of it there."""
    found = declared(tmp_path, text('{to: anna, role: view, sites: "*.example.org"}', head=TWO))
    both = [decision(found, "anna", "revoke", scope) for scope in (SHOP, BLOG)]
    seen = changed(tmp_path, carried_out(found, *both, seen=frozenset({"stats"})))
    assert len(seen) == 2
    assert seen[1].endswith("on: eu}")
    blind = changed(tmp_path, carried_out(found, *both, seen=frozenset({"eu"})))
    assert len(blind) == 3
    assert "!shop.example.org" in blind[1]
    assert "!blog.example.org" in blind[1]
    assert blind[1].endswith("on: stats}")


# -- ends


def test_what_is_kept_ends_when_it_would_have_ended(tmp_path: Path) -> None:
    """An end that the person had by a group is written on the line of their own."""
    groups = "groups:\n  team: [{user: anna, until: 2027-01-31}, ben]\n"
    line = "{to: team, role: view, sites: [shop.example.org, blog.example.org]}"
    found = declared(tmp_path, text(line, more=groups))
    edit = carried_out(found, decision(found, "anna", "revoke"))
    assert [line.replace("'", "") for line in changed(tmp_path, edit)] == [
        "+   team-without-anna: [team, !anna]",
        f"-   - {line}",
        "+   - {to: team-without-anna, role: view, sites: [shop.example.org, blog.example.org]}",
        "+   - {to: anna, role: view, sites: [blog.example.org], until: 2027-01-31}",
    ]


@pytest.mark.parametrize(
    ("zone", "written", "told"),
    [
        ("UTC", "2027-01-31", "2027-01-31"),
        ("Europe/Berlin", "2027-01-31", "2027-01-31"),
        ("UTC", "2027-01-31T12:30:00Z", "2027-01-31T12:30:00+00:00"),
    ],
)
def test_a_changed_role_keeps_its_end(tmp_path: Path, zone: str, written: str, told: str) -> None:
    """A day is written as the last day, in the time zone of the file, and an instant as one."""
    line = f"{{to: anna, role: view, sites: shop.example.org, until: {written}}}"
    found = declared(tmp_path, text(line, more=f"policy: {{timezone: {zone}}}\n"))
    edit = carried_out(found, decision(found, "anna", "change", role="edit"))
    (new,) = [line for line in changed(tmp_path, edit) if line.startswith("+ ")]
    assert new.replace("'", "") == f"+   - {{to: anna, role: edit, sites: shop.example.org, until: {told}}}"


def test_a_change_names_role_end_instance_and_reasons(tmp_path: Path) -> None:
    """What is not changed is taken from the line: role, extras, ticket, reason."""
    line = "{to: anna, role: view, extras: [tagmanager_write, tagmanager_publish], sites: shop.example.org, on: eu, ticket: T-1, reason: reads}"
    found = declared(tmp_path, text(line, head=TWO))
    later = carried_out(found, decision(found, "anna", "change", instance="eu", until="2027-03-31"))
    (new,) = [line for line in changed(tmp_path, later) if line.startswith("+ ")]
    assert new.replace("'", "") == (
        "+   - {to: anna, role: view, sites: shop.example.org, on: eu, until: 2027-03-31,"
        " extras: [tagmanager_publish, tagmanager_write], ticket: T-1, reason: reads}"
    )
    other = carried_out(found, decision(found, "anna", "change", instance="eu", role="edit"))
    (new,) = [line for line in changed(tmp_path, other) if line.startswith("+ ")]
    assert new == "+   - {to: anna, role: edit, sites: shop.example.org, on: eu, ticket: T-1, reason: reads}"


def test_an_account_role_names_its_instance(tmp_path: Path) -> None:
    """It is on no site, and says so by `on` alone."""
    line = "{to: [anna, ben], role: admin, on: stats}"
    found = declared(tmp_path, text(line))
    edit = carried_out(found, decision(found, "anna", "change", EVERYWHERE, until="2027-03-31"))
    assert [line.replace("'", "") for line in changed(tmp_path, edit)] == [
        f"-   - {line}",
        "+   - {to: [ben], role: admin, on: stats}",
        "+   - {to: anna, role: admin, on: stats, until: 2027-03-31}",
    ]
    edit = carried_out(found, decision(found, "anna", "revoke", EVERYWHERE))
    assert changed(tmp_path, edit) == [f"-   - {line}", "+   - {to: [ben], role: admin, on: stats}"]


# -- groups


@pytest.mark.parametrize(
    ("group", "after"),
    [
        ("[anna, ben]", "[ben]"),
        ("[{user: anna, until: 2027-01-31}, ben]", "[ben]"),
        ("{members: [anna, ben]}", "{members: [ben]}"),
        ("[inner, ben]", "[inner, ben, '!anna']"),
        ("[ANNA, ben]", "[ben]"),
        (
            "{members: [{user: anna, ticket: T-1}, {user: ben, ticket: HR-1, reason: new}], owner: cem}",
            "{members: [{user: ben, ticket: HR-1, reason: new}], owner: cem}",
        ),
        ("[{user: Anna, until: 2027-01-31}, ben]", "[ben]"),
    ],
)
def test_who_loses_all_that_a_group_gives_leaves_it(tmp_path: Path, group: str, after: str) -> None:
    """As a member, as one with dates, in the long form, or, where another group brings them, by an exclusion."""
    groups = f"groups:\n  inner: [anna, cem]\n  team: {group}\n"
    found = declared(tmp_path, text("{to: team, role: view, sites: shop.example.org}", more=groups))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   team: {group}",
        f"+   team: {after}",
    ]


def test_who_keeps_something_of_a_group_stays_in_it(tmp_path: Path) -> None:
    """A group without them takes its place in the one line, for all who leave it there."""
    groups = "groups:\n  team: [anna, ben, cem]\n"
    lines = ("{to: team, role: view, sites: shop.example.org}", "{to: team, role: edit, sites: blog.example.org}")
    found = declared(tmp_path, text(*lines, more=groups))
    edit = carried_out(found, decision(found, "anna", "revoke"), decision(found, "ben", "revoke"))
    assert changed(tmp_path, edit) == [
        "+   team-without-anna-ben: [team, '!anna', '!ben']",
        f"-   - {lines[0]}",
        "+   - {to: team-without-anna-ben, role: view, sites: shop.example.org}",
    ]


# -- what no line is behind


def test_what_is_not_in_the_file_needs_no_edit_to_go(tmp_path: Path) -> None:
    """The words tell who, where and what will happen; kept or changed, it is granted at the end of the file."""
    found = declared(tmp_path, text(VIEW, OTHER))
    live: dict[str, Any] = {"origin": None, "live_role": "edit"}
    gone = carried_out(found, decision(found, "anna", "revoke", BLOG, **live))
    assert dict(gone.texts) == {}
    assert gone.needless == (f"anna on stats, {BLOG}: not in the file; the next apply removes it in mode full",)
    kept = carried_out(found, decision(found, "anna", "keep", BLOG, **live))
    assert changed(tmp_path, kept) == ["+   - {to: anna, role: edit, sites: blog.example.org, reason: the review}"]
    other = carried_out(found, decision(found, "anna", "change", BLOG, role="view", **live))
    assert changed(tmp_path, other) == ["+   - {to: anna, role: view, sites: blog.example.org, reason: the review}"]
    later = carried_out(found, decision(found, "anna", "change", BLOG, until="2027-03-31", **live))
    assert [line.replace("'", "") for line in changed(tmp_path, later)] == [
        "+   - {to: anna, role: edit, sites: blog.example.org, until: 2027-03-31, reason: the review}"
    ]


def test_why_and_who_decided_stand_on_the_row(tmp_path: Path) -> None:
    """Where they were given: on a row that changes, that comes, and on an account that is suspended; the ticket stays."""
    line = "{to: anna, role: view, sites: shop.example.org, ticket: T-1, reason: reads}"
    found = declared(tmp_path, text(line, OTHER))
    whys: list[tuple[dict[str, Any], str]] = [
        ({"reason": "leads now", "by": "ben"}, "leads now (ben, the review)"),
        ({"by": "ben"}, "the review, decided by ben"),
        ({"reason": "leads now"}, "leads now (the review)"),
        ({}, "reads"),
    ]
    for more, why in whys:
        (_, new) = changed(tmp_path, carried_out(found, decision(found, "anna", "change", role="edit", **more)))
        assert (
            new.replace("'", "")
            == f"+   - {{to: anna, role: edit, sites: shop.example.org, ticket: T-1, reason: {why}}}"
        )
    live: dict[str, Any] = {"origin": None, "live_role": "edit", "by": "ben", "reason": "helps"}
    (new,) = changed(tmp_path, carried_out(found, decision(found, "anna", "keep", BLOG, **live)))
    assert "reason: 'helps (ben, the review)'" in new
    (new,) = changed(tmp_path, carried_out(found, msgspec.structs.replace(nobody("revoke"), by="ben")))
    assert "reason: 'the review, decided by ben'" in new


def test_a_first_grant_makes_the_list(tmp_path: Path) -> None:
    """Where the file had an empty one."""
    found = declared(tmp_path, f"{HEAD}{USERS}grants: []\n")
    edit = carried_out(found, decision(found, "anna", "keep", origin=None, live_role="view"))
    again = declared(_written(tmp_path, edit), edit.texts[str(tmp_path / "access.yaml")])
    assert [(line.to, line.role, line.sites) for line in again.grants or ()] == [
        (("anna",), "view", ("shop.example.org",))
    ]


def _written(folder: Path, edit: Edit) -> Path:
    assert len(edit.texts) == 1
    (folder / "again").mkdir()
    return folder / "again"


def test_modules_are_left_to_people(tmp_path: Path) -> None:
    """They stand on users, not in lines; who and what is named."""
    found = declared(tmp_path, text(VIEW))
    module = Scope("module", "analytics")
    known = decision(found, "anna", "revoke")
    edit = carried_out(found, decision(found, "anna", "revoke", module, origin=known.origin))
    assert (dict(edit.texts), edit.needless) == ({}, ())
    assert edit.undone == (f"anna on stats, {module}: modules are edited by hand",)


# -- accounts that nobody declared


def nobody(word: Word, account: str = "old", kind: str = "undeclared", scope: Scope = SHOP) -> Decision:
    return Decision(
        word=word, instance="stats", account=account, kind=kind, scope=scope, selector=scope.name, live_role="view"
    )


def test_an_account_that_nobody_declared_is_suspended_by_name(tmp_path: Path) -> None:
    """Where all it holds was revoked; several at once, each with a handle of its own."""
    found = declared(tmp_path, text(VIEW))
    edit = carried_out(found, nobody("revoke"), nobody("revoke", "Old One@x.org"), nobody("revoke", "anna@else"))
    assert changed(tmp_path, edit) == [
        "+   old: {logins: {stats: old}, state: {stats: suspended}, reason: the review}",
        "+   Old-One: {logins: {stats: Old One@x.org}, state: {stats: suspended}, reason: the review}",
        "+   anna-2: {logins: {stats: anna@else}, state: {stats: suspended}, reason: the review}",
    ]
    assert (edit.undone, edit.needless) == ((), ())


@pytest.mark.parametrize(
    ("account", "handle"),
    [("@x", "account"), ("-_x_-", "x"), ("ä b", "b"), ("ben@x", "ben-3"), ("A.B+c", "A.B-c"), ("BEN@x", "BEN-3")],
)
def test_a_handle_is_made_that_is_free_and_valid(tmp_path: Path, account: str, handle: str) -> None:
    """Letters that no handle has become hyphens, and a name that is taken gets a number."""
    more = f"  ben-2: {{email: b@example.org}}\n{text(VIEW)[len(HEAD + USERS) :]}"
    found = declared(tmp_path, f"{HEAD}{USERS}{more}")
    (line,) = changed(tmp_path, carried_out(found, nobody("revoke", account)))
    assert line.startswith(f"+   {handle}: ")


def test_an_account_is_not_suspended_for_a_part(tmp_path: Path) -> None:
    """What is kept of it stays undeclared, and what was revoked is left to people; others are not passed over."""
    found = declared(tmp_path, text(VIEW))
    edit = carried_out(
        found, nobody("revoke"), nobody("keep", scope=BLOG), nobody("keep", "kept"), nobody("revoke", "gone")
    )
    assert edit.undone == ("old on stats: revoke everything it holds, or declare it first",)
    assert edit.needless == tuple(
        f"{account} on stats, {scope}: stays undeclared, as `unmanaged` says"
        for account, scope in (("old", BLOG), ("kept", SHOP))
    )
    assert [line.split(":")[0] for line in changed(tmp_path, edit)] == ["+   gone"]


@pytest.mark.parametrize(("word", "kind"), [("revoke", "public"), ("revoke", "self"), ("change", "undeclared")])
def test_what_is_nobody_s_is_left_to_people(tmp_path: Path, word: Word, kind: str) -> None:
    """Public access, the account in use, and another role for an account that nobody declared."""
    found = declared(tmp_path, text(VIEW))
    edit = carried_out(found, nobody(word, kind=kind))
    assert (dict(edit.texts), edit.needless) == ({}, ())
    assert edit.undone == (f"old on stats, {SHOP}: {kind} access is edited by hand",)


def test_a_file_without_users_gets_them(tmp_path: Path) -> None:
    """The first user may be one that is suspended."""
    found = declared(tmp_path, f"{HEAD}grants: []\n")
    edit = carried_out(found, nobody("revoke"))
    assert changed(tmp_path, edit) == [
        "+ users:",
        "+   old: {logins: {stats: old}, state: {stats: suspended}, reason: the review}",
    ]


# -- how people write


@pytest.mark.parametrize(("list_indent", "table_indent"), [("  ", "  "), ("", "  "), ("    ", "    "), ("", "    ")])
def test_the_layout_of_the_file_stays(tmp_path: Path, list_indent: str, table_indent: str) -> None:
    """Indents of lists and tables, quotes, long lines and comments: only the one line differs."""
    long = "x " * 80
    content = (
        "version: 1\ninstances:\n"
        f"{table_indent}stats:\n{table_indent * 2}platform: umami\n{table_indent * 2}url: 'https://stats.example.org'\n"
        f'{table_indent * 2}self: "siteward"\n{table_indent * 2}layout: per-site\n'
        f"users:  # people\n{table_indent}anna:\n{table_indent * 2}reason: {long.strip()}\n{table_indent}ben: {{}}\n"
        f"grants:\n{list_indent}- to: anna\n{list_indent}  role: view\n{list_indent}  sites:\n"
        f"{list_indent}  {list_indent}- shop.example.org\n"
        f"{list_indent}- {OTHER}   # gone\n{list_indent}# the end\n"
    )
    found = declared(tmp_path, content)
    edit = carried_out(found, decision(found, "ben", "revoke", BLOG))
    assert changed(tmp_path, edit) == [f"- {list_indent}- {OTHER}   # gone"]


def test_a_decision_of_another_file_edits_that_file(tmp_path: Path) -> None:
    """The root stays as it is."""
    included = f"grants:\n  - {OTHER}\n  - {VIEW}\n"
    found = declared(tmp_path, f"{HEAD}{USERS}include: [team.yaml]\ngrants: []\n", team=included)
    edit = carried_out(found, decision(found, "anna", "revoke"))
    assert list(edit.texts) == [str(tmp_path / "team.yaml")]
    assert changed(tmp_path, edit, "team.yaml") == [f"-   - {VIEW}"]


def test_a_right_that_two_lines_give_leaves_both(tmp_path: Path) -> None:
    """The line that lost against the other would give it again."""
    twice = "{to: anna, role: edit, sites: shop.example.org}"
    found = declared(tmp_path, text(VIEW, twice, OTHER))
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"-   - {VIEW}",
        f"-   - {twice}",
    ]


def test_a_list_in_brackets_keeps_its_other_rows(tmp_path: Path) -> None:
    """Rows that go, rows that change and rows that are put in between, all in one line."""
    rows = (
        "{to: [anna, ben], role: view, sites: [shop.example.org, blog.example.org]}",
        "{to: anna, role: edit, sites: blog.example.org}",
        "{to: cem, role: view, sites: shop.example.org}",
    )
    found = declared(tmp_path, f"{HEAD}{USERS}grants: [{', '.join(rows)}]\n")
    edit = carried_out(found, decision(found, "ben", "revoke"), decision(found, "cem", "revoke"))
    after = declared(_written(tmp_path, edit), edit.texts[str(tmp_path / "access.yaml")])
    assert [(line.to, line.role, line.sites) for line in after.grants or ()] == [
        (("anna",), "view", ("shop.example.org", "blog.example.org")),
        (("ben",), "view", ("blog.example.org",)),
        (("anna",), "edit", ("blog.example.org",)),
    ]
    assert "siteward" not in edit.texts[str(tmp_path / "access.yaml")].partition("grants:")[2]
    last = declared(tmp_path, f"{HEAD}{USERS}grants: [{rows[2]}]\n")
    assert changed(tmp_path, carried_out(last, decision(last, "cem", "revoke"))) == [
        f"- grants: [{rows[2]}]",
        "+ grants: []",
    ]


def test_a_name_that_stands_alone_stays_alone(tmp_path: Path) -> None:
    """A group that is replaced by another is no list of one."""
    groups = "groups:\n  team: [anna, ben]\n"
    lines = ("{to: team, role: view, sites: shop.example.org}", "{to: [team], role: view, sites: blog.example.org}")
    found = declared(tmp_path, text(*lines, more=groups))
    told = changed(tmp_path, carried_out(found, decision(found, "anna", "revoke")))
    assert told[-1] == "+   - {to: team-without-anna, role: view, sites: shop.example.org}"
    told = changed(tmp_path, carried_out(found, decision(found, "anna", "revoke", BLOG)))
    assert told[-1] == "+   - {to: [team-without-anna], role: view, sites: blog.example.org}"


def test_several_grants_are_put_at_the_end(tmp_path: Path) -> None:
    """After what the last line itself is followed by, in the order of the decisions."""
    both = "{to: ben, role: view, sites: [shop.example.org, blog.example.org]}"
    found = declared(tmp_path, text(VIEW, both))
    live: dict[str, Any] = {"origin": None, "live_role": "view"}
    edit = carried_out(
        found,
        decision(found, "ben", "revoke"),
        decision(found, "anna", "keep", BLOG, **live),
        decision(found, "cem", "keep", BLOG, **live, account="cem"),
    )
    assert changed(tmp_path, edit) == [
        f"-   - {both}",
        "+   - {to: ben, role: view, sites: [blog.example.org]}",
        "+   - {to: anna, role: view, sites: blog.example.org, reason: the review}",
        "+   - {to: cem, role: view, sites: blog.example.org, reason: the review}",
    ]


def test_a_role_without_a_line_or_a_live_one_cannot_be_guessed(tmp_path: Path) -> None:
    """A change to an end alone, of what is held in no way, names no role, and the file is refused for that."""
    found = declared(tmp_path, text(VIEW))
    edit = carried_out(found, decision(found, "anna", "change", BLOG, origin=None, until="2027-03-31"))
    (line,) = changed(tmp_path, edit)
    assert "role: ''" in line


def test_metasites_are_decided_on_like_sites(tmp_path: Path) -> None:
    """A line on meta sites leaves out a meta site."""
    head = 'version: 1\ninstances:\n  pp: {platform: piwik-pro, url: "https://acme.piwik.pro"}\n'
    line = "{to: anna, role: view, metasites: [Europe, Asia]}"
    found = declared(tmp_path, text(line, head=head))
    metas = {
        Scope("metasite", name): Site(id=name[:2], label=name, name=name, domains=()) for name in ("Europe", "Asia")
    }
    live = Live(access=Access(), sites=metas, me="me@x.org")
    desired = resolve(found, "pp", TRAITS["piwik-pro"], live, as_of=NOW)
    scope = Scope("metasite", "Europe")
    (key,) = [key for key in desired.origins if key[-1] == "Europe"]
    known = Decision(
        word="revoke", instance="pp", account="anna@example.org", kind="person", scope=scope, selector="Europe",
        names=frozenset({"Europe"}), handle="anna", origin=desired.origins[key],
    )  # fmt: skip
    edit = decide(found, [known], {}, "the review", seen=frozenset())
    assert changed(tmp_path, edit) == [f"-   - {line}", "+   - {to: anna, role: view, metasites: [Asia]}"]


LEADS = """\
users:
  anna: {id: 7f3c, tags: [lead], attests: {nda: 2026-05-01}}   # hers
  ben: {tags: [lead, acme]}
groups:
  leads: {from: {tag: lead}, owner: anna, description: Reads reports, ticket: OPS-1} # theirs
grants:
  - {to: leads, role: view, sites: shop.example.org}
  - {to: anna, role: view, sites: blog.example.org}
"""


def test_who_is_in_a_group_by_a_tag_is_left_out_of_it(tmp_path: Path) -> None:
    """By an exclusion: the tag may mean other groups, too. What else the rows say stays as it is written."""
    found = declared(tmp_path, HEAD + LEADS)
    line = "  leads: {from: {tag: lead}, owner: anna, description: Reads reports, ticket: OPS-1%s}"
    assert changed(tmp_path, carried_out(found, decision(found, "anna", "revoke"))) == [
        f"- {line} # theirs" % "",
        f"+ {line} # theirs" % ", members: ['!anna']",
    ]


def test_who_is_in_a_group_by_a_tag_and_by_name_leaves_it(tmp_path: Path) -> None:
    """Neither way is left."""
    text = LEADS.replace("{tag: lead}, owner", "{tag: lead}, members: [anna, ben], owner")
    found = declared(tmp_path, HEAD + text)
    (_, after) = changed(tmp_path, carried_out(found, decision(found, "anna", "revoke")))
    assert "members: [ben, '!anna']" in after


# -- the bytes around: files in which a printer of whole documents changes more than is meant


def after(folder: Path, content: str, *said: tuple[str, Word, Scope], **files: str) -> str:
    """Return the text of a file after decisions on it."""
    found = declared(folder, content, **files)
    edit = carried_out(found, *(decision(found, handle, word, scope) for handle, word, scope in said))
    return edit.texts[str(folder / "access.yaml")]


SECTIONS = f"""\
{HEAD}{USERS}groups:
  readers:
    - anna    # first
    - ben     # second

# Who may do what. Ask the platform team before you edit this.
grants:
  - {{to: readers, role: view, sites: shop.example.org}}
"""


def test_the_comment_above_the_next_section_stays(tmp_path: Path) -> None:
    """The last member of a list in lines takes its own line with it, and no other."""
    assert after(tmp_path, SECTIONS, ("ben", "revoke", SHOP)) == SECTIONS.replace("    - ben     # second\n", "")


def test_a_new_group_stands_below_the_one_it_comes_from(tmp_path: Path) -> None:
    """And not below the comment of the next section."""
    content = SECTIONS + "  - {to: readers, role: edit, sites: blog.example.org}\n# Portable names.\nroles: {}\n"
    row = "  - {to: %s, role: view, sites: shop.example.org}\n"
    end = "    - ben     # second\n"
    assert after(tmp_path, content, ("ben", "revoke", SHOP)) == content.replace(
        end, f"{end}  readers-without-ben: [readers, '!ben']\n"
    ).replace(row % "readers", row % "readers-without-ben")


def test_a_new_grant_stands_below_the_one_it_comes_from(tmp_path: Path) -> None:
    """And not below the comment of the next section."""
    both = "{to: [anna, ben], role: view, sites: [shop.example.org, blog.example.org]}"
    content = f"{HEAD}{USERS}grants:\n  - {both}\n# above policy\npolicy: {{timezone: UTC}}\n"
    assert after(tmp_path, content, ("anna", "revoke", SHOP)) == content.replace(
        both,
        "{to: [ben], role: view, sites: [shop.example.org, blog.example.org]}\n"
        "  - {to: anna, role: view, sites: [blog.example.org]}",
    )


IN_LINES = f"""\
{HEAD}{USERS}grants:
  # the shop's
  - to: anna  # who
    # what
    role: manage  # what for
    sites:  # where
      # one
      - shop.example.org  # first
      # between
      - blog.example.org  # second
    reason: runs both
  # the end
"""


def test_a_grant_in_lines_stays_one(tmp_path: Path) -> None:
    """Its comments stay, and what is kept of it beside others stands in the same way."""
    gone = "      - shop.example.org  # first\n"
    assert after(tmp_path, IN_LINES, ("anna", "revoke", SHOP)) == IN_LINES.replace(gone, "")
    shared = IN_LINES.replace("to: anna  # who", "to:\n      - anna  # she\n      - ben  # he")
    lines = ("  - to: anna", "    role: manage", "    sites: [blog.example.org]", "    reason: runs both", "")
    left = shared.replace("      - anna  # she\n", "").replace("  # the end\n", "\n".join(lines) + "  # the end\n")
    assert after(tmp_path, shared, ("anna", "revoke", SHOP)) == left


@pytest.mark.parametrize("mark", ["\n", "\r\n"])
def test_document_markers_and_the_comments_at_the_end_stay(tmp_path: Path, mark: str) -> None:
    """Whatever the line ends are, and whether there is one at the end."""
    content = f"---  # begins\n{HEAD}{USERS}grants:\n  - {VIEW}  # one\n  - {OTHER}\n# the last\n...\n# behind"
    gone = after(tmp_path, content.replace("\n", mark), ("anna", "revoke", SHOP))
    assert gone == content.replace(f"  - {VIEW}  # one\n", "").replace("\n", mark)


@pytest.mark.parametrize("end", ["\r\n", ""])
def test_line_ends_stay_as_they_are(tmp_path: Path, end: str) -> None:
    """New lines have those of the lines around them."""
    both = "{to: anna, role: view, sites: [shop.example.org, blog.example.org]}"
    content = f"{HEAD}{USERS}# a comment\ngrants:\n  - {OTHER}\n  - {both}".replace("\n", "\r\n") + end
    gone = after(tmp_path, content, ("anna", "revoke", SHOP))
    assert gone == content.replace(both, "{to: anna, role: view, sites: [blog.example.org]}")


SHARED = f"""\
{HEAD}{USERS}groups:
  readers: &r [anna, ben]  # both
  others: *r
grants:
  - {{to: readers, role: view, sites: shop.example.org}}
  - {{to: others, role: edit, sites: blog.example.org}}
"""


def test_an_edit_of_what_an_alias_repeats_is_refused(tmp_path: Path) -> None:
    """With both places, and nothing else is expanded."""
    with pytest.raises(CannotEditError) as refused:
        after(tmp_path, SHARED, ("anna", "revoke", SHOP))
    first, again = (SHARED[: SHARED.index(sign)].count("\n") + 1 for sign in ("&r", "*r"))
    assert str(refused.value) == (
        f"`&r` at {tmp_path / 'access.yaml'}:{first}:12 is repeated at {tmp_path / 'access.yaml'}:{again}:11,"
        " which would change too: write both out by hand"
    )
    beside = SHARED + f"  - {VIEW.replace('anna', 'cem')}\n"
    assert after(tmp_path, beside, ("cem", "revoke", SHOP)) == SHARED


COMMENTED = f"""\
{HEAD}{USERS}groups:
  readers: [anna, ben]
grants:
  # the shop
  - {{to: readers, role: view, sites: shop.example.org}}  # OPS-1
  - to: anna
    role: view
    sites: blog.example.org
"""


def test_a_file_with_comments_that_a_printer_would_break_is_edited(tmp_path: Path) -> None:
    """A comment before the first row, one behind it, and a row in lines below: only the member goes."""
    assert after(tmp_path, COMMENTED, ("ben", "revoke", SHOP)) == COMMENTED.replace("[anna, ben]", "[anna]")


def test_a_tab_before_a_comment_is_no_obstacle(tmp_path: Path) -> None:
    """What `validate` reads can be edited, and the tab stays."""
    content = f"{HEAD}{USERS}grants:\n  - {OTHER}\t# one\n  - to: anna\n    role: view\n    sites:\n      - shop.example.org \t# first\n      - blog.example.org\n"
    gone = "      - shop.example.org \t# first\n"
    assert after(tmp_path, content, ("anna", "revoke", SHOP)) == content.replace(gone, "")
