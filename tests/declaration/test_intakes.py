"""Groups that take people in by themselves (`from`): by all, by kind, by tag, with `members` added and taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, TRAITS, declared, read_text
from siteward.access.model import Access, Scope
from siteward.access.state import Live, Site
from siteward.declaration.dead import find_dead_lines
from siteward.declaration.groups import expand
from siteward.declaration.resolve import resolve
from siteward.declaration.subjects import login_of
from strategies import NOW

if TYPE_CHECKING:
    from pathlib import Path

USERS = """\
users:
  anna: {tags: [lead]}
  ben: {}
  cem: {kind: contractor, tags: [lead, acme]}
  dora: {kind: client}
  reports: {kind: service, tags: [acme]}
  mia: {state: alumni, tags: [lead]}
"""


def members(folder: Path, written: str, others: str = "") -> list[str]:
    """Return who is in a group, by what is written of it."""
    text = f"{HEAD}{USERS}groups:\n  it: {written}\n{others}grants: [{{to: it, role: view, sites: a.example.org}}]\n"
    return sorted(expand(declared(folder, text).groups)["it"])


@pytest.mark.parametrize(
    ("written", "people"),
    [
        ("{from: {all: people}}", ["anna", "ben", "cem", "dora"]),
        ("{from: {kind: service}}", ["reports"]),
        ("{from: [{kind: client}, {kind: contractor}]}", ["cem", "dora"]),
        ("{from: {tag: lead}}", ["anna", "cem"]),
        ("{from: [{tag: lead}, {tag: acme}], members: []}", ["anna", "cem", "reports"]),
        ('{from: {tag: lead}, members: [BEN, "!cem"]}', ["anna", "ben"]),
        ('{from: {all: people}, members: "!anna"}', ["ben", "cem", "dora"]),
    ],
)
def test_a_group_takes_in_whom_it_says(tmp_path: Path, written: str, people: list[str]) -> None:
    """The union of what `from` says and of `members`, without those that `!` takes out; never who left for good."""
    assert members(tmp_path, written) == people


def test_all_members_are_those_of_the_groups_that_list_theirs(tmp_path: Path) -> None:
    """For the time of their membership, and not of groups that take in others themselves."""
    others = """\
  some: [anna, {user: ben, until: 2020-01-31}]
  more: {members: some, native: More}
  leads: {from: {tag: lead}}
"""
    assert members(tmp_path, "{from: {all: members}}", others) == ["anna", "ben"]
    groups = expand(declared(tmp_path, (tmp_path / "access.yaml").read_text()).groups)
    assert {way.window.end is None for way in groups["it"]["ben"]} == {False}
    assert groups["it"]["anna"][0].via == ("group it", "all members", "group some")


def test_what_took_somebody_in_is_told(tmp_path: Path) -> None:
    """As the way to what they are given; the ticket of the group is one of its memberships."""
    text = "groups: {leads: {from: {tag: lead}, ticket: OPS-1}}\ngrants: [{to: leads, role: view, sites: a.example.org, ticket: OPS-2}]\n"
    desired = resolve(declared(tmp_path, HEAD + USERS + text), "stats", TRAITS["umami"], None, as_of=NOW)
    (origin, *_) = (desired.origins[grant.key] for grant in desired.access.grants() if grant.subject.name == "cem")
    assert (origin.via, origin.ticket) == (("group leads", "tag lead"), "OPS-1; OPS-2")


@pytest.mark.parametrize(
    "staff", ["[it, anna, some]", "[leads, anna, some]", "[outer, anna, some]", '[it, anna, some, dora, "!dora"]']
)
def test_a_group_that_lists_one_which_computes_lends_its_own_members(tmp_path: Path, staff: str) -> None:
    """`all: members` takes in whom such a group lists itself, for their time; groups that compute never see each other."""
    others = f"  staff: {staff}\n  some: [{{user: ben, until: 2020-01-31, reason: a guest}}]\n  outer: [it]\n"
    assert members(tmp_path, "{from: {all: members}}", f"{others}  leads: {{from: {{tag: lead}}}}\n") == ["anna", "ben"]
    groups = expand(declared(tmp_path, (tmp_path / "access.yaml").read_text()).groups)
    assert groups["it"]["anna"][0].via == ("group it", "all members, group staff")
    assert {way.window.end is None for way in groups["it"]["ben"]} == {False}
    assert set(groups["staff"]) >= {"anna", "ben"}


def test_groups_that_list_each_other_are_a_cycle_beside_one_that_computes(tmp_path: Path) -> None:
    """It takes in nobody then, and the error is told."""
    text = "groups: {it: {from: {all: members}}, staff: [more, it], more: [staff, anna]}\ngrants: [{to: it, role: view, sites: a.example.org}]\n"
    loaded = read_text(tmp_path, HEAD + USERS + text)
    assert [found.code for found in loaded.diagnostics if found.blocks] == ["group-cycle"]
    assert loaded.usable is not None
    assert loaded.usable.faults.groups.keys() >= {"staff"}


def test_who_was_taken_in_is_no_dead_line(tmp_path: Path) -> None:
    """Nobody wrote a line that could be taken out."""
    text = "groups: {it: {from: {tag: lead}}}\nusers: {anna: {tags: [lead], until: 2020-01-31}, ben: {tags: [lead]}}\n"
    text += "grants: [{to: it, role: view, sites: a.example.org}]\n"
    assert find_dead_lines(declared(tmp_path, HEAD + text), NOW) == ()


INCLUDING = HEAD + "include: [{path: team.yaml, at_most: edit}]\ngroups: {leads: {from: {tag: lead}}}\n"
GRANTS = "policy: {wildcards: {at_most: manage}}\ngrants: [{to: leads, role: manage, sites: a.example.org}]\nusers: {anna: {tags: [lead]}}\n"


def test_a_file_with_bounds_puts_nobody_into_groups_of_others(tmp_path: Path) -> None:
    """A tag would give what the bounds refuse; in its own file it is a word like any other."""
    team = "users: {ben: {tags: [lead, own]}}\ngroups: {ours: {from: {tag: own}}}\n"
    team += "grants: [{to: ours, role: view, sites: a.example.org}]\n"
    (found,) = read_text(tmp_path, INCLUDING + GRANTS, team=team).diagnostics
    assert (found.code, str(found.at)) == ("beyond-include", f"{tmp_path / 'team.yaml'}:1:21")
    unbound = INCLUDING.replace(", at_most: edit", "")
    assert not read_text(tmp_path, unbound + GRANTS, team=team).diagnostics


@pytest.mark.parametrize("to", ["leads", "outer"])
@pytest.mark.parametrize(("role", "most", "codes"), [
    ("edit", "", ["wildcard-too-powerful"]),
    ("edit", "policy: {wildcards: {at_most: edit}}\n", []),
    ("view", "", []),
])  # fmt: skip
def test_it_gives_no_more_than_a_pattern_may(tmp_path: Path, to: str, role: str, most: str, codes: list[str]) -> None:
    """Whoever comes in later gets it without a line of their own, also by a group that holds such a group."""
    text = f"{most}groups: {{leads: {{from: {{tag: lead}}}}, outer: [leads, ben]}}\n"
    text += f"grants: [{{to: {to}, role: {role}, sites: a.example.org}}]\n"
    blocking = [found for found in read_text(tmp_path, HEAD + USERS + text).diagnostics if found.blocks]
    assert [found.code for found in blocking] == codes
    assert all(found.at is not None and found.at.column > 10 for found in blocking)


@pytest.mark.parametrize("state", ["suspended", "absent", "alumni"])
def test_nobody_who_has_no_access_is_taken_in(tmp_path: Path, state: str) -> None:
    text = f"users: {{anna: {{tags: [lead]}}, ben: {{tags: [lead], state: {state}}}}}\ngroups: {{it: {{from: {{tag: lead}}}}}}\n"
    text += "grants: [{to: it, role: view, sites: a.example.org}]\n"
    assert sorted(expand(declared(tmp_path, HEAD + text).groups)["it"]) == ["anna"]


STAFF = """\
directory: staff
users:
  ann: {id: "1", email: ann@example.org}
  bob: {id: "2", state: suspended}
  cid: {id: "3", until: 2020-01-31}
groups:
  staff-web-analytics: {members: [ann, cid]}
"""
FROM_STAFF = (
    HEAD
    + """\
directories: {staff: {file: staff.csv}}
include: [{path: staff.yaml, directory: staff}]
groups: {it: {from: {directory: staff, group: "Web Analytics"}}}
grants: [{to: it, role: view, sites: a.example.org}]
"""
)


def test_a_directory_s_group_is_that_of_its_file(tmp_path: Path) -> None:
    """By the name of the directory and of the group; `until` and `state` of the file count as anybody's."""
    (tmp_path / "staff.yaml").write_text(STAFF)
    declaration = declared(tmp_path, FROM_STAFF)
    assert sorted(expand(declaration.groups)["it"]) == ["ann", "cid"]
    assert declaration.users["bob"].state("stats") == "suspended"
    assert declaration.users["cid"].window.end is not None
    assert expand(declaration.groups)["it"]["ann"][0].via == (
        "group it", "directory staff, group Web Analytics", "group staff-web-analytics",
    )  # fmt: skip


def test_the_login_of_a_directory_names_the_accounts_that_it_makes(tmp_path: Path) -> None:
    """Not those that Siteward makes, nor where the address is the login."""
    (tmp_path / "staff.yaml").write_text(STAFF.replace('{id: "1",', '{id: "1", login: "ann@corp",'))
    others = """  made: {platform: matomo, url: "https://made.example.org", self: root, managed_by: directory}
  signed: {platform: matomo, url: "https://signed.example.org", self: root, managed_by: sso}
  tags: {platform: piwik-pro, url: "https://acme.piwik.pro", managed_by: directory}
"""
    ann = declared(tmp_path, FROM_STAFF.replace("instances:\n", f"instances:\n{others}")).users["ann"]
    logins = {name: login_of(ann, name, TRAITS["matomo"]) for name in ("stats", "made", "signed")}
    assert logins == {"stats": "ann", "made": "ann@corp", "signed": "ann"}
    assert login_of(ann, "tags", TRAITS["piwik-pro"]) == "ann@example.org"


def test_a_group_that_the_directory_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "staff.yaml").write_text(STAFF)
    (found,) = read_text(tmp_path, FROM_STAFF.replace("Web Analytics", "Web Analytic")).diagnostics[:1]
    assert (found.code, found.suggestion) == ("unknown-user", "web-analytics")


def test_who_is_in_a_group_in_error_keeps_what_is_there(tmp_path: Path) -> None:
    """It cannot be told whom the group would take in, so nothing is taken on the sites that it is granted."""
    text = "groups: {it: {from: {kind: persn}}}\ngrants: [{to: it, role: view, sites: a.example.org}]\n"
    loaded = read_text(tmp_path, HEAD + USERS + text)
    assert [found.code for found in loaded.diagnostics if found.blocks] == ["unknown-value"]
    assert loaded.usable is not None
    site = Scope("site", "a.example.org")
    live = Live(access=Access(), sites={site: Site(id="a", label=site.name, domains=(site.name,))}, me="siteward")
    held = resolve(loaded.usable, "stats", TRAITS["umami"], live, as_of=NOW).held
    assert set(held.scopes) == {site}


INTAKES = ["{all: people}", "{kind: person}", "{tag: lead}", "{all: members}"]
TWO_FILES = HEAD + "include: [{path: team.yaml, at_most: edit}]\nusers: {anna: {tags: [lead]}, zed: {tags: [lead]}}\n"


@pytest.mark.parametrize("intake", INTAKES)
def test_a_group_takes_in_nobody_of_a_file_with_bounds(tmp_path: Path, intake: str) -> None:
    """Who writes that file could add people to what others are given without bounds."""
    text = f"groups: {{it: {{from: {intake}}}, listed: [anna, zed]}}\ngrants: [{{to: it, role: view, sites: a.example.org}}]\n"
    team = "users: {ben: {}}\ngroups: {own: [ben]}\ngrants: [{to: own, role: view, sites: a.example.org}]\n"
    assert list(expand(declared(tmp_path, TWO_FILES + text, team=team).groups)["it"]) == ["anna", "zed"]


@pytest.mark.parametrize("intake", INTAKES)
def test_in_a_file_with_bounds_a_group_takes_in_users_of_that_file_alone(tmp_path: Path, intake: str) -> None:
    """Whatever the intake: those of the including file are others' people."""
    team = f"users: {{ben: {{tags: [lead]}}}}\ngroups: {{it: {{from: {intake}}}, own: [ben]}}\n"
    team += "grants: [{to: it, role: view, sites: a.example.org}]\n"
    text = "groups: {listed: [anna, zed]}\ngrants: [{to: listed, role: view, sites: b.example.org}]\n"
    assert list(expand(declared(tmp_path, TWO_FILES + text, team=team).groups)["it"]) == ["ben"]


def test_groups_that_take_in_by_themselves_never_see_each_other(tmp_path: Path) -> None:
    """`all: members` is about groups that list theirs, in whatever order they stand."""
    both = ("leads: {from: {tag: lead}}", "all: {from: {all: members}}", "some: [ben]")
    for order in (both, both[::-1]):
        text = HEAD + USERS + "groups:\n" + "".join(f"  {line}\n" for line in order)
        text += "grants: [{to: [all, leads], role: view, sites: a.example.org}]\n"
        assert list(expand(declared(tmp_path, text).groups)["all"]) == ["ben"]


def test_each_path_into_a_group_is_kept(tmp_path: Path) -> None:
    """By a tag and by a line: both lead to what the group gives, and `explain` tells both."""
    text = "groups: {it: {from: {tag: lead}, members: [{user: anna, ticket: OPS-3}]}}\n"
    text += "grants: [{to: it, role: view, sites: a.example.org}]\n"
    ways = expand(declared(tmp_path, HEAD + USERS + text).groups)["it"]["anna"]
    assert [way.via for way in ways] == [("group it",), ("group it", "tag lead")]
